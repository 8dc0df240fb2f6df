"""SQLite: a small database of what can be computed again, so that a damaged one is replaced by a new one."""

import sqlite3
from collections.abc import Callable, Sized
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from tasks.settings.errors import BadInput
from tasks.settings.messages import say

MAX_VARIABLES = 500  # in one statement; SQLite's own limit was 999 until 2020
PATIENCE = 60  # seconds to wait for another process that writes
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # the last: tables of another shape
R = TypeVar("R")


def with_database(path: Path, table: str, work: Callable[[sqlite3.Connection], R]) -> R:
    """Return the result of `work`, called with a connection to the file `path`. The statement `table` creates the table that it needs.

    A file that is damaged, or no such database, is removed and created again, and one line says so: `work` runs again.
    A connection lives as long as `work`: opening takes 0.2 ms, and none is ever shared by threads or left open.
    Raises BadInput when the file cannot be read or written.
    """
    try:
        return run_with_connection(path, table, work)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise refusal(path, error) from error
        say(f"{path} is damaged ({error}): begun anew")
    try:
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # first: it would be played back into a new file
        path.unlink(missing_ok=True)
        return run_with_connection(path, table, work)
    except (OSError, sqlite3.DatabaseError) as error:
        raise refusal(path, error) from error


def run_with_connection(path: Path, table: str, work: Callable[[sqlite3.Connection], R]) -> R:
    """Open the database, create its table where it is missing, and return the result of `work`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as connection:
        # A killed process loses nothing by this, a power cut at worst all, which is found and made again; a commit
        # that waits for the disk takes as long as decoding a block does.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(table)
        return work(connection)


def write_transaction(connection: sqlite3.Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    """Run the statement for each of the rows, all or none of them.

    It asks for the write lock at once, so that two writers never wait for each other.
    """
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(statement, rows)
    connection.execute("COMMIT")


def placeholders(values: Sized) -> str:
    """Return the question marks that stand for the values in a statement."""
    return ",".join("?" * len(values))


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the error means that the file is damaged or no such database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED  # the lower byte names the kind of error


def refusal(path: Path, error: Exception) -> BadInput:
    """Return the error for a database that cannot be used."""
    return BadInput(
        f"{path} cannot be used ({error}): see that it is a file that can be written and that the disk has room"
    )
