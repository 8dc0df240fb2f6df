"""Promote: lists versions, puts one into use, takes the one in use back, or answers for one that waits for approval.

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
from tasks.tracking import registry, runs

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
    as_list: bool = Field(False, description="List the versions.")
    places: Places = Places()


class Answer(RunInput):
    """What a person says of a challenger."""

    promote: bool
    reason: str = Field("", description="Why; it is kept with the version.")


def change(version: int | None, rollback: bool, refuse: int | None, reason: str, places: Places) -> str:
    """Does what is asked, one thing of the three, and says it in one sentence."""
    if sum((version is not None, rollback, refuse is not None)) != 1:
        raise BadInput("say one thing: --version N, --rollback, --refuse N, or --list")
    runs.require_usable(places)
    places = resolve_model(places)
    with registry.promotion_lock(places):
        if rollback:
            if earlier := registry.previous(places):
                model_folder.ensure_local(earlier, places)  # before anybody is sent to it
            now, before = registry.rollback(f"was taken back{because(reason)}", places)
            return (
                f"{registry.version_name(now.number, places)} is in use again, version {before.number} was taken back"
            )
        if refuse is not None:
            return refuse_version(refuse, reason, places)
        return put_into_use(registry.version(version or 0, places), places)


def put_into_use(chosen: registry.Version, places: Places) -> str:
    champion = registry.by_alias(registry.CHAMPION, places)  # it mends what `registry.champion` refuses
    if champion and champion.number == chosen.number:
        return f"{registry.version_name(chosen.number, places)} is in use already"
    model_folder.ensure_local(chosen, places)  # before anybody is sent to it
    registry.withdraw(chosen.number, None, places)
    try:
        registry.promote(chosen.number, number(champion), places)
    except registry.ChampionChanged:  # by another machine, which no lock keeps out
        raise BadInput("another version came into use meanwhile: look at --list, and say it again") from None
    replaced = f", version {champion.number} no longer" if champion else ""
    return f"{registry.version_name(chosen.number, places)} is in use{replaced}"


def refuse_version(number: int, reason: str, places: Places) -> str:
    registry.refuse(number, f"was refused{because(reason)}", places)
    return f"{registry.version_name(number, places)} is refused: no run promotes it"


def because(reason: str) -> str:
    return f": {reason}" if reason else ""


@flow(flow_run_name="promote", log_prints=True)
def promote(
    version: int | None = None,
    rollback: bool = False,
    refuse: int | None = None,
    reason: str = "",
    places: Places = Places(),
) -> str:
    """As the command line does it: one of version, rollback and refuse."""
    with without_secrets():
        done = change(version, rollback, refuse, reason, places)
    say(done)
    return done


@flow(flow_run_name="approve version {version}", log_prints=True, persist_result=True)
def approve(version: int, places: Places = Places()) -> str:
    """Asks a person about a challenger, in the Prefect UI: the run is suspended, and holds no worker, until it is answered."""
    with without_secrets():
        return approval(version, resolve_model(places))


def approval(version: int, places: Places) -> str:
    """Ask, and do what is answered."""
    waiting = registry.version(version, places)
    if waiting.withdrawn or registry.CHALLENGER not in waiting.aliases:
        say(nothing := f"version {version} does not wait for an answer")
        return nothing
    answer = suspend_flow_run(
        wait_for_input=Answer.with_initial_data(description=question(waiting, places), promote=False), timeout=WEEK
    )
    with registry.promotion_lock(places):
        say(done := apply_answer(waiting, answer, places))
    return done


def apply_answer(waiting: registry.Version, answer: Answer, places: Places) -> str:
    """Does what a person said of a challenger. Raises BadInput when another version than the one it was judged beside is in use."""
    if not answer.promote:
        return refuse_version(waiting.number, answer.reason, places)
    champion = number(registry.champion(places))
    if champion not in (waiting.champion_before, waiting.number):
        raise BadInput(
            f"version {waiting.number} was judged beside version {waiting.champion_before}, and version {champion} is in use "
            "now: run flows/retrain.py again, which judges it beside that one, or promote it by name"
        )
    return put_into_use(waiting, places)


def question(waiting: registry.Version, places: Places) -> str:
    """What a person should know before answering, in Markdown."""
    decided = runs.decision_of_run(waiting.tracked, places)
    told = [f"{rule.name}: {rule.figure} ({rule.limit})" for rule in decided.rules] if decided else []
    rules = "\n".join(f"* {for_markdown(line)}" for line in told)
    why = for_markdown(waiting.reason)
    return f"**Version {waiting.number}** of run {code(waiting.run_id)}: {why}.\n\n{rules}\n\n{ANSWERS}"


def number(version: registry.Version | None) -> int | None:
    return version.number if version else None


def versions_table(places: Places) -> Table:
    table = Table("version", "", "model", "run", "why", box=None, pad_edge=False, header_style="bold")
    if places.registered_name != MODEL:
        table.title, table.title_justify = cell(places.registered_name), "left"
    for one in registry.versions(places):
        state = {"withdrawn": one.withdrawn, "files removed": one.removed}
        marks = ", ".join([*one.aliases, *(name for name, why in state.items() if why)])
        table.add_row(*map(cell, (str(one.number), marks, one.model[:12], one.run_id, one.withdrawn or one.reason)))
    return table


def main() -> None:
    asked = parse(PromoteArguments, sys.argv[1:])
    if asked.as_list:
        places = resolve_model(asked.places)
        show(versions_table(places))
        if why := registry.out_of_use(places):
            say(why)
    else:
        say(change(asked.version, asked.rollback, asked.refuse, asked.reason, asked.places))


if __name__ == "__main__":
    sys.exit(exit_status(main))
