"""Promote: lists versions, puts one into use, takes back the one in use, or answers for one that waits for approval.

python flows/promote.py --list | --version N | --rollback | --refuse N  [--reason TEXT]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.reporting.markdown import code
from tasks.settings.escaping import for_markdown
from tasks.settings.messages import cell, say, show, without_secrets
from prefect import flow
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field
from rich.table import Table

from tasks.inference import model_folder
from tasks.pipeline.last_run import resolve_model
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.settings import MODEL, Places
from tasks.tracking import connection, registry, runs

authenticate_or_exit()  # by the local password, where the server is on this machine

WEEK = 7 * 86_400  # seconds that an answer is waited for
# Prefect forgets a field's own description where the form has a first value.
ANSWERS = "Switch **promote** on to put it into use; sent with it off, the version is refused."


class PromoteArguments(Arguments):
    """Say which released model is in use."""

    version: int | None = Field(None, ge=1, description="Put this version into use, whatever the rules said of it.")
    rollback: bool = Field(False, description="Take the model in use back, for the one before it.")
    refuse: int | None = Field(None, ge=1, description="Refuse this version: no run promotes it again.")
    reason: str = Field("", description="Why; it is kept with the version.")
    person: str = Field("", max_length=60, description="Who says so; it is kept with the version.")
    as_list: bool = Field(False, description="List the versions.")
    places: Places = Places()


class ApprovalAnswer(RunInput):
    """What a person says of a challenger."""

    promote: bool
    reason: str = Field("", description="Why; it is kept with the version.")


def change(
    version: int | None,
    rollback: bool,
    refuse: int | None,
    reason: str,
    places: Places,
    person: str = "",
    expected: int | None = None,
) -> str:
    """Do the one thing of the three that is asked for, and return one sentence that says what was done. `person` says who asks.

    A rollback is done only while the version `expected` is in use, where one is given.

    Raises BadInput where none or more than one is asked for.
    """
    if sum((version is not None, rollback, refuse is not None)) != 1:
        raise BadInput("say one thing: --version N, --rollback, --refuse N, or --list")
    connection.require_usable(places)
    places = resolve_model(places)
    with registry.promotion_lock(places):
        if rollback:
            if expected is not None and expected != (current := number(registry.champion(places))):
                raise BadInput(
                    f"version {expected} is to be taken back, and version {current} is in use: nothing was done"
                )
            if earlier := registry.previous(places):
                model_folder.ensure_local(earlier, places)  # before anybody is sent to it
            now, before = registry.rollback(f"was taken back{cause_suffix(person, reason)}", places)
            return (
                f"{registry.version_name(now.number, places)} is in use again, version {before.number} was taken back"
            )
        return (
            put_into_use(registry.version(version or 0, places), places, person, reason)
            if refuse is None
            else refuse_version(refuse, reason, places, person)
        )


def put_into_use(version: registry.Version, places: Places, person: str = "", reason: str = "") -> str:
    """Promote this version, note who asked for it, and return one sentence that says so.

    Raises BadInput where another machine changes the version in use meanwhile.
    """
    champion = registry.by_alias(registry.CHAMPION, places)  # it mends what `registry.champion` refuses
    if champion and champion.number == version.number:
        return f"{registry.version_name(version.number, places)} is in use already"
    model_folder.ensure_local(version, places)  # before anybody is sent to it
    registry.withdraw(version.number, None, places)
    try:
        registry.promote(version.number, number(champion), places)
    except registry.ChampionChanged:  # by another machine, which no lock keeps out
        raise BadInput("another version came into use meanwhile: look at --list, and say it again") from None
    if person:
        registry.note_approval(version.number, person, reason, places)
    replaced = f", version {champion.number} no longer" if champion else ""
    return f"{registry.version_name(version.number, places)} is in use{replaced}"


def refuse_version(number: int, reason: str, places: Places, person: str = "") -> str:
    """Refuse this version, and return one sentence that says so."""
    registry.refuse(number, f"was refused{cause_suffix(person, reason)}", places)
    return f"{registry.version_name(number, places)} is refused: no run promotes it"


def cause_suffix(person: str, reason: str) -> str:
    """Return who says so and why, as the end of a sentence, empty where neither is known."""
    return (f" by {person}" if person else "") + (f": {reason}" if reason else "")


@flow(flow_run_name="promote", log_prints=True)
def promote(
    version: int | None = None,
    rollback: bool = False,
    refuse: int | None = None,
    reason: str = "",
    places: Places = Places(),
    expected: int | None = None,
) -> str:
    """Put a version into use, take back the one in use or refuse one, as the command line does. Give exactly one of the three.

    With `expected` a rollback is done only while this version is in use.
    """
    with without_secrets():
        sentence = change(version, rollback, refuse, reason, places, expected=expected)
    say(sentence)
    return sentence


@flow(flow_run_name="approve version {version}", log_prints=True, persist_result=True)
def approve(version: int, places: Places = Places()) -> str:
    """Ask a person in the Prefect UI about a challenger. Until the answer comes, the run is suspended and holds no worker."""
    with without_secrets():
        return ask_and_apply(version, resolve_model(places))


def ask_and_apply(version: int, places: Places) -> str:
    """Ask a person about a challenger, do what the answer says, and return one sentence that says what was done."""
    waiting = registry.version(version, places)
    if waiting.withdrawn or registry.CHALLENGER not in waiting.aliases:
        say(sentence := f"version {version} does not wait for an answer")
        return sentence
    form = ApprovalAnswer.with_initial_data(description=question(waiting, places), promote=False)
    answer = suspend_flow_run(wait_for_input=form, timeout=WEEK)
    with registry.promotion_lock(places):
        say(sentence := apply_answer(waiting, answer, places))
    return sentence


def apply_answer(waiting: registry.Version, answer: ApprovalAnswer, places: Places, person: str = "") -> str:
    """Do what a person said of a challenger.

    Raises BadInput when the version in use is no longer the one that the challenger was judged beside.
    """
    if not answer.promote:
        return refuse_version(waiting.number, answer.reason, places, person)
    champion = number(registry.champion(places))
    if champion not in (waiting.champion_before, waiting.number):
        raise BadInput(
            f"version {waiting.number} was judged beside version {waiting.champion_before}, and version {champion} is in use "
            "now: run flows/retrain.py again, which judges it beside that one, or promote it by name"
        )
    return put_into_use(waiting, places, person, answer.reason)


def question(waiting: registry.Version, places: Places) -> str:
    """Return what a person should know before answering, in Markdown."""
    decision = runs.decision_of_run(waiting.tracked, places)
    rules = decision.rules if decision else ()
    lines = "\n".join(f"* {for_markdown(f'{rule.name}: {rule.figure} ({rule.limit})')}" for rule in rules)
    head = f"**Version {waiting.number}** of run {code(waiting.run_id)}: {for_markdown(waiting.reason)}."
    return f"{head}\n\n{lines}\n\n{ANSWERS}"


def number(version: registry.Version | None) -> int | None:
    """Return the number of a version, None for no version."""
    return version.number if version else None


def versions_table(places: Places) -> Table:
    """Return all versions as a table for the terminal, a row a version."""
    table = Table("version", "", "model", "run", "why", box=None, pad_edge=False, header_style="bold")
    if places.registered_name != MODEL:
        table.title, table.title_justify = cell(places.registered_name), "left"
    for version in registry.versions(places):
        state = {"withdrawn": version.withdrawn, "files removed": version.removed}
        marks = ", ".join([*version.aliases, *(name for name, cause in state.items() if cause)])
        approved = version.approved and f"approved by {version.approved}"
        why = version.withdrawn or approved or version.reason
        table.add_row(*map(cell, (str(version.number), marks, version.model[:12], version.run_id, why)))
    return table


def main() -> None:
    """Do what the command line asks for, and print what was done."""
    arguments = parse(PromoteArguments, sys.argv[1:])
    if arguments.as_list:
        places = resolve_model(arguments.places)
        show(versions_table(places))
        if why := registry.missing_champion_message(places):
            say(why)
    else:
        say(
            change(
                arguments.version,
                arguments.rollback,
                arguments.refuse,
                arguments.reason,
                arguments.places,
                arguments.person,
            )
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
