"""Registry: released models as versions of one registered model, and which of them is in use.

The alias `champion` alone says which version is in use. It changes in one step, after the version is complete and was read back. The
other aliases and the list of champions only say which version to go back to.
"""

import shlex
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import MODEL, Places
from tasks.storage.locks import exclusive_lock
from tasks.tracking import connection, queries, runs, stored_files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
DIGEST, RUN, REASON, BEFORE, WITHDRAWN, STORED, APPROVED = (
    f"recast.{name}" for name in ("digest", "run", "reason", "champion_before", "withdrawn", "stored", "approved")
)
# Tag of the registered model: the numbers of all versions that were in use, the newest last.
CHAMPIONS = "recast.champions"
MAX_CHAMPIONS = 200  # in that tag


class Version(BaseModel):
    """A released model."""

    model_config = ConfigDict(frozen=True)
    number: int
    model: str
    """Digest of its folder under `artifacts/models`."""
    run_id: str
    """Run that released it."""
    reason: str
    champion_before: int | None
    """In use when it was decided about."""
    tracked: str
    """Its run in MLflow."""
    withdrawn: str | None = None
    """Why it was taken back or refused: no run promotes it again. None: it was not."""
    approved: str | None = None
    """Who put it into use, and why; None: nobody said so."""
    removed: str | None = None
    """Day on which its files were removed, here and from the registry."""
    stored: str | None = None
    """Digest of all files that MLflow stores of it, with the code that it brings along; None: it was released before digests were kept."""
    aliases: tuple[str, ...] = ()


class ChampionChanged(Exception):
    """Another run changed the champion meanwhile: a decision against the earlier one has to be taken again."""


def champion(places: Places) -> Version | None:
    """Return the version in use, or None before the first promotion. Raises BadInput where somebody removed its alias."""
    current = by_alias(CHAMPION, places)
    if current is None and (why := missing_champion_message(places)):
        raise BadInput(why)
    return current


def missing_champion_message(places: Places) -> str:
    """Say that somebody removed the alias of the version in use, and how to bring a version back; "" where it was not removed."""
    if by_alias(CHAMPION, places) or not (earlier := unaliased_champions(places)):
        return ""
    name, option = places.registered_name, model_option(places)
    fault = f"no version of {name} is in use in {connection.address(places)}: the alias `{CHAMPION}` was removed"
    last = last_intact(earlier, places)
    return (
        f"{fault}; `flows/promote.py --version {last.number}{option}` brings the last one back into use"
        if last
        else f"{fault}, and each version that was in use was taken back; `flows/promote.py --list{option}` shows all, "
        "`--version N` brings N into use"
    )


