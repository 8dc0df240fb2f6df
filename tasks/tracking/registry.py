"""Registry: released models as versions of one registered model, and which of them is in use.

The alias `champion` alone says what is in use. It is changed in one step, after the version is complete and was read back. The other
aliases and the list of champions only say where to go back to.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import MODEL, Places
from tasks.storage.files import exclusive_lock
from tasks.tracking import runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
DIGEST, RUN, REASON, BEFORE, WITHDRAWN, STORED = (
    f"recast.{name}" for name in ("digest", "run", "reason", "champion_before", "withdrawn", "stored")
)
CHAMPIONS = "recast.champions"  # of the registered model: the numbers of all that were in use, the newest last
REMEMBERED = 200  # champions


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
    removed: str | None = None
    """Day on which its files were removed, here and from the registry."""
    stored: str | None = None
    """Digest of all that MLflow stores of it, with the code that it brings along; None: it was released before this was noted."""
    aliases: tuple[str, ...] = ()


class ChampionChanged(Exception):
    """Another run changed the champion meanwhile: what was decided against the earlier one has to be decided again."""


def champion(places: Places) -> Version | None:
    """Return the version in use, or None before the first promotion. Raises BadInput where somebody removed its alias."""
    now = by_alias(CHAMPION, places)
    if now is None and (why := out_of_use(places)):
        raise BadInput(why)
    return now


def out_of_use(places: Places) -> str:
    """Say that the alias of the version in use was removed, and what brings a version back; "" where it was not removed."""
    if by_alias(CHAMPION, places) or not (earlier := unaliased_champions(places)):
        return ""
    name, named = places.registered_name, model_option(places)
    what = f"no version of {name} is in use in {runs.address(places)}: the alias `{CHAMPION}` was removed"
    if (last := last_intact(earlier, places)) is None:
        return (
            f"{what}, and each version that was in use was taken back; `flows/promote.py --list{named}` shows all, "
            "`--version N` brings N into use"
        )
    return f"{what}; `flows/promote.py --version {last.number}{named}` brings the last one back into use"


def unaliased_champions(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use before the alias was removed.

    None before the first promotion, and where none of them is left that could come back: the next model is a first one.
    """
    numbers = recorded_champions(places)
    there = [one for one in versions(places) if one.number in numbers and not one.removed]
    if not there:
        return []
    first = next((one for one in there if [one.number] == numbers), None)
    # A run that was killed amid the first promotion has noted its decision and not carried it out: the next run does.
    killed = first and runs.is_unapplied(first.tracked, places) and runs.decision_of_run(first.tracked, places)
    return [] if killed else numbers


def by_alias(alias: str, places: Places) -> Version | None:
    def ask(client: "MlflowClient") -> dict:
        return summary(client.get_model_version_by_alias(places.registered_name, alias)).model_dump(mode="json")

    there = runs.cached_query(f"{alias} of {places.registered_name}", ask, None, places)
    return Version.model_validate(there) if there else None


def model_option(places: Places) -> str:
    """Return the option that names this registered model: a command without it means the model of the last run."""
    return f" --places.registered_model {shlex.quote(places.registered_name)}"


def version_name(number: int, places: Places) -> str:
    """Return what people call a version: by its number, and by its registered model where that is not the usual one."""
    return f"version {number}" + (f" of {places.registered_name}" if places.registered_name != MODEL else "")


def version(number: int, places: Places) -> Version:
    """A version by its number. Raises BadInput when there is none."""
    there = versions(places)
    if found := next((one for one in there if one.number == number), None):
        return found
    known = ", ".join(str(one.number) for one in there)
    raise BadInput(
        f"there is no version {number} of {places.registered_name} in {runs.address(places)}: "
        f"there {f'are {known}' if known else 'is none yet'}"
    )


def versions(places: Places) -> list[Version]:
    """All, in order."""

    def ask(client: "MlflowClient") -> list[dict]:
        everyone, token = [], None
        while token != "":
            page = client.search_model_versions(f"name = '{places.registered_name}'", 1000, page_token=token)
            everyone += [client.get_model_version(one.name, one.version) for one in page]
            token = page.token or ""
        return [summary(one).model_dump(mode="json") for one in everyone]

    nothing: list[dict] = []
    there = runs.cached_query(f"versions of {places.registered_name}", ask, nothing, places)
    return sorted(map(Version.model_validate, there), key=lambda one: one.number)


def summary(found: "ModelVersion") -> Version:
    tags = found.tags
    before = tags.get(BEFORE, "")
    return Version(
        number=int(found.version), model=tags.get(DIGEST, ""), run_id=tags.get(RUN, ""), reason=tags.get(REASON, ""),
        champion_before=int(before) if before else None, tracked=found.run_id or "", withdrawn=tags.get(WITHDRAWN),
        removed=tags.get(runs.REMOVED), stored=tags.get(STORED), aliases=tuple(found.aliases),
    )  # fmt: skip


@contextmanager
def promotion_lock(places: Places) -> Iterator[None]:
    """Of two runs on one machine that decide at once, the later waits, and then sees the earlier one's champion."""
    folder = places.artifacts.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / ".deciding.lock"):
        yield


