"""Prune: removes what nothing needs any more: no kept run, and no version that is in use, was in use before or waits.

python flows/prune.py [--keep-runs N] [--dry-run]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from tasks.settings.messages import say, without_secrets
from prefect import flow
from pydantic import Field

from tasks.labeling.queue_garbage import answered_photographs
from tasks.pipeline import retention
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.settings import Places

authenticate_or_exit()  # by the local password, where the server is on this machine


class PruneArguments(Arguments):
    """Remove what no version that may come into use, and no kept run, needs."""

    keep_runs: int = Field(20, ge=1, description="Newest runs that are kept, with all that they are made of.")
    dry_run: bool = Field(False, description="Say what would go, and leave it.")
    places: Places = Places()


@flow(flow_run_name="prune", log_prints=True)
def prune(keep_runs: int = 20, places: Places = Places()) -> int:
    """Remove what is not needed, as the command line does, and return how many bytes were removed."""
    with without_secrets():
        garbage = retention.prune(keep_runs, places, more=answered_photographs(places))
    say(*summary(garbage, "removed"))
    return sum(size for _, size in garbage.values())


def summary(garbage: dict[str, tuple[int, int]], verb: str) -> list[str]:
    """Return what was removed, a line a kind, and a line with the total. `garbage` holds (count, bytes) for each kind."""
    if not garbage:
        return ["nothing to remove: all that is there is needed"]
    return [
        *(f"{count:6,} {kind}, {size / 1e6:,.1f} MB" for kind, (count, size) in garbage.items()),
        f"{sum(size for _, size in garbage.values()) / 1e6:,.1f} MB {verb}",
    ]


def main() -> None:
    """Remove what is not needed, or with --dry-run say what it is."""
    arguments = parse(PruneArguments, sys.argv[1:])
    more = answered_photographs(arguments.places)
    garbage = retention.prune(arguments.keep_runs, arguments.places, dry=arguments.dry_run, more=more)
    say(*summary(garbage, "would be removed" if arguments.dry_run else "removed"))


if __name__ == "__main__":
    sys.exit(exit_status(main))
