"""Judge: what the model in use says of the photographs in a folder that fills. Each image is judged once.

python flows/judge.py FOLDER [--results DIR] [--stamp PATTERN] [--spot_check.share 0.02]
"""

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple, get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.settings.messages import say, warn, without_secrets
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field
from pydantic_settings import CliPositionalArg

from flows.events import tell_suspect
from tasks.monitoring.batch_scoring import BatchResult, judge_folder
from tasks.monitoring.escape_alarm import AlarmState, watch_escapes
from tasks.monitoring.checked_parts import checked_production, find_alarm, production_facts
from tasks.monitoring.people_queue import Station, judge_in_shadow, send_to_people
from tasks.monitoring.production import JUDGED
from tasks.monitoring.spot_checks import save_settings
from tasks.pipeline.last_run import no_champion_message, resolve_model
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.records.rows import DecisionName
from tasks.records.run import ProductionFacts
from tasks.reporting.markdown import code, counts, table
from tasks.reporting.production_section import production_metrics, production_section
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.settings import Places, SpotCheckSettings
from tasks.sources.folder import shorten
from tasks.sources.stamps import StampPattern
from tasks.tracking import registry, run_log

authenticate_or_exit()  # by the local password, where the server is on this machine

MAX_LISTED = 50  # images for a person, in the Prefect UI
QUEUE_MEGABYTES = 2_000  # of copies for people
SETTLE_SECONDS = 5.0  # between two looks at a new photograph: one that is the same at both counts as written


class JudgeArguments(Arguments):
    """Judge the photographs of a folder that this version has not judged yet."""

    folder: CliPositionalArg[Path] = Field(description="Folder that photographs are put into.")
    results: Path | None = Field(
        None, description="Folder for the tables; the folder's own path below `artifacts/judged` when not given."
    )
    settle_seconds: float = Field(
        SETTLE_SECONDS,
        ge=0,
        description="A new photograph that changes within so many seconds is left for the next time.",
    )
    stamp: StampPattern | None = Field(
        None, description="Regular expression on the path below the folder, with the groups station, part or time."
    )
    queue_megabytes: int = Field(
        QUEUE_MEGABYTES, ge=0, description="Most that the copies of photographs for people may take, in megabytes."
    )
    spot_check: SpotCheckSettings = SpotCheckSettings()
    places: Places = Places()


def run_name() -> str:
    """Return the name of the flow run in the Prefect UI."""
    return for_terminal(f"judge {flow_run.parameters['folder']}")


@flow(flow_run_name=run_name, log_prints=True)
def judge(
    folder: Path,
    results: Path | None = None,
    settle_seconds: float = SETTLE_SECONDS,
    places: Places = Places(),
    stamp: StampPattern | None = None,
    queue_megabytes: int = QUEUE_MEGABYTES,
    spot_check: SpotCheckSettings = SpotCheckSettings(),
) -> int:
    """Judge the new images as the command line does, and return how many. The Prefect UI lists those for a person.

    Where spot checks show that too many defective parts pass, send the event `recast.model.suspect`.
    """
    with without_secrets():
        judged = judge_by_champion(folder, results, settle_seconds, places, stamp, queue_megabytes, spot_check)
        if text := production_section(judged.checks):
            create_markdown_artifact(text, key="spot-checks", description="What spot checks show")
        if judged.alarm.is_suspect:
            tell_suspect(judged.champion, judged.alarm, resolve_model(places))
    say(*judged.lines())
    result = judged.result
    if result.rows:
        create_markdown_artifact(report(result), key="judged", description=f"{code(str(folder))}, judged")
    return len(result.rows)


class Judged(NamedTuple):
    """What is new in a folder, who judged it, and how the spot checks of that version stand."""

    result: BatchResult
    champion: registry.Version
    alarm: AlarmState
    notes: list[str]
    """Sentences about the photographs for people."""
    accepted: float
    """Share of the passed parts that may be defective."""
    checks: list[ProductionFacts]
    """What spot checks show of each version."""

    def lines(self) -> list[str]:
        """Return what there is to say: what is new, photographs for people, and a line where the version is suspect."""
        suspect = (
            f"SUSPECT: {self.alarm.escapes:,} of {self.alarm.checked:,} checked parts that version {self.champion.number} passed "
            f"are defective, more than the accepted {self.accepted:.1%}: look at them, and take it back by flows/promote.py --rollback"
        )
        return [summary_line(self.result), *self.notes, *([suspect] if self.alarm.is_suspect else [])]


