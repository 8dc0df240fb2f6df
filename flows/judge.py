"""Judge: what the model in use says of a folder that fills with photographs; each image once.

python flows/judge.py FOLDER [--results DIR]
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.settings.messages import say, warn, without_secrets
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field
from pydantic_settings import CliPositionalArg

from tasks.monitoring.batch_scoring import BatchResult, score_folder
from tasks.pipeline.last_run import nothing_in_use, resolve_model
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.reporting.markdown import code, table
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.settings import Places
from tasks.sources.folder import shorten
from tasks.tracking import registry

authenticate_or_exit()  # by the local password, where the server is on this machine

SHOWN = 50  # images for a person, in the Prefect UI
SETTLED = 5.0  # seconds between two looks at a new photograph: one that is the same at both counts as written


class JudgeArguments(Arguments):
    """Judge the photographs of a folder that this version has not judged yet."""

    folder: CliPositionalArg[Path] = Field(description="Folder that photographs are put into.")
    results: Path | None = Field(
        None, description="Folder for the tables; the folder's own path below `artifacts/judged` when not given."
    )
    settle_seconds: float = Field(
        SETTLED, ge=0, description="A new photograph that changes within so many seconds is left for the next time."
    )
    places: Places = Places()


def run_name() -> str:
    return for_terminal(f"judge {flow_run.parameters['folder']}")


@flow(flow_run_name=run_name, log_prints=True)
def judge(folder: Path, results: Path | None = None, settle_seconds: float = SETTLED, places: Places = Places()) -> int:
    """As the command line does it. The images that were judged; those for a person are listed in the Prefect UI."""
    with without_secrets():
        done = score_and_show(folder, results, settle_seconds, places)
    say(summary_line(done))
    if done.rows:
        create_markdown_artifact(report(done), key="judged", description=f"{code(str(folder))}, judged")
    return len(done.rows)


def score_and_show(folder: Path, results: Path | None, settle_seconds: float, places: Places) -> BatchResult:
    places = resolve_model(places)
    champion = registry.champion(places)
    if champion is None:
        raise BadInput(nothing_in_use(places))
    warn(f"judging by version {champion.number}, of {places.registered_name}")
    there = folder.absolute()
    below = there.relative_to(there.anchor)  # the whole of it: many stations have a folder `images`
    return score_folder(folder, results or places.artifacts / "judged" / below, settle_seconds, champion, places)


def summary_line(done: BatchResult) -> str:
    """One line: what is new, and where it stands."""
    found = Counter(row["decision"] for row in done.rows)
    counted = ", ".join(f"{found[decision]:,} {decision}" for decision in ("pass", "review", "reject"))
    parts = [f"new images: {len(done.rows):,}", counted] if done.rows else ["nothing new"]
    parts += [f"{done.waiting:,} are still being written"] if done.waiting else []
    parts += [f"left out: {line}" for line in shorten(done.left_out)]
    parts += [str(done.table)] if done.rows else []
    return "; ".join(parts)


def report(done: BatchResult) -> str:
    """The same for the Prefect UI, with the images that a person should look at."""
    cases = [(code(row["path"]), code(row["reason"])) for row in done.rows if row["decision"] == "review"]
    listed = table(("For a person", "Why"), cases[:SHOWN]) if cases else ""
    more = f"{SHOWN} of {len(cases):,} are shown." if len(cases) > SHOWN else ""
    return "\n\n".join(filter(None, [for_markdown(summary_line(done)), listed, more]))


def main() -> None:
    asked = parse(JudgeArguments, sys.argv[1:])
    say(summary_line(score_and_show(asked.folder, asked.results, asked.settle_seconds, asked.places)))


if __name__ == "__main__":
    sys.exit(exit_status(main))