def register(
    folder: Path, name: str, tracked: str, run_id: str, reason: str, champion_before: int | None, places: Places
) -> Version:
    """The model's folder, named by its digest, as a version, complete: of this decision there is one, crashes or not."""
    made = next((one for one in versions(places) if (one.model, one.tracked) == (folder.name, tracked)), None)
    if made:
        return made
    client = runs.client(places)
    if not runs.query(lambda client: client.get_registered_model(places.registered_name), None, places):
        client.create_registered_model(places.registered_name)
    source, model_id, stored = runs.keep_model(folder, name, tracked, places)
    tags = {
        DIGEST: folder.name,
        RUN: run_id,
        REASON: for_terminal(reason),
        BEFORE: str(champion_before or ""),
        STORED: stored,
    }
    return summary(
        client.create_model_version(places.registered_name, source, tracked, tags=tags, model_id=model_id)
    )  # fmt: skip


def adopt(number: int, run_id: str, places: Places) -> None:
    """Names the run whose folder tells of the version: the one that ended what a killed run began."""
    runs.client(places).set_model_version_tag(places.registered_name, str(number), RUN, run_id)


def discard(number: int, places: Places) -> None:
    """Removes a version that never came into use, because another did meanwhile."""
    runs.client(places).delete_model_version(places.registered_name, str(number))


def promote(number: int, over: int | None, places: Places) -> None:
    """Makes a version the champion in the place of `over`. Called by who is `promotion_lock`. Raises Overtaken when another is in use."""
    client, name = runs.client(places), places.registered_name
    now = by_alias(CHAMPION, places)
    if (now.number if now else None) != over:
        raise ChampionChanged
    before = champion_history(places) if now else unaliased_champions(places)
    if before[-1:] == [number]:  # it comes back
        before.pop()
    client.set_registered_model_tag(name, CHAMPIONS, " ".join(map(str, [*before, number][-REMEMBERED:])))
    client.set_registered_model_alias(name, CHAMPION, str(number))
    sync_aliases(places)


def challenge(number: int, places: Places) -> None:
    """Lets a version wait for a person's answer."""
    runs.client(places).set_registered_model_alias(places.registered_name, CHALLENGER, str(number))


def rollback(reason: str, places: Places) -> tuple[Version, Version]:
    """Takes the champion back: (what is in use now, what was). Raises BadInput when there is nothing to go back to."""
    now, before = champion(places), previous(places)
    if now is None or before is None:
        raise BadInput(
            f"version {now.number} is the only one that can be used: promote another by --version, --list shows them"
            if now
            else f"no model is in use in {runs.address(places)}: there is nothing to take back"
        )
    withdraw(now.number, reason, places)
    runs.client(places).set_registered_model_alias(places.registered_name, CHAMPION, str(before.number))
    sync_aliases(places)
    return before, now


def withdraw(number: int, reason: str | None, places: Places) -> None:
    """No run promotes this version again; with None as reason, runs may."""
    client, name = runs.client(places), places.registered_name
    if reason:
        client.set_model_version_tag(name, str(number), WITHDRAWN, for_terminal(reason))
    elif version(number, places).withdrawn:
        client.delete_model_version_tag(name, str(number), WITHDRAWN)


def refuse(number: int, reason: str, places: Places) -> None:
    """Answers no for a version. Raises BadInput when there is none, or when it is in use: that one is taken back."""
    refused = version(number, places)
    if CHAMPION in refused.aliases:
        raise BadInput(f"version {number} is in use: take it back by --rollback")
    withdraw(number, reason, places)
    sync_aliases(places)


def sync_aliases(places: Places) -> None:
    """Brings the other aliases in line with the champion."""
    client, name = runs.client(places), places.registered_name
    before, waiting, now = previous(places), by_alias(CHALLENGER, places), by_alias(CHAMPION, places)
    if before:
        client.set_registered_model_alias(name, PREVIOUS, str(before.number))
    elif by_alias(PREVIOUS, places):
        client.delete_registered_model_alias(name, PREVIOUS)
    if waiting and (waiting.withdrawn or now and waiting.number == now.number):
        client.delete_registered_model_alias(name, CHALLENGER)


def previous(places: Places) -> Version | None:
    """The newest version that was in use before the champion, was not taken back, and still has its files."""
    return last_intact(champion_history(places)[:-1], places)


def last_intact(numbers: list[int], places: Places) -> Version | None:
    """Return the last of these versions that is there, was not taken back, and still has its files."""
    by_number = {one.number: one for one in versions(places)}
    there = [by_number[number] for number in reversed(numbers) if number in by_number]
    return next((one for one in there if not (one.withdrawn or one.removed)), None)


def recorded_champions(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use, the newest last, as they were noted before each promotion."""

    def ask(client: "MlflowClient") -> str:
        return client.get_registered_model(places.registered_name).tags.get(CHAMPIONS, "")

    return [int(one) for one in runs.cached_query(f"champions of {places.registered_name}", ask, "", places).split()]


def champion_history(places: Places) -> list[int]:
    """Return the numbers of the versions that were in use, up to the one that is."""
    now, numbers = by_alias(CHAMPION, places), recorded_champions(places)
    if now is None:
        return []
    while numbers and numbers[-1] != now.number:
        numbers.pop()  # it came into use by a rollback, or a crash came before the alias
    return numbers or [now.number]