def unaliased_champions(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use before the alias was removed, the newest last.

    Return an empty list where the next model counts as the first: before the first promotion, and where no version is left that
    could come back. Example: one version was in use, and its files were removed.
    """
    numbers = recorded_champions(places)
    intact = [version for version in versions(places) if version.number in numbers and not version.removed]
    if not intact:
        return []
    first = next((version for version in intact if [version.number] == numbers), None)
    # A run that was killed during the first promotion has saved its decision but not applied it: the next run applies it.
    killed = first and runs.is_unapplied(first.tracked, places) and runs.decision_of_run(first.tracked, places)
    return [] if killed else numbers


def by_alias(alias: str, places: Places) -> Version | None:
    """Return the version that bears this alias; None where no version does."""
    name = places.registered_name
    answer = queries.cached_query(
        f"{alias} of {name}",
        lambda client: version_from_mlflow(client.get_model_version_by_alias(name, alias)).model_dump(mode="json"),
        None,
        places,
    )
    return Version.model_validate(answer) if answer else None


def model_option(places: Places) -> str:
    """Return the option that names this registered model. Without it a command works on the model of the last run."""
    return f" --places.registered_model {shlex.quote(places.registered_name)}"


def version_name(number: int, places: Places) -> str:
    """Return the name of a version for people: its number, and its registered model where that is not the usual one."""
    return f"version {number}" + (f" of {places.registered_name}" if places.registered_name != MODEL else "")


def version(number: int, places: Places) -> Version:
    """Return the version of this number. Raises BadInput when there is none."""
    candidates = versions(places)
    if match := next((candidate for candidate in candidates if candidate.number == number), None):
        return match
    numbers = ", ".join(str(candidate.number) for candidate in candidates)
    raise BadInput(
        f"there is no version {number} of {places.registered_name} in {connection.address(places)}: "
        f"there {f'are {numbers}' if numbers else 'is none yet'}"
    )


def versions(places: Places) -> list[Version]:
    """Return all versions, in the order of their numbers."""

    def fetch(client: "MlflowClient") -> list[dict[str, Any]]:
        answers, token = [], None
        while token != "":
            page = client.search_model_versions(f"name = '{places.registered_name}'", 1000, page_token=token)
            answers += [client.get_model_version(answer.name, answer.version) for answer in page]
            token = page.token or ""
        return [version_from_mlflow(answer).model_dump(mode="json") for answer in answers]

    stored = queries.cached_query(f"versions of {places.registered_name}", fetch, list[dict[str, Any]](), places)
    return sorted(map(Version.model_validate, stored), key=lambda version: version.number)


def version_from_mlflow(answer: "ModelVersion") -> Version:
    """Return the version that MLflow's answer describes."""
    tags, before = answer.tags, answer.tags.get(BEFORE)
    return Version(
        number=int(answer.version), model=tags.get(DIGEST, ""), run_id=tags.get(RUN, ""), reason=tags.get(REASON, ""),
        champion_before=int(before) if before else None, tracked=answer.run_id or "", withdrawn=tags.get(WITHDRAWN),
        approved=tags.get(APPROVED), removed=tags.get(stored_files.REMOVED), stored=tags.get(STORED), aliases=tuple(answer.aliases),
    )  # fmt: skip


def promotion_lock(places: Places) -> AbstractContextManager[None]:
    """Let one run of this machine decide at a time: a second one waits, and then sees the champion of the first."""
    places.artifacts_root.mkdir(parents=True, exist_ok=True)
    return exclusive_lock(places.artifacts_root / ".deciding.lock")


def register(
    folder: Path, name: str, mlflow_run_id: str, run_id: str, reason: str, champion_before: int | None, places: Places
) -> Version:
    """Register the model's folder, whose name is its digest, as a version. Idempotent: an interrupted call can be repeated."""
    decided = folder.name, mlflow_run_id
    if earlier := next((version for version in versions(places) if (version.model, version.tracked) == decided), None):
        return earlier
    client = connection.client(places)
    if not queries.query(lambda client: client.get_registered_model(places.registered_name), None, places):
        client.create_registered_model(places.registered_name)
    source, model_id, stored = runs.keep_model(folder, name, mlflow_run_id, places)
    tags = {
        DIGEST: folder.name,
        RUN: run_id,
        REASON: for_terminal(reason),
        BEFORE: str(champion_before or ""),
        STORED: stored,
    }
    return version_from_mlflow(
        client.create_model_version(places.registered_name, source, mlflow_run_id, tags=tags, model_id=model_id)
    )


def adopt(number: int, run_id: str, places: Places) -> None:
    """Record which run's folder describes the version: the run that finished the work of a killed one."""
    connection.client(places).set_model_version_tag(places.registered_name, str(number), RUN, run_id)


def discard(number: int, places: Places) -> None:
    """Delete a version that never came into use, because another did meanwhile."""
    connection.client(places).delete_model_version(places.registered_name, str(number))


def promote(number: int, over: int | None, places: Places) -> None:
    """Make a version the champion in the place of `over`; None: in the place of none. The caller holds `promotion_lock`.

    Raises ChampionChanged when another version is in use.
    """
    client, name = connection.client(places), places.registered_name
    current = by_alias(CHAMPION, places)
    if (current.number if current else None) != over:
        raise ChampionChanged
    history = champion_history(places) if current else unaliased_champions(places)
    if history[-1:] == [number]:  # it comes back
        history.pop()
    client.set_registered_model_tag(name, CHAMPIONS, " ".join(map(str, [*history, number][-MAX_CHAMPIONS:])))
    client.set_registered_model_alias(name, CHAMPION, str(number))
    sync_aliases(places)


def challenge(number: int, places: Places) -> None:
    """Let a version wait for a person's answer."""
    connection.client(places).set_registered_model_alias(places.registered_name, CHALLENGER, str(number))


def rollback(reason: str, places: Places) -> tuple[Version, Version]:
    """Take the champion back, and return the version that is in use now and the one that was.

    Raises BadInput when there is no version to go back to.
    """
    current, earlier = champion(places), previous(places)
    if current is None or earlier is None:
        raise BadInput(
            f"version {current.number} is the only one that can be used: promote another by --version, --list shows them"
            if current
            else f"no model is in use in {connection.address(places)}: there is nothing to take back"
        )
    withdraw(current.number, reason, places)
    connection.client(places).set_registered_model_alias(places.registered_name, CHAMPION, str(earlier.number))
    sync_aliases(places)
    return earlier, current


def withdraw(number: int, reason: str | None, places: Places) -> None:
    """Forbid that a run promotes this version again, for this reason. With None as reason, runs may promote it again."""
    client, name = connection.client(places), places.registered_name
    if reason:
        client.set_model_version_tag(name, str(number), WITHDRAWN, for_terminal(reason))
    elif version(number, places).withdrawn:
        client.delete_model_version_tag(name, str(number), WITHDRAWN)


def note_approval(number: int, person: str, reason: str, places: Places) -> None:
    """Note with a version who put it into use, and why."""
    text = for_terminal(f"{person}: {reason}" if reason else person)
    connection.client(places).set_model_version_tag(places.registered_name, str(number), APPROVED, text)


def refuse(number: int, reason: str, places: Places) -> None:
    """Answer no for a version, so that no run promotes it again. Raises BadInput when there is no such version, or when it is in use."""
    if CHAMPION in version(number, places).aliases:
        raise BadInput(f"version {number} is in use: take it back by --rollback")
    withdraw(number, reason, places)
    sync_aliases(places)


def sync_aliases(places: Places) -> None:
    """Set the other aliases to match the champion."""
    client, name = connection.client(places), places.registered_name
    earlier, waiting, current = previous(places), by_alias(CHALLENGER, places), by_alias(CHAMPION, places)
    if earlier:
        client.set_registered_model_alias(name, PREVIOUS, str(earlier.number))
    elif by_alias(PREVIOUS, places):
        client.delete_registered_model_alias(name, PREVIOUS)
    if waiting and (waiting.withdrawn or current and waiting.number == current.number):
        client.delete_registered_model_alias(name, CHALLENGER)


def previous(places: Places) -> Version | None:
    """Return the last version in use before the champion that was not taken back and still has its files."""
    return last_intact(champion_history(places)[:-1], places)


def last_intact(numbers: list[int], places: Places) -> Version | None:
    """Return the last of these versions that still exists, was not taken back, and still has its files."""
    by_number = {version.number: version for version in versions(places)}
    existing = [by_number[number] for number in reversed(numbers) if number in by_number]
    return next((version for version in existing if not (version.withdrawn or version.removed)), None)


def recorded_champions(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use, the newest last, as each promotion recorded them before its alias."""
    name = places.registered_name
    stored = queries.cached_query(
        f"champions of {name}", lambda client: client.get_registered_model(name).tags.get(CHAMPIONS, ""), "", places
    )
    return [int(number) for number in stored.split()]


def champion_history(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use, up to the one in use now."""
    current, numbers = by_alias(CHAMPION, places), recorded_champions(places)
    if current is None:
        return []
    while numbers and numbers[-1] != current.number:
        numbers.pop()  # the champion came into use by a rollback, or a crash came before the alias
    return numbers or [current.number]
