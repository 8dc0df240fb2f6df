"""Judge: what the model in use says of a folder that fills with photographs; each image once.

python flows/judge.py FOLDER [--results DIR]
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.runs.messages import say, without_secrets
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field
from pydantic_settings import CliPositionalArg

from tasks.models.inspection import Inspected, inspect
from tasks.runs import registry
from tasks.runs.commandline import Arguments, exit_status, parse
from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.escaping import for_markdown, for_terminal
from tasks.runs.markdown import code, table

SHOWN = 50  # images for a person, in the Prefect UI
SETTLED = 5.0  # seconds without a change, after which a photograph counts as written


class JudgeArguments(Arguments):
    """Judge the photographs of a folder that this version has not judged yet."""

    folder: CliPositionalArg[Path] = Field(description="Folder that photographs are put into.")
    results: Path | None = Field(
        None, description="Folder for the tables; the folder's own path below `artifacts/judged` when not given."
    )
    settle_seconds: float = Field(SETTLED, ge=0, description="Younger files are left for the next time.")
    places: Places = Places()


def run_name() -> str:
    return for_terminal(f"judge {flow_run.parameters['folder']}")


@flow(flow_run_name=run_name, log_prints=True)
def judge(folder: Path, results: Path | None = None, settle_seconds: float = SETTLED, places: Places = Places()) -> int:
    """As the command line does it. The images that were judged; those for a person are listed in the Prefect UI."""
    with without_secrets():
        done = inspected(folder, results, settle_seconds, places)
    say(told(done))
    if done.rows:
        create_markdown_artifact(report(done), key="judged", description=f"{code(str(folder))}, judged")
    return len(done.rows)


def inspected(folder: Path, results: Path | None, settle_seconds: float, places: Places) -> Inspected:
    champion = registry.champion(places)
    if champion is None:
        raise BadInput(f"no model is in use in {places.artifacts.absolute()}: run flows/retrain.py first")
    there = folder.absolute()
    below = there.relative_to(there.anchor)  # the whole of it: many stations have a folder `images`
    return inspect(folder, results or places.artifacts / "judged" / below, settle_seconds, champion, places)


def told(done: Inspected) -> str:
    """One line: what is new, and where it stands."""
    found = Counter(row["decision"] for row in done.rows)
    counted = ", ".join(f"{found[decision]:,} {decision}" for decision in ("pass", "review", "reject"))
    left = f"; {done.waiting:,} are still being written" if done.waiting else ""
    left += f"; {done.closed:,} cannot be read by this user" if done.closed else ""
    return f"new images: {len(done.rows):,}; {counted}{left}; {done.table}" if done.rows else f"nothing new{left}"


def report(done: Inspected) -> str:
    """The same for the Prefect UI, with the images that a person should look at."""
    cases = [(code(row["path"]), code(row["reason"])) for row in done.rows if row["decision"] == "review"]
    listed = table(("For a person", "Why"), cases[:SHOWN]) if cases else ""
    more = f"{SHOWN} of {len(cases):,} are shown." if len(cases) > SHOWN else ""
    return "\n\n".join(filter(None, [for_markdown(told(done)), listed, more]))


def main() -> None:
    asked = parse(JudgeArguments, sys.argv[1:])
    say(told(inspected(asked.folder, asked.results, asked.settle_seconds, asked.places)))


if __name__ == "__main__":
    sys.exit(exit_status(main))
