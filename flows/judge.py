"""Judge: what the model in use says of the photographs in a folder that fills. Each image is judged once.

python flows/judge.py FOLDER [--results DIR]
"""

import sys
from collections import Counter
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.settings.messages import say, warn, without_secrets
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field
from pydantic_settings import CliPositionalArg

from tasks.monitoring.batch_scoring import BatchResult, judge_folder
from tasks.pipeline.last_run import no_champion_message, resolve_model
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.records.rows import DecisionName
from tasks.reporting.markdown import code, counts, table
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.settings import Places
from tasks.sources.folder import shorten
from tasks.tracking import registry

authenticate_or_exit()  # by the local password, where the server is on this machine

MAX_LISTED = 50  # images for a person, in the Prefect UI
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
    places: Places = Places()


def run_name() -> str:
    """Return the name of the flow run in the Prefect UI."""
    return for_terminal(f"judge {flow_run.parameters['folder']}")


@flow(flow_run_name=run_name, log_prints=True)
def judge(
    folder: Path, results: Path | None = None, settle_seconds: float = SETTLE_SECONDS, places: Places = Places()
) -> int:
    """Judge the new images as the command line does, and return how many. The Prefect UI lists those for a person."""
    with without_secrets():
        result = judge_by_champion(folder, results, settle_seconds, places)
    say(summary_line(result))
    if result.rows:
        create_markdown_artifact(report(result), key="judged", description=f"{code(str(folder))}, judged")
    return len(result.rows)


def judge_by_champion(folder: Path, results: Path | None, settle_seconds: float, places: Places) -> BatchResult:
    """Judge the new images of a folder with the champion, and say which version judges.

    Raises BadInput where no model is in use.
    """
    places = resolve_model(places)
    champion = registry.champion(places)
    if champion is None:
        raise BadInput(no_champion_message(places))
    warn(f"judging by version {champion.number}, of {places.registered_name}")
    absolute = folder.absolute()  # the whole of it names the results: many stations have a folder `images`
    results = results or places.artifacts / "judged" / absolute.relative_to(absolute.anchor)
    return judge_folder(folder, results, settle_seconds, champion, places)


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
    say(
        summary_line(judge_by_champion(arguments.folder, arguments.results, arguments.settle_seconds, arguments.places))
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
