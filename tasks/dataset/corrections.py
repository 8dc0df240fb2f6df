"""Corrections: the user's `corrections.csv`, which mends labels and withdraws images without touching where they came from."""

import csv
import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

from tasks.records.results import Corrections
from tasks.settings.errors import BadInput
from tasks.settings.escaping import from_csv
from tasks.settings.settings import Classes, Places
from tasks.sources.names import compose

NAME = "corrections.csv"
HEADER = ["sha256", "correction", "why"]
EXCLUDE = "exclude"


class Correction(NamedTuple):
    """What the user says of one content, wherever it occurs."""

    sha256: str
    correction: str
    """`exclude`, or the class that it belongs to."""
    why: str


def find_corrections(classes: Classes, places: Places) -> Corrections:
    """The file in `data`, identified by its content; of an empty identity where there is none. Raises BadInput as `parse` does."""
    path = places.data.absolute() / NAME
    if not path.exists():
        return Corrections()
    content = read_bytes(path)
    parse(content, path, classes)
    return Corrections(identity=hashlib.sha256(content).hexdigest(), path=path)


def load_corrections(corrections: Corrections, classes: Classes) -> dict[str, Correction]:
    """The corrections by sha256. Raises BadInput if the file is no longer what it was."""
    if corrections.path is None:
        return {}
    content = read_bytes(corrections.path)
    if hashlib.sha256(content).hexdigest() != corrections.identity:
        raise BadInput(f"{corrections.path} changed while it was read: start again when it is complete")
    return parse(content, corrections.path, classes)


def read(path: Path, classes: Classes) -> dict[str, Correction]:
    """The corrections of a file by sha256. Raises BadInput as `parse` does."""
    return parse(read_bytes(path), path, classes)


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): a table that may be read is expected") from error


def parse(content: bytes, path: Path, classes: Classes) -> dict[str, Correction]:
    """The corrections by sha256, first come first; UTF-8 with or without a mark at its start, empty lines passed over.

    Raises BadInput with the line, what stands there and what was expected.
    """
    found: dict[str, Correction] = {}
    table = csv.reader(io.StringIO(text_of(content, path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(table, [])]
        if header != HEADER:
            raise correction_error(path, 1, f"the header is {','.join(header)!r}, expected {','.join(HEADER)!r}")
        for cells in table:
            if any(cell.strip() for cell in cells):
                one = correction_of(cells, path, table.line_num, classes)
                if (earlier := found.setdefault(one.sha256, one)).correction != one.correction:
                    what = f"{one.sha256} is to be {one.correction!r}, but {earlier.correction!r} in an earlier line"
                    raise correction_error(path, table.line_num, f"{what}: leave one of the two")
    except csv.Error as error:
        raise correction_error(path, table.line_num, f"{error}: every quote that opens must close") from error
    return found


def correction_of(cells: list[str], path: Path, line: int, classes: Classes) -> Correction:
    if len(cells) != len(HEADER):
        raise correction_error(
            path, line, f"{len(cells)} cells, expected {len(HEADER)}: a why with commas stands in quotes"
        )
    sha256, correction, why = (compose(from_csv(cell.strip())) for cell in cells)
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise correction_error(
            path, line, f"{sha256[:80]!r} is no sha256, expected 64 hexadecimal digits, as a run's tables give them"
        )
    if correction not in (EXCLUDE, classes.defect, classes.good):
        expected = f"{EXCLUDE!r}, {classes.defect!r} or {classes.good!r}"
        raise correction_error(path, line, f"the correction is {correction[:80]!r}, expected {expected}")
    if not why:
        raise correction_error(path, line, f"nothing says why {sha256} is corrected: write it into the third column")
    return Correction(sha256.lower(), correction, why)


def text_of(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{content[error.start]:02X} is not UTF-8"
        raise correction_error(path, line, f"{what}: save the table as UTF-8 (Excel: CSV UTF-8)") from error


def correction_error(path: Path, line: int, what: str) -> BadInput:
    return BadInput(f"{path}, line {line}: {what}")
