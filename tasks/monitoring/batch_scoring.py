"""Batch scoring: judges a folder of photographs as it fills. A version judges each content once.

Its answer stays in a table, a row an image, also after the photograph was taken away.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tasks.images.decoding import MAX_BYTES
from tasks.inference import model_folder
from tasks.inference.predictor import Answer, Measures, Predictor
from tasks.records.rows import DecisionName
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal, for_utf8, from_csv
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.sources.folder import is_image, left_out, look_through, readable
from tasks.sources.settling import settled_files
from tasks.sources.stamps import Stamp, add_camera_time, path_stamps
from tasks.storage.digest_cache import file_digests
from tasks.storage.files import write_whole
from tasks.storage.locks import exclusive_lock
from tasks.storage.tables import write_rows
from tasks.tracking import registry

BLOCK = 4_096  # images after which the table is written again: a killed process loses no more
DECISIONS = get_args(DecisionName)
FIRST_COLUMNS = (  # of the first tables
    "path", "sha256", "label", "defect_probability", "decision", "reason", "model_version", "judged",
)  # fmt: skip
# A new column comes last, so that an older table is a narrower one.
COLUMNS = (
    *FIRST_COLUMNS,
    *(name for name in Answer.model_fields if name not in FIRST_COLUMNS),
    *Stamp._fields,
    *Measures._fields,
)
Rows = list[dict[str, Any]]


class BatchResult(NamedTuple):
    """The result of one look at a folder."""

    table: Path
    """`version-N-DIGEST.csv`: all that this model said of the folder; `judged` is the time in UTC."""
    rows: Rows
    """Those that are new, in the order of their names."""
    waiting: int
    """Images that are still being written, left for the next time."""
    left_out: list[str]
    """A sentence for each file or folder that was not judged: it cannot be read, or is of another format."""


def judge_folder(
    folder: Path,
    results: Path,
    settle_seconds: float,
    version: registry.Version,
    places: Places,
    stamp: str | None = None,
) -> BatchResult:
    """Judge what the table of this version under `results` does not hold, and add it there.

    `stamp` is the pattern that finds station, part and time in the path of a photograph below the folder.

    Raises BadInput where there is no folder.
    """
    if not os.path.isdir(folder):  # `Path` raises for a folder that may not be looked at
        raise BadInput(f"there is no folder {str(folder)!r}: give the one that the photographs are put into")
    folder = folder.absolute()
    files, faults = readable(folder, look_through(folder))
    names = [name for name in files if is_image(name)]
    settled = settled_files([f"{folder}/{name}" for name in names], settle_seconds, places)
    written = [name for name in names if f"{folder}/{name}" in settled]
    # The model is loaded if there is something to ask.
    model = cache(lambda: Predictor(model_folder.ensure_local(version, places), version.number))
    table = results / table_name(version)
    make_writable(results)
    with exclusive_lock(results / ".judging.lock"):
        digests = file_digests([folder / name for name in written], places, MAX_BYTES)
        contents = [(name, sha256) for name, sha256 in zip(written, digests, strict=True) if sha256 is not None]
        rows = judge_new(folder, contents, table, model, stamp)
    lost = [name for name, sha256 in zip(written, digests, strict=True) if sha256 is None]
    faults += [f"{for_terminal(name)} could not be read, or was taken away" for name in lost]
    return BatchResult(table, rows, len(names) - len(written), [*faults, *left_out(files)])


def table_name(version: registry.Version) -> str:
    """Return the name of a version's table. It holds the digest, because version 1 of another registry is another model."""
    return f"version-{version.number}-{version.model[:12]}.csv"


def judge_new(
    folder: Path,
    contents: Iterable[tuple[str, str]],
    table: Path,
    model: Callable[[], Predictor],
    stamp: str | None = None,
) -> Rows:
    """Judge each (name, sha256) that the table does not hold, add it there, and return the rows that are new.

    Raises BadInput where the pattern of `stamp` searches for too long, before anything is judged.
    """
    rows = read(table)
    judged_before = {(row["path"], row["sha256"]) for row in rows}
    new = [(name, sha256) for name, sha256 in contents if (for_utf8(name), sha256) not in judged_before]
    stamps = path_stamps([name for name, _ in new], stamp)
    for start in range(0, len(new), BLOCK):
        block = slice(start, start + BLOCK)
        rows += answers(folder, new[block], stamps[block], rows, model)
        write_rows(table, rows, COLUMNS)
    return rows[len(rows) - len(new) :]


