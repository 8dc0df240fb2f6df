"""Label log: what people said of photographs, in `artifacts/labels.csv`. Rows are only added, so that nobody's answer is ever lost."""

import csv
import io
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

from tasks.records.rows import LabelName, LabelRow
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_csv, for_terminal, from_csv
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage.files import sync
from tasks.storage.locks import exclusive_lock

NAME = "labels.csv"
LABELS = get_args(LabelName)
IS_WITHDRAWN: LabelName = "withdrawn"
SECOND_LOOK = "second_look"  # queue of the agreement study: its answers measure people, and never change a label
HEX_32, HEX_64 = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")


class LabelLog:
    """The rows of `artifacts/labels.csv`, read again where another process added some. Threads may share it."""

    def __init__(self, places: Places):
        """Take the file of these places; it begins with the first row."""
        self.path, self.places = places.artifacts_root / NAME, places
        self._thread_lock = threading.Lock()
        self._rows: dict[str, LabelRow] = {}
        self._read_bytes = self._inode = 0

    def rows(self) -> list[LabelRow]:
        """Return all rows, the oldest first. Raises BadInput where the file cannot be read, or is none of labels."""
        with self._thread_lock:
            self._read_new()
            return list(self._rows.values())

    def append(self, row: LabelRow) -> bool:
        """Add a row, and wait until it is on disk. Return whether it is new: an answer that comes twice is added once.

        Raises BadInput where the file cannot be written.
        """
        line = format_line(row)
        # Locks in the order of the placement, which reads rows within its lock: else both wait for ever.
        with labels_lock(self.places), self._thread_lock:
            self._read_new()
            if row.decision in self._rows:
                return False
            try:
                self._write(line)
            except OSError as error:
                raise BadInput(f"{self.path} cannot be written ({error.strerror}): the answer is not stored") from error
            self._read_new()
        return True

    def _write(self, line: bytes) -> None:
        """Add the line, after the header and on a line of its own, whatever a killed process left."""
        header = ",".join(LabelRow._fields).encode() + b"\n"
        is_new = not self.path.exists()
        with open(self.path, "ab") as opened:
            if self._read_bytes == 0 and header.startswith(self.path.read_bytes()):  # new, or killed within the header
                opened.truncate(0)
                line = header + line
            elif last_byte(self.path) != b"\n":
                line = b"\n" + line
            opened.write(line)
            opened.flush()
            os.fsync(opened.fileno())
        if is_new:
            sync(self.path.parent)

    def _read_new(self) -> None:
        """Read the whole lines that were added since the last look."""
        try:
            with open(self.path, "rb") as opened:
                state = os.fstat(opened.fileno())
                if state.st_size < self._read_bytes or state.st_ino != self._inode:  # restored from a backup, or edited
                    self._rows, self._read_bytes, self._inode = {}, 0, state.st_ino
                opened.seek(self._read_bytes)
                content = opened.read()
        except FileNotFoundError:
            self._rows, self._read_bytes = {}, 0
            return
        except OSError as error:
            raise BadInput(f"{self.path} cannot be read ({error.strerror}): a table of labels is expected") from error
        whole = content[: content.rfind(b"\n") + 1]
        lines = [line.removesuffix("\r") for line in whole.decode("utf-8", errors="replace").split("\n")[:-1]]
        if self._read_bytes == 0 and lines:
            require_header(lines.pop(0).removeprefix("\ufeff"), self.path)  # a spreadsheet adds a byte order mark
        for row in parse_lines(lines, self.path):
            self._rows.setdefault(row.decision, row)
        self._read_bytes += len(whole)


def labels_lock(places: Places) -> AbstractContextManager[None]:
    """Keep other processes from adding labels, and from writing what follows from them."""
    places.artifacts_root.mkdir(parents=True, exist_ok=True)
    return exclusive_lock(places.artifacts_root / ".labels.lock")