def judge_by_champion(
    folder: Path,
    results: Path | None,
    settle_seconds: float,
    places: Places,
    stamp: str | None = None,
    queue_megabytes: int = QUEUE_MEGABYTES,
    spot_check: SpotCheckSettings = SpotCheckSettings(),
) -> Judged:
    """Judge the new images of a folder with the champion, copy what people should see, and say which version judges.

    A version that waits for approval judges them too, and decides nothing. Raises BadInput where no model is in use.
    """
    places = resolve_model(places)
    champion = registry.champion(places)
    if champion is None:
        raise BadInput(no_champion_message(places))
    warn(f"judging by version {champion.number}, of {places.registered_name}")
    absolute = folder.absolute()  # the whole of it names the results: many stations have a folder `images`
    results = results or places.artifacts / JUDGED / absolute.relative_to(absolute.anchor)
    station = Station(folder, results, stamp, queue_megabytes, spot_check)
    result = judge_folder(folder, results, settle_seconds, champion, places, stamp)
    try:
        save_settings(spot_check, places)
        notes = send_to_people(station, result, judge_in_shadow(station, result, places), places)
    except (BadInput, OSError) as fault:  # what was decided stands
        notes = [f"people cannot be asked: {fault}"]
    alarm, checks = watch_escapes([], spot_check.max_wrong_share), list[ProductionFacts]()
    try:
        alarm, checks = count_checks(champion, spot_check, places)
        if result.rows:  # else MLflow would be loaded at each look at a folder
            add_to_mlflow(champion, checks, places)
    except (BadInput, OSError) as fault:
        notes.append(f"spot checks: {fault}")
    return Judged(result, champion, alarm, notes, spot_check.max_wrong_share, checks)


def count_checks(
    champion: registry.Version, spot_check: SpotCheckSettings, places: Places
) -> tuple[AlarmState, list[ProductionFacts]]:
    """Return how the alarm of the version in use stands, and what spot checks show of each version."""
    photographs, labels = checked_production(places)
    alarm = find_alarm(photographs.get(champion.number, ()), labels, spot_check)
    return alarm, production_facts(photographs, labels, places)


def add_to_mlflow(champion: registry.Version, checks: list[ProductionFacts], places: Places) -> None:
    """Add what spot checks show of the version in use to its run in MLflow."""
    for facts in checks:
        if facts.version == champion.number:
            run_log.add_metrics(champion.tracked, production_metrics(facts), places)


def summary_line(result: BatchResult) -> str:
    """Return one line that says what is new, and where the table lies."""
    decisions = Counter(row["decision"] for row in result.rows)
    judged = [f"new images: {len(result.rows):,}", counts({name: decisions[name] for name in get_args(DecisionName)})]
    return "; ".join([
        *(judged if result.rows else ["nothing new"]),
        *([f"{result.waiting:,} are still being written"] if result.waiting else []),
        *(f"left out: {line}" for line in shorten(result.left_out)),
        *([str(result.table)] if result.rows else []),
    ])  # fmt: skip


def report(result: BatchResult) -> str:
    """Return the summary for the Prefect UI, as Markdown, with the images that a person should look at."""
    cases = [(code(row["path"]), code(row["reason"])) for row in result.rows if row["decision"] == "review"]
    listed = table(("For a person", "Why"), cases[:MAX_LISTED]) if cases else ""
    more = f"{MAX_LISTED} of {len(cases):,} are shown." if len(cases) > MAX_LISTED else ""
    return "\n\n".join(filter(None, [for_markdown(summary_line(result)), listed, more]))


def main() -> None:
    """Judge the new images of the folder that the command line names, and print the summary."""
    arguments = parse(JudgeArguments, sys.argv[1:])
    judged = judge_by_champion(
        arguments.folder,
        arguments.results,
        arguments.settle_seconds,
        arguments.places,
        arguments.stamp,
        arguments.queue_megabytes,
        arguments.spot_check,
    )
    say(*judged.lines())


if __name__ == "__main__":
    sys.exit(exit_status(main))
