"""Inspection: a folder that fills with photographs, judged as it grows. Each content is judged once by a version, and its answer
stays in a table, a row an image, also after the photograph was taken away.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from tasks.models import bundle
from tasks.models.prediction import Answer, Predictor
from tasks.runs import registry
from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.files import alone
from tasks.runs.states import digests
from tasks.runs.tables import read_csv, write_rows
from tasks.sources.arrivals import settled
from tasks.sources.folder import is_image, walk

BLOCK = 4_096  # images after which the table is written again: a killed process loses no more
COLUMNS = (*Answer.model_fields, "judged")
Rows = list[dict[str, Any]]


class Inspected(NamedTuple):
    """What an inspection did."""

    table: Path
    """`version-N-DIGEST.csv`: all that this model said of the folder; `judged` is the time in UTC."""
    rows: Rows
    """Those that are new, in the order of their names."""
    waiting: int
    """Images that are still being written, left for the next time."""
    closed: int
    """Images that this user may not read."""


def inspect(folder: Path, results: Path, settle_seconds: float, version: registry.Version, places: Places) -> Inspected:
    """Judges what the table of this version under `results` has not, and adds it there. Raises BadInput where there is no folder."""
    if not folder.is_dir():
        raise BadInput(f"there is no folder {str(folder)!r}: give the one that the photographs are put into")
    names = [name for name in walk(folder) if is_image(name)]
    whole = settled([f"{folder}/{name}" for name in names], settle_seconds)
    closed = {name for name in names if not os.access(folder / name, os.R_OK)}
    there = [name for name in names if f"{folder}/{name}" in whole and name not in closed]
    paths = [folder.absolute() / name for name in there]
    model = cache(
        lambda: Predictor(bundle.obtained(version, places), version.number)
    )  # loaded if there is something to ask
    # Of another registry, version 1 is another model.
    table, added = results / f"version-{version.number}-{version.model[:12]}.csv", Rows()
    results.mkdir(parents=True, exist_ok=True)
    with alone(results / ".judging.lock"):
        rows = read(table)
        known = {(row["path"], row["sha256"]) for row in rows}
        new = [one for one in zip(there, digests(paths, places), strict=True) if one[1] and one not in known]
        for start in range(0, len(new), BLOCK):
            answered = answers(folder, new[start : start + BLOCK], rows, model)
            rows, added = rows + answered, added + answered
            write_rows(table, rows, COLUMNS)
    return Inspected(table, added, len(names) - len(whole), len(closed))


def answers(folder: Path, some: Sequence[tuple[str, str | None]], rows: Rows, model: Callable[[], Predictor]) -> Rows:
    """A row for each (name, sha256); a content that has an answer, here or in earlier rows, gets the same one again."""
    said = {row["sha256"]: row for row in rows}
    unknown = {sha256: name for name, sha256 in reversed(some) if sha256 not in said}
    if unknown:
        judged = model().judge([(name, folder / name) for name in unknown.values()])
        said |= {sha256: answer.model_dump() for sha256, answer in zip(unknown, judged, strict=True)}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [{**said[sha256], "path": name, "judged": now} for name, sha256 in some]


def read(table: Path) -> Rows:
    """The rows of an earlier inspection; none before the first. Raises BadInput when they are not such."""
    if not table.is_file():
        return []
    rows = read_csv(table)
    if tuple(next(rows, ())) != COLUMNS:
        raise BadInput(f"{table} is not a table of judged images: its head is not {', '.join(COLUMNS)}; move it away")
    return [dict(zip_longest(COLUMNS, row[: len(COLUMNS)])) for row in rows if row]
