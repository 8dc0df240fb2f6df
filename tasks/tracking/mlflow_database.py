"""MLflow database: checks the SQLite file in `artifacts` before MLflow opens it.

MLflow makes a new database where one was lost, and shows a traceback for a damaged one.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from tasks.settings.errors import BadInput
from tasks.settings.machine_faults import machine_fault
from tasks.settings.settings import Places
from tasks.storage.files import visible_paths
from tasks.storage.migrations import schemas
from tasks.tracking.mlflow_location import bring_here, files_of, path_of, shell_quoted

MAGIC = b"SQLite format 3\0"
SCRIPTS = "store/db_migrations/versions"  # of MLflow
PATIENCE = 20  # seconds to wait for another program, as MLflow waits
TABLES = {
    "experiments",
    "logged_models",
    "model_versions",
    "registered_model_aliases",
    "registered_models",
    "runs",
    "tags",
}
Stamp = tuple[int, ...]


def stamp(places: Places) -> Stamp | None:
    """Return numbers of the file that change whenever the database does; None where there is no database.

    Raises BadInput where a database was lost, or the file cannot be read or is no database.
    """
    path = path_of(places)
    try:
        with open(path, "rb") as file:
            head, status = file.read(28), os.fstat(file.fileno())
    except FileNotFoundError:
        head = b""
    except IsADirectoryError:
        raise BadInput(
            f"{path} is a folder, where MLflow's database should be: move it away (mv {shell_quoted(path)} {shell_quoted(path)}-old), "
            f"and {restore_advice(path)}"
        ) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        require_nothing_lost(places, "empty" if path.exists() else "missing", bool(traces(places)))
        return None
    if not head.startswith(MAGIC):
        raise BadInput(damage_message(path, "it is no SQLite database"))
    # SQLite counts changes in the header; the times of files are too coarse for two changes in a row
    return int.from_bytes(head[24:]), status.st_ino, status.st_size, status.st_mtime_ns


def check(places: Places) -> bool:
    """Return whether there is a database that MLflow can use; correct its addresses where it was moved.

    Raises BadInput, with the command that mends it, where MLflow could not use the database or where its content was lost.
    """
    if (state := stamp(places)) is None:
        return False
    path = path_of(places)
    if not is_sound(path, state):
        require_nothing_lost(places, "empty", bool(traces(places)))
        return False
    with connect(path) as connection:
        if not connection.execute("SELECT 1 FROM registered_models LIMIT 1").fetchone():
            require_nothing_lost(places, "without any model", was_released(places))
        bring_here(connection, places)
    return True


def check_writable(places: Places) -> None:
    """Raise BadInput where the database cannot be written to: a run fails before its training, not after it."""
    if check(places):
        with connect(path_of(places)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            # `BEGIN` raises nothing for a file that may only be read.
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("ROLLBACK")


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to the database, and close the connection at the end. Raises BadInput, with advice, for an error of SQLite."""
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the lower byte names the kind
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BadInput(
                f"{path} has been locked by another program for {PATIENCE} s: `fuser -v {shell_quoted(path)}` names it; "
                "end it, or wait for its end"
            ) from error
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
            raise BadInput(
                f"{path} cannot be written to ({error}): chmod u+rw {shell_quoted(path.parent)} {shell_quoted(path)}"
            ) from error
        if line := machine_fault(error):  # a backup would not help
            raise BadInput(f"{path} cannot be used: {line}") from error
        raise BadInput(damage_message(path, str(error))) from error


@lru_cache(maxsize=1)
def is_sound(path: Path, state: Stamp) -> bool:
    """Return whether the file holds tables; cached until `state`, its `stamp`, changes.

    Raises BadInput unless the file is whole and of the schema of the installed MLflow.
    """
    with connect(path) as connection:
        if (fault := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise BadInput(damage_message(path, " ".join(fault.split())))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return False
        if not {"experiments", "runs"} <= tables:
            raise BadInput(damage_message(path, "it is the database of another program"))
        rows = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
        require_schema(path, next((name for (name,) in rows), "none"))
    if lacking := sorted(TABLES - tables):
        raise BadInput(damage_message(path, f"it lacks the table {lacking[0]}"))
    return True


def require_schema(path: Path, schema: str) -> None:
    """Raise BadInput unless the installed MLflow works with this schema."""
    supported, newest = schemas("mlflow", SCRIPTS)  # from its files: importing MLflow takes seconds
    if schema == newest or not newest:  # where no schema is found, MLflow checks it itself
        return
    mlflow = f"MLflow {version('mlflow')}"
    if schema in supported or schema == "none":
        program = shell_quoted(Path(sys.executable).with_name("mlflow"))
        raise BadInput(
            f"{path} has an older schema ({schema}) than {mlflow} needs ({newest}): copy the file, then run {program} "
            f"db upgrade {shell_quoted(f'sqlite:///{path}')}"
        )
    raise BadInput(
        f"{path} was written by a newer MLflow (schema {schema}) than is installed ({mlflow}, schema {newest}): update this "
        f"checkout (git pull && make doctor), or {restore_advice(path)}"
    )


def require_nothing_lost(places: Places, state: str, was_used: bool) -> None:
    """Raise BadInput where the database has lost its content: it is in this state now, but files show that it was used."""
    if was_used:
        path, folder, models = (
            path_of(places),
            places.artifacts_root,
            len(visible_paths(places.artifacts_root / "models")),
        )
        raise BadInput(
            f"{path} is {state}, and {folder} holds what runs have made (models: {models:,}): which model is in use, and which "
            f"were taken back, is not known; {restore_advice(path)}; if a server knows it, set MLFLOW_TRACKING_URI; to begin anew "
            f"without them: mv {shell_quoted(folder)} {shell_quoted(folder)}-old"
        )


def traces(places: Places) -> list[Path]:
    """Return files and folders that a run leaves only after it has made the database."""
    folder = places.artifacts_root
    return [*visible_paths(folder / "models"), *visible_paths(folder / "mlflow"), *folder.glob("runs/*/run.json")]


def was_released(places: Places) -> bool:
    """Return whether files show that a version was registered."""
    runs = places.artifacts_root.glob("runs/*/run.json")
    return any(visible_paths(files_of(places) / "models")) or any(version_of(run) is not None for run in runs)


def version_of(run: Path) -> object:
    """Read from a `run.json` the version that was in use after the run; None where there was none or the file does not say."""
    try:
        return json.loads(run.read_bytes())["release"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def damage_message(path: Path, why: str) -> str:
    """Say that the database cannot be used, why, and how to restore it."""
    return f"{path} cannot be used: {why}; {restore_advice(path)}"


def restore_advice(path: Path) -> str:
    """Return the command that puts the database of a backup in its place.

    It removes the journal of the old database: SQLite would play that into the new one.
    """
    journal = path.with_name(f"{path.name}-journal")
    removal = f"rm {shell_quoted(journal)} && " if journal.exists() else ""
    return f"restore it from a backup ({removal}cp BACKUP/{path.name} {shell_quoted(path)})"
