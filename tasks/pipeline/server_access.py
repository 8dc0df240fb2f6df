"""Server access: how Prefect's clients and embedded servers in this process get the local password.

A server on this machine gets it, and so does the server that a run starts for itself. No other address does.
"""

import os
import shlex
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from tasks.pipeline.local_auth import local_auth
from tasks.settings.errors import BadInput
from tasks.settings.machine_faults import machine_fault
from tasks.settings.messages import warn
from tasks.storage.migrations import schemas

SCRIPTS = "server/database/_migrations/versions/sqlite"  # of Prefect


def authenticate() -> None:
    """Set Prefect's credentials for local servers, unless the user's settings have some.

    Prefect starts an embedded server with this process's environment, so the server asks for the credentials that the clients send. Where
    the settings say which credentials servers ask for, the clients send those.
    """
    settings = get_current_settings()
    auth, server_auth = (
        secret and secret.get_secret_value() for secret in (settings.api.auth_string, settings.server.api.auth_string)
    )
    if not auth and not settings.api.key and is_local(settings.api.url):
        auth = os.environ["PREFECT_API_AUTH_STRING"] = server_auth or local_auth()
    if auth and not settings.api.url:
        os.environ["PREFECT_SERVER_API_AUTH_STRING"] = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or auth
        protect_database()
    refresh_global_settings_context()


def authenticate_or_exit() -> None:
    """Authenticate where a module is loaded. On failure, exit with status 2 and one line, since no caller can catch an error there."""
    try:
        authenticate()
    except BadInput as error:
        warn(f"error: {error}")
        raise SystemExit(2) from error


def database() -> Path | None:
    """Return the SQLite file of a local server; None where the settings name another database."""
    settings = get_current_settings()
    file, address = Path(settings.home) / "prefect.db", settings.server.database.connection_url
    return file if address and address.get_secret_value() == f"sqlite+aiosqlite:///{file}" else None


def protect_database() -> None:
    """Let nobody else read the SQLite database of a local server; SQLite gives its other files the same mode."""
    if file := database():
        with suppress(OSError):  # `require_database` says what is wrong
            file.touch(mode=0o600)
            if file.stat().st_uid == os.geteuid():
                file.chmod(0o600)


def require_database() -> None:
    """Raise BadInput where a local server could not use its database, because Prefect would try for minutes and end in a traceback."""
    if get_current_settings().api.url or not (file := database()):
        return
    move = f"mv {shlex.quote(str(file))} {shlex.quote(f'{file}-old')}"
    advice = f"move it away ({move}): a new one is made, and only the history of runs in Prefect is lost"
    try:
        file.touch(mode=0o600)
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            has_schema = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            schema = connection.execute("SELECT version_num FROM alembic_version").fetchone() if has_schema else None
    except (OSError, sqlite3.DatabaseError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return  # another server writes: Prefect waits for it
        raise BadInput(
            f"Prefect's database {file} cannot be used: {machine_fault(error) or f'{error}; {advice}'}"
        ) from error
    supported, newest = schemas("prefect", SCRIPTS)
    if schema and newest and schema[0] not in supported:
        raise BadInput(
            f"Prefect's database {file} was written by a newer Prefect (schema {schema[0]}) than is installed "
            f"({version('prefect')}, schema {newest}): set PREFECT_HOME to a folder of its own, or {advice}"
        )


def is_local(address: str | None) -> bool:
    """Return whether the address is on the loopback interface; None is the embedded server, which is."""
    host = urlsplit(address).hostname if address else "localhost"
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
