"""Tables: rows of a NamedTuple as a CSV file with a header, and back."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.escaping import for_terminal
from tasks.runs.files import File, store

Row = TypeVar("Row", bound=NamedTuple)


def write_table(path: Path, rows: Iterable[NamedTuple], kind: type[NamedTuple]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(kind._fields)
        table.writerows(rows)


def read_table(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file that `write_table` made; numbers come back as numbers."""
    types: dict[str, Any] = get_type_hints(kind)
    convert = [types[name] for name in kind._fields]
    with open(path, newline="", encoding="utf-8") as opened:
        table = csv.reader(opened)
        if tuple(next(table, ())) != kind._fields:
            raise ValueError(f"{path} is not a table of {kind.__name__}: its header is not {', '.join(kind._fields)}")
        return [kind(*(to(value) for to, value in zip(convert, row, strict=True))) for row in table]


def read_state(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows of a table that recast keeps for itself and can do without: none where it is missing.

    Of a damaged table none either, and one line says so: the next `write_whole` replaces it. Raises BadInput where it cannot be read.
    """
    try:
        return read_table(path, kind)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}): a file that this user may read and write is expected, or none"
        ) from error
    except (ValueError, csv.Error) as error:
        print(f"{path} is damaged ({for_terminal(str(error))}): begun anew")
        return []


def column(path: Path, name: str) -> Iterator[str]:
    """What a table says under this head; nothing where it has none such. Raises BadInput as `columns` does."""
    return (cells[0] for cells in columns(path, name))


def columns(path: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield what a table says under these heads, row by row, without rows that lack one. Raises BadInput where it cannot be read."""
    try:
        with open(path, newline="", encoding="utf-8") as opened:
            for row in csv.DictReader(opened):
                cells = tuple(cell for name in names if (cell := row.get(name)) is not None)
                if len(cells) == len(names):
                    yield cells
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(f"{path} is damaged or cannot be read ({for_terminal(str(error))})") from error


def as_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The rows as CSV with a header; what is not known is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def store_table(name: str, rows: Iterable[NamedTuple], kind: type[NamedTuple], places: Places) -> File:
    """The rows as `data/tables/<name>-<digest>.csv`."""
    return store(lambda path: write_table(path, rows, kind), places, "data", f"tables/{name}.csv")
