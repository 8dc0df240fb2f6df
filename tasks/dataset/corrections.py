"""Corrections: change labels and exclude images without touching the folders that they came from.

The user's are in `data/corrections.csv`. What people said on the review page of images that were known already is in
`artifacts/corrections.csv`.
"""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.records.results import Corrections
from tasks.settings.errors import BadInput
from tasks.settings.escaping import from_csv
from tasks.settings.settings import Classes, Places
from tasks.sources.names import compose
from tasks.storage.files import changed_error, store

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
    """Return the corrections files of `data` and `artifacts`, identified by what they hold; with an empty identity where there is none.

    People add to the second one at any time. So a copy of it is stored, which the run reads. Raises BadInput as `parse` does.
    """
    path = path_or_none(places.data_root / NAME)
    live = path_or_none(places.artifacts_root / NAME)
    contents = [read_bytes(file) if file else None for file in (path, live)]
    reviewed = store_copy(contents[1], places) if contents[1] is not None else None
    corrections = Corrections(identity=identify(contents), path=path, reviewed=reviewed)
    merge(contents, corrections, classes)
    return corrections


def path_or_none(path: Path) -> Path | None:
    """Return the path of a file that is there; None where it is not."""
    return path if path.exists() else None


def store_copy(content: bytes, places: Places) -> Path:
    """Store the corrections of the review page by their digest, and return the path of the copy."""
    return store(lambda path: path.write_bytes(content), places, "data", "tables/reviewed-corrections.csv").path(places)


def load_corrections(corrections: Corrections, classes: Classes) -> dict[str, Correction]:
    """Return the corrections by sha256. Raises BadInput if a file has changed since `find_corrections`."""
    files = corrections.path, corrections.reviewed
    contents = [read_bytes(file) if file else None for file in files]
    if identify(contents) != corrections.identity:
        raise changed_error(corrections.path or corrections.reviewed)
    return merge(contents, corrections, classes)


def identify(contents: Sequence[bytes | None]) -> str:
    """Return the sha256 of the one file that is there, or of the digests of both; "" where there is none."""
    digests = [hashlib.sha256(content).hexdigest() if content is not None else "" for content in contents]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if all(digests) else "".join(digests)


def merge(contents: Sequence[bytes | None], corrections: Corrections, classes: Classes) -> dict[str, Correction]:
    """Return the corrections of both files by sha256. The user's wins. Raises BadInput as `parse` does."""
    own, reviewed = contents
    merged = parse(reviewed, corrections.reviewed, None) if reviewed is not None and corrections.reviewed else {}
    usable = (EXCLUDE, classes.defect, classes.good)  # the others are of another product in the same places
    merged = {sha256: correction for sha256, correction in merged.items() if correction.correction in usable}
    return merged | (parse(own, corrections.path, classes) if own is not None and corrections.path else {})


def read_bytes(path: Path) -> bytes:
    """Return the content of the file. Raises BadInput where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): a table that may be read is expected") from error


def parse(content: bytes, path: Path, classes: Classes | None) -> dict[str, Correction]:
    """Return the corrections by sha256, in the order of the table. Without `classes` any class may stand there.

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


def correction_of(cells: list[str], path: Path, line: int, classes: Classes | None) -> Correction:
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
    if classes and correction not in (EXCLUDE, classes.defect, classes.good):
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
