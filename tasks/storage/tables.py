"""Tables: rows of a NamedTuple as a CSV file with a header, and back.

People open these files, and copies of those below `data`. So no text in a cell is a formula for a spreadsheet: such a text is written
with an apostrophe before it, which reading removes. A script that reads a table by other means uses `escaping.from_csv`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar, get_type_hints

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_csv, from_csv
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage.files import File, publish, scratch_beside, store

Row = TypeVar("Row", bound=NamedTuple)


class UnixLines:
    """A file for `csv.writer` whose lines end with a line feed alone.

    The writer quotes a lone carriage return only where its own line end has one, so it writes both and this file removes one.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, line: str) -> None:
        """Write a line with a line feed alone at its end."""
        self.file.write(line.removesuffix("\r\n") + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a header and rows. Names that are not UTF-8 keep their lone surrogates."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogatepass") as opened:
        table = csv.writer(UnixLines(opened))
        table.writerow(columns)
        table.writerows([for_csv(value) if isinstance(value, str) else value for value in row] for row in rows)


def read_csv(path: Path) -> Iterator[list[str]]:
    """Yield the header and the rows of a file that `write_csv` made."""
    with open(path, newline="", encoding="utf-8", errors="surrogatepass") as opened:
        yield from ([from_csv(cell) for cell in row] for row in csv.reader(opened))


def write_table(path: Path, rows: Iterable[NamedTuple], kind: type[NamedTuple]) -> None:
    """Write the rows of a NamedTuple, with its fields as the header."""
    write_csv(path, kind._fields, rows)


def read_table(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows of a file that `write_table` wrote, numbers as numbers. Raises ValueError where they are of another kind."""
    types: dict[str, Any] = get_type_hints(kind)
    convert: list[Any] = [types[name] if types[name] in (int, float) else str for name in kind._fields]
    table = read_csv(path)
    if tuple(next(table, ())) != kind._fields:
        raise ValueError(f"{path} is not a table of {kind.__name__}: its header is not {', '.join(kind._fields)}")
    return [kind(*(to(value) for to, value in zip(convert, row, strict=True))) for row in table]


def read_state(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows of a table that recast stores for itself and can do without; none where it is missing.

    Of a damaged table it returns none either, and one line says so: the next `write_rows` replaces it. Raises BadInput where the table
    cannot be read.
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
        say(f"{path} is damaged ({error}): begun anew")
        return []


def column(path: Path, name: str) -> Iterator[str]:
    """Yield the cells of a column; nothing where the table has no such column. Raises BadInput as `columns` does."""
    return (cells[0] for cells in columns(path, name))


def columns(path: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of these columns, row by row, without rows that lack one. Raises BadInput where the table cannot be read."""
    try:
        table = read_csv(path)
        header = next(table, [])
        for row in table:
            cells = dict(zip(header, row, strict=False))
            if all(name in cells for name in names):
                yield tuple(cells[name] for name in names)
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(f"{path} is damaged or cannot be read ({error})") from error


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write the rows, whole or not at all, as CSV with a header; missing values are empty."""
    table = [[row.get(name) for name in columns] for row in rows]
    with scratch_beside(path) as scratch:
        write_csv(scratch, columns, table)
        publish(scratch, path)


def store_table(name: str, rows: Iterable[NamedTuple], kind: type[NamedTuple], places: Places) -> File:
    """Store the rows as `data/tables/<name>-<digest>.csv`."""
    return store(lambda path: write_table(path, rows, kind), places, "data", f"tables/{name}.csv")
