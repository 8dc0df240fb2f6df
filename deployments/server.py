"""Server: start `prefect server start` with a password, closed to the pages of other addresses, and without freezes on SQLite.

python deployments/server.py [--host 127.0.0.1] [--port 4200] [other options of `prefect server start`]

Who reaches a Prefect server without a password can run any code as its workers, and so can a web page in a browser on this machine.
tasks/pipeline/local_auth.py says where the password is.

A statement that finds the database locked leaves its cursor open. Python 3.11 resets such a cursor when the garbage collector frees it,
and waits in the event loop for a connection that itself waits for the lock: nothing is answered until SQLite's 60 s are over.
A cursor that is closed at once has nothing to reset.
"""

import argparse
import os
import runpy
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from aiosqlite.cursor import Cursor

from tasks.pipeline.local_auth import auth_file, local_auth
from tasks.settings.cli import exit_status
from tasks.settings.messages import say

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


def protected_environment(host: str, port: str) -> dict[str, str]:
    """Return the environment of a server that answers only to those who know the password. What is set already stays."""
    pages = ",".join(f"http://{name}:{port}" for name in dict.fromkeys((host, "127.0.0.1", "localhost")))
    return {
        # An empty one would let everybody in who sends an empty password.
        "PREFECT_SERVER_API_AUTH_STRING": os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or local_auth(),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": port,  # by --port, the pages would still ask at 4200
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] or pages,
    }


def serve() -> None:
    """Start the server. Raises BadInput where its password or its database cannot be used."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--host", default=os.environ.get("PREFECT_SERVER_API_HOST", "127.0.0.1"))
    parser.add_argument("--port", default=os.environ.get("PREFECT_SERVER_API_PORT", "4200"))
    options, other_words = parser.parse_known_args()
    os.environ |= protected_environment(options.host, options.port)
    # Late: it imports Prefect, which now reads these settings.
    from tasks.pipeline.server_access import protect_database, require_database

    protect_database()
    require_database()
    if sys.version_info < (3, 12):
        close_failed_cursors()
    say(f"The pages ask for the name and password in {auth_file()}")
    sys.stdout.flush()  # before what the server prints
    sys.argv = ["prefect", "server", "start", *other_words]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.exit(exit_status(serve))
