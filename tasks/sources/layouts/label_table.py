"""Label table: a CSV beside the photographs that names each with its label, and perhaps its part and its split."""

import csv
import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import ClassSettings
from tasks.sources.layouts.layout import (
    SPLIT_WORDS,
    Label,
    Labels,
    Read,
    choose_classes,
    split_of,
    split_of_words,
    words_of,
)
from tasks.sources.names import compose

COLUMNS = {  # the column of each name that a header may have, in any case
    "path": "path", "file": "path", "filename": "path", "file_name": "path", "image": "path",
    "label": "label", "class": "label", "part": "part", "split": "split",
}  # fmt: skip
EXPECTED = "path,label[,part][,split]"


class TableLine(NamedTuple):
    """A line of a table of labels."""

    table: str
    number: int
    """From 1, as editors count."""
    cells: Mapping[str, str]
    """By the names of the columns that are read."""

    def error(self, fault: str) -> BadInput:
        """Return the error that names the table and the line, and says what is wrong there."""
        return BadInput(f"{for_terminal(self.table)}, line {self.number}: {fault}")


def read_label_table(
    files: Sequence[str], images: Sequence[str], settings: ClassSettings, read: Read, least: float = 0
) -> Labels | None:
    """Label the photographs that the tables name; None where no CSV is a table of labels, or where they name fewer than `least`.

    Raises BadInput for a line without a label, for two labels of one photograph, for a split of another name, and where no path is there.
    """
    lines = [line for name in files if name.lower().endswith(".csv") for line in table_lines(name, read(name))]
    tables = frozenset(line.table for line in lines)
    if not tables:
        return None
    labels: dict[str, Label] = {}
    absent: list[str] = []
    known = {compose(name): name for name in images}
    for line in lines:
        name = find_photograph(line, known)
        if name is None:
            absent.append(line.cells["path"])
        elif labels.setdefault(name, label := label_of(line)) != label:
            raise line.error(
                f"{line.cells['path']} has another label, part or split than in an earlier line: leave one of the two"
            )
    listed = ", ".join(sorted(tables))
    if len(labels) < least:
        return None
    if not labels:
        raise BadInput(
            f"none of the {len(absent):,} paths of {listed} is there, such as {for_terminal(absent[0])}: paths are counted from the folder "
            "of the table, or from the top"
        )
    folders = choose_classes((label.kind for label in labels.values()), settings, listed)
    left_out = (
        [f"{len(absent):,} paths of {listed} without a photograph, such as {for_terminal(absent[0])}"] if absent else []
    )
    return Labels(f"labels of {listed}", labels, folders, sidecars=tables, left_out=tuple(left_out))


def table_lines(table: str, content: bytes) -> Iterator[TableLine]:
    """Yield the lines of a CSV that has the columns of a table of labels, and no line of another one. Empty lines are passed over."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as older programs write it; each byte is a character
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",")
    columns: list[str] = []
    try:
        columns = name_columns(next(rows, []))
        if not {"path", "label"} <= set(columns):
            return
        for cells in rows:
            if any(cell.strip() for cell in cells):
                values = {column: compose(cell.strip()) for column, cell in zip(columns, cells, strict=False) if column}
                yield TableLine(table, rows.line_num, {"path": "", "label": "", **values})
    except csv.Error as error:
        if columns:
            raise TableLine(table, rows.line_num, {}).error(f"{error}: save the table anew, as CSV in UTF-8") from error


def name_columns(header: Sequence[str]) -> list[str]:
    """Return what each column of a header means, "" where it is not read: of several for one meaning, the first name of COLUMNS counts."""
    cells = [cell.strip().casefold() for cell in header]
    chosen: dict[str, str] = {}
    for name, meaning in COLUMNS.items():
        if name in cells:
            chosen.setdefault(meaning, name)
    return [COLUMNS[cell] if chosen.get(COLUMNS.get(cell, "")) == cell else "" for cell in cells]


def find_photograph(line: TableLine, known: Mapping[str, str]) -> str | None:
    """Return the photograph that a line names, counted from the folder of the table or from the top; None where it is not there."""
    path = line.cells["path"].replace("\\", "/").removeprefix("./")
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(compose(line.table)), path))
    return known.get(beside) or known.get(path)


def label_of(line: TableLine) -> Label:
    """Return what a line says. Without a column for the split, the name of the table may tell it: `train.csv`."""
    kind, split = line.cells["label"], line.cells.get("split", "")
    if not kind:
        raise line.error(f"{line.cells['path'] or 'the line'} has no label, expected {EXPECTED}")
    if split and split.casefold() not in SPLIT_WORDS:
        raise line.error(f"the split is {split[:80]!r}, expected train, validation or test")
    folders = line.cells["path"].replace("\\", "/").split("/")[:-1]
    published = split_of([split]) if split else split_of_words(words_of(line.table)) or split_of(folders)
    return Label(kind, published, line.cells.get("part", ""))
