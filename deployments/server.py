"""Server: start `prefect server start`, without the freezes of a minute that Python 3.11 brings to a server on SQLite.

python deployments/server.py [options of `prefect server start`]

A statement that finds the database locked leaves its cursor open. Python 3.11 resets such a cursor when the garbage collector frees it,
and waits in the event loop for a connection that itself waits for the lock: nothing is answered until SQLite's 60 s are over.
A cursor that is closed at once has nothing to reset.
"""

import runpy
import sqlite3
import sys
from collections.abc import Callable
from typing import TypeVar

from aiosqlite.cursor import Cursor

T = TypeVar("T")


def close_failed_cursors() -> None:
    """Make aiosqlite close a cursor whose statement fails, in the thread of its connection."""

    async def execute(self: Cursor, function: Callable[..., T], *arguments: object, **named: object) -> T:
        def run() -> T:
            try:
                return function(*arguments, **named)
            except sqlite3.Error:
                self._cursor.close()
                raise

        return await self._conn._execute(run)

    Cursor._execute = execute  # type: ignore[assignment,method-assign]


def main() -> None:
    if sys.version_info < (3, 12):
        close_failed_cursors()
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