def make_writable(results: Path) -> None:
    """Raise BadInput unless `results` is, or becomes, a folder that can be written to."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        open(results / ".judging.lock", "a").close()
    except OSError as error:
        raise BadInput(
            f"--results {results} cannot be used ({error.strerror}): give a folder that can be written to"
        ) from error


def answers(
    folder: Path,
    images: Sequence[tuple[str, str]],
    stamps: Sequence[Stamp],
    rows: Rows,
    model: Callable[[], Predictor],
) -> Rows:
    """Return a row for each (name, sha256) and its stamp. A content that has an answer, here or in earlier rows, gets the same one again.

    A file that is too large to be read has an empty sha256, and an answer of its own.
    """
    answer_of = {row["sha256"]: row for row in rows if row["sha256"]}
    unknown = {sha256 or name: name for name, sha256 in reversed(images) if sha256 not in answer_of}
    if unknown:
        judged = model().judge_measured([(name, folder / name) for name in unknown.values()])
        answer_of |= {
            key: answer.model_dump() | measures._asdict()
            for key, (answer, measures) in zip(unknown, judged, strict=True)
        }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        {
            **answer_of[sha256 or name],
            **add_camera_time(stamp, folder / name)._asdict(),
            "path": for_utf8(name),
            "sha256": sha256,
            "judged": now,
        }
        for (name, sha256), stamp in zip(images, stamps, strict=True)
    ]


def read(table: Path) -> Rows:
    """Return the rows that earlier calls wrote; none before the first.

    Keep the whole rows of a table that was cut short or damaged: write it anew, leave a copy of it beside it, and say so in one
    line. Raises BadInput for a table of something else, and for one that cannot be read.
    """
    try:
        content = table.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{table} cannot be read ({error.strerror}): move it away, and all is judged again") from error
    first, end_of_line, _ = content.partition(b"\n")
    head, cells = ",".join(COLUMNS).encode(), tuple(first.decode(errors="replace").rstrip("\r").split(","))
    is_older = len(cells) >= len(FIRST_COLUMNS) and cells == COLUMNS[: len(cells)]
    if not (is_older if end_of_line else head.startswith(first)):
        raise BadInput(f"{table} is not a table of judged images: its head is not {', '.join(COLUMNS)}; move it away")
    rows, damaged = whole_rows(content)
    if damaged:
        copy = table.with_name(f"{table.stem}-damaged-{hashlib.sha256(content).hexdigest()[:8]}.csv")
        write_whole(copy, content)
        write_rows(table, rows, COLUMNS)
        say(
            f"{table} is damaged: the {len(rows):,} whole rows stay, other images are judged again; a copy is {copy.name}"
        )
    return rows


def whole_rows(content: bytes) -> tuple[Rows, bool]:
    """Return the rows that are whole, and whether there is anything else.

    The last line must end in a line break: a time that is cut short still looks like one.
    """
    text, lines = content.decode("utf-8", errors="replace"), list[list[str]]()
    damaged = not text.endswith("\n")
    try:
        lines.extend([*map(from_csv, cells)] for cells in csv.reader(io.StringIO(text, newline="")))
    except csv.Error:  # a quote that never closes
        damaged = True
    width = len(lines[0]) if lines else 0
    lines = lines[1 : -1 if damaged else None]
    rows = [dict(zip_longest(COLUMNS, cells, fillvalue="")) for cells in lines if is_whole(cells, width)]
    return rows, damaged or len(rows) != len(lines)


def is_whole(cells: Sequence[str], width: int) -> bool:
    """Return whether the cells are those of a judged image, in a table of this many columns."""
    if len(cells) != width or any("\0" in cell or "\ufffd" in cell for cell in cells):
        return False
    row = dict(zip(COLUMNS, cells, strict=False))
    return bool(row["path"] and re.fullmatch("([0-9a-f]{64})?", row["sha256"]) and row["decision"] in DECISIONS)
