"""Corrections: the user's `corrections.csv`, which changes labels and excludes images without touching the folders that they came from."""

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
from tasks.storage.files import changed_error

NAME = "corrections.csv"
HEADER = ["sha256", "correction", "why"]
EXCLUDE = "exclude"


class Correction(NamedTuple):
    """The user's correction of one content, wherever it occurs."""

    sha256: str
    correction: str
    """`exclude`, or the class that it belongs to."""
    why: str


def find_corrections(classes: Classes, places: Places) -> Corrections:
    """Return the corrections file in `data`, identified by its sha256; with an empty identity where there is none.

    Raises BadInput as `parse` does.
    """
    path = places.data_root / NAME
    if not path.exists():
        return Corrections()
    content = read_bytes(path)
    parse(content, path, classes)
    return Corrections(identity=hashlib.sha256(content).hexdigest(), path=path)


def load_corrections(corrections: Corrections, classes: Classes) -> dict[str, Correction]:
    """Return the corrections by sha256. Raises BadInput if the file has changed since `find_corrections`."""
    if corrections.path is None:
        return {}
    content = read_bytes(corrections.path)
    if hashlib.sha256(content).hexdigest() != corrections.identity:
        raise changed_error(corrections.path)
    return parse(content, corrections.path, classes)


def read_bytes(path: Path) -> bytes:
    """Return the content of the file. Raises BadInput where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): a table that may be read is expected") from error


def parse(content: bytes, path: Path, classes: Classes) -> dict[str, Correction]:
    """Return the corrections by sha256, in the order of the table.

    The table is UTF-8, with or without a byte order mark. Empty lines are passed over. Of equal corrections of one sha256 the first counts.
    Raises BadInput with the line, what stands there and what was expected.
    """
    corrections: dict[str, Correction] = {}
    table = csv.reader(io.StringIO(text_of(content, path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(table, [])]
        if header != HEADER:
            raise correction_error(path, 1, f"the header is {','.join(header)!r}, expected {','.join(HEADER)!r}")
        for cells in table:
            if any(cell.strip() for cell in cells):
                correction = correction_of(cells, path, table.line_num, classes)
                earlier = corrections.setdefault(correction.sha256, correction)
                if earlier.correction != correction.correction:
                    raise correction_error(
                        path,
                        table.line_num,
                        f"{correction.sha256} is to be {correction.correction!r}, "
                        f"but {earlier.correction!r} in an earlier line: leave one of the two",
                    )
    except csv.Error as error:
        raise correction_error(path, table.line_num, f"{error}: every quote that opens must close") from error
    return corrections


def correction_of(cells: list[str], path: Path, line: int, classes: Classes) -> Correction:
    """Return the correction in the cells of a line. Raises BadInput where they are no valid correction."""
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
        raise correction_error(
            path,
            line,
            f"the correction is {correction[:80]!r}, expected {EXCLUDE!r}, {classes.defect!r} or {classes.good!r}",
        )
    if not why:
        raise correction_error(path, line, f"nothing says why {sha256} is corrected: write it into the third column")
    return Correction(sha256.lower(), correction, why)


def text_of(content: bytes, path: Path) -> str:
    """Decode the table from UTF-8. Raises BadInput that names the line of the first byte that is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise correction_error(
            path,
            content.count(b"\n", 0, error.start) + 1,
            f"byte 0x{content[error.start]:02X} is not UTF-8: save the table as UTF-8 (Excel: CSV UTF-8)",
        ) from error


def correction_error(path: Path, line: int, fault: str) -> BadInput:
    """Return the error that names the file and the line, and says what is wrong there."""
    return BadInput(f"{path}, line {line}: {fault}")