def last_byte(path: Path) -> bytes:
    """Return the last byte of a file that is not empty."""
    with open(path, "rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read(1)


def format_line(row: LabelRow) -> bytes:
    """Return the row as one line of CSV. Raises BadInput where it is no answer, so that nothing that cannot be read is written."""
    person, comment = " ".join(row.person.split()), " ".join(row.comment.split())
    origin, kind = (re.sub(r"[^\S ]", " ", text) for text in (row.origin, row.kind))  # names keep their spaces
    row = row._replace(person=person, comment=comment, origin=origin, kind=kind)  # a line of the file is an answer
    if fault := fault_of(row):
        raise BadInput(f"the answer is not stored: {fault}")
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(for_csv(cell) if isinstance(cell, str) else cell for cell in row)
    return buffer.getvalue().encode("utf-8", errors="backslashreplace")


def fault_of(row: LabelRow) -> str:
    """Return what is wrong with an answer; "" where nothing is."""
    if not HEX_32.fullmatch(row.decision):
        return f"its identity is {row.decision[:80]!r}, expected 32 hexadecimal digits"
    if not HEX_64.fullmatch(row.sha256):
        return f"its photograph is {row.sha256[:80]!r}, expected 64 hexadecimal digits"
    if row.label not in LABELS:
        return f"its label is {row.label[:80]!r}, expected one of {', '.join(LABELS)}"
    if not row.person:
        return "it names no person"
    if not is_time(row.time):
        return f"its time is {row.time[:80]!r}, expected one with its zone, such as 2026-12-01T07:00:00+00:00"
    if not (HEX_32.fullmatch(row.withdraws) if row.label == IS_WITHDRAWN else not row.withdraws):
        return (
            f"it takes back {row.withdraws[:80]!r}, expected 32 hexadecimal digits where it is withdrawn, else nothing"
        )
    if not all(cell.isprintable() for cell in row if isinstance(cell, str)):
        return "it holds a character that cannot be printed"
    return ""


def is_time(text: str) -> bool:
    """Return whether the text is a time with its zone, in ISO 8601."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).year > 1_000 and bool(datetime.fromisoformat(text).tzinfo)
    except (ValueError, OverflowError):
        return False


def require_header(line: str, path: Path) -> None:
    """Raise BadInput unless the line is the header of a table of labels."""
    expected = ",".join(LabelRow._fields)
    if line != expected:
        raise BadInput(
            f"{path} is not a table of labels: its header is {for_terminal(line[:80])!r}, expected {expected!r}"
        )


def parse_lines(lines: Iterable[str], path: Path) -> Iterator[LabelRow]:
    """Yield the row of each line, and say in one line how many are none, as a killed process or an editor leaves them."""
    converters: list[Callable[[str], Any]] = [
        float if kind is float else str for kind in get_type_hints(LabelRow).values()
    ]
    damaged = 0
    for line in lines:
        try:
            cells = [from_csv(cell) for cell in next(csv.reader([line], strict=True), [])]
            row = LabelRow._make(convert(cell) for convert, cell in zip(converters, cells, strict=True))
        except (ValueError, csv.Error):
            damaged += bool(line)
            continue
        if fault_of(row):
            damaged += 1
        else:
            yield row
    if damaged:
        say(f"{path}: {damaged:,} damaged lines are passed over")


def valid_rows(rows: Iterable[LabelRow]) -> list[LabelRow]:
    """Return the answers that nobody took back, the oldest first."""
    rows = list(rows)
    withdrawn = {row.withdraws for row in rows if row.label == IS_WITHDRAWN}
    return [row for row in rows if row.label != IS_WITHDRAWN and row.decision not in withdrawn]


def latest_labels(rows: Iterable[LabelRow]) -> dict[str, LabelRow]:
    """Return the answer that counts for each photograph, by sha256: the last one that nobody took back.

    Answers of the agreement study count for none: they show how far people agree, and change no label. That somebody cannot tell counts
    only where nobody could.
    """
    rows = [row for row in valid_rows(rows) if row.queue != SECOND_LOOK]
    return {row.sha256: row for row in sorted(rows, key=lambda row: row.label != "cannot_tell")}


def time_of(row: LabelRow) -> datetime:
    """Return when an answer was given."""
    return datetime.fromisoformat(row.time)


def labeled_contents(rows: Iterable[LabelRow]) -> set[str]:
    """Return the sha256 of the photographs about which a person decided. Who cannot tell has not decided."""
    return {sha256 for sha256, row in latest_labels(rows).items() if row.label != "cannot_tell"}
