"""MLflow database: the SQLite file in `artifacts`, checked before MLflow opens it, and brought to where it lies now.

MLflow makes a new database where one was lost, tells a damaged one by a traceback, and follows the absolute addresses that it once
wrote: a copy would read and remove the files of its original.
"""

import json
import os
import shlex
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlparse

from tasks.settings.errors import BadInput
from tasks.settings.machine_faults import machine_fault
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import is_visible, lies_below
from tasks.storage.migrations import schemas

MAGIC = b"SQLite format 3\0"
SCRIPTS = "store/db_migrations/versions"  # of MLflow
PATIENCE = 20  # seconds to wait for another program, as MLflow waits
NEEDED = {
    "experiments",
    "logged_models",
    "model_versions",
    "registered_model_aliases",
    "registered_models",
    "runs",
    "tags",
}
ADDRESSES = (  # columns that hold absolute addresses below the folder of an experiment
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# Experiments that recast made, and those without any run, whose address is of no use elsewhere.
ROOTS = """SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file:%/mlflow' AND (
    experiment_id NOT IN (SELECT experiment_id FROM runs) OR
    experiment_id IN (SELECT experiment_id FROM runs JOIN tags USING (run_uuid) WHERE key = 'recast.run'))"""
Stamp = tuple[int, ...]


def path_of(places: Places) -> Path:
    """Return the path of the database. Raises BadInput where MLflow could not be told of it."""
    path = places.artifacts.absolute() / "mlflow.db"
    try:
        spelled = str(path).encode()
    except UnicodeEncodeError:
        spelled = b"?"
    if b"?" in spelled:
        raise BadInput(
            f"--artifacts {str(path.parent)!a} cannot be used: MLflow opens no database whose path contains `?` or is not UTF-8; "
            "choose a folder of another name, or let MLFLOW_TRACKING_URI name a server"
        )
    return path


def address(places: Places) -> str:
    """Return the address by which MLflow opens the database."""
    return f"sqlite:///{path_of(places)}"


def files_of(places: Places) -> Path:
    """Return the folder of the files that belong to the database."""
    return places.artifacts.absolute() / "mlflow"


def stamp(places: Places) -> Stamp | None:
    """Return what changes whenever the database does; None where there is none. Raises BadInput where one was lost."""
    path = path_of(places)
    try:
        with open(path, "rb") as opened:
            head, seen = opened.read(28), os.fstat(opened.fileno())
    except FileNotFoundError:
        head = b""
    except IsADirectoryError:
        raise BadInput(
            f"{path} is a folder, where MLflow's database should be: move it away (mv {quoted(path)} {quoted(path)}-old), "
            f"and {restore(path)}"
        ) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        require_nothing_lost(places, "empty" if path.exists() else "missing", bool(traces(places)))
        return None
    if not head.startswith(MAGIC):
        raise BadInput(damaged(path, "it is no SQLite database"))
    # SQLite counts changes in the header; times of files are too coarse for two changes at once
    return int.from_bytes(head[24:]), seen.st_ino, seen.st_size, seen.st_mtime_ns


def check(places: Places) -> bool:
    """Bring the database to where it lies now, and return whether there is one.

    Raises BadInput, with the command that mends it, where MLflow could not use it or where what it knew was lost.
    """
    if (seen := stamp(places)) is None:
        return False
    path = path_of(places)
    if not is_sound(path, seen):
        require_nothing_lost(places, "empty", bool(traces(places)))
        return False
    with opened(path) as connection:
        if not connection.execute("SELECT 1 FROM registered_models LIMIT 1").fetchone():
            require_nothing_lost(places, "without any model", was_released(places))
        bring_here(connection, places)
    return True


def check_writable(places: Places) -> None:
    """Raise BadInput where the database cannot be written to now: better before a training than after it."""
    if check(places):
        with opened(path_of(places)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            number = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {number}")  # of a file that may only be read, BEGIN says nothing
            connection.execute("ROLLBACK")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection. What SQLite cannot do becomes BadInput, with what to do about it."""
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the lower byte names the kind
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BadInput(
                f"{path} has been locked by another program for {PATIENCE} s: `fuser -v {quoted(path)}` names it; "
                "end it, or wait for its end"
            ) from error
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
            both = f"{quoted(path.parent)} {quoted(path)}"
            raise BadInput(f"{path} cannot be written to ({error}): chmod u+rw {both}") from error
        if line := machine_fault(error):  # a backup would not help
            raise BadInput(f"{path} cannot be used: {line}") from error
        raise BadInput(damaged(path, str(error))) from error


@lru_cache(maxsize=1)
def is_sound(path: Path, seen: Stamp) -> bool:
    """Return whether the file holds tables. Raises BadInput unless it is whole and of the schema of the MLflow at hand."""
    with opened(path) as connection:
        if (fault := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise BadInput(damaged(path, " ".join(fault.split())))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return False
        if not {"experiments", "runs"} <= tables:
            raise BadInput(damaged(path, "it is the database of another program"))
        rows = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
        schema = next((name for (name,) in rows), "none")
    require_schema(path, schema)
    if lacking := sorted(NEEDED - tables):
        raise BadInput(damaged(path, f"it lacks the table {lacking[0]}"))
    return True


def require_schema(path: Path, schema: str) -> None:
    """Raise BadInput unless the MLflow at hand works with this schema."""
    known, newest = schemas("mlflow", SCRIPTS)  # read: importing MLflow takes seconds
    if schema == newest or not newest:  # where none is known MLflow itself looks
        return
    mlflow = f"MLflow {version('mlflow')}"
    if schema in known or schema == "none":
        command = f"{quoted(Path(sys.executable).with_name('mlflow'))} db upgrade {quoted(f'sqlite:///{path}')}"
        raise BadInput(
            f"{path} has an older schema ({schema}) than {mlflow} needs ({newest}): copy the file, then run {command}"
        )
    raise BadInput(
        f"{path} was written by a newer MLflow (schema {schema}) than is installed ({mlflow}, schema {newest}): update this "
        f"checkout (git pull && make doctor), or {restore(path)}"
    )


def require_nothing_lost(places: Places, state: str, known: bool) -> None:
    """Raise BadInput where the database knows of no model, and files show that it once did."""
    if known:
        path, folder = path_of(places), places.artifacts.absolute()
        models = len(is_visible(folder / "models"))
        raise BadInput(
            f"{path} is {state}, and {folder} holds what runs have made (models: {models:,}): which model is in use, and which "
            f"were taken back, is not known; {restore(path)}; if a server knows it, set MLFLOW_TRACKING_URI; to begin anew without them: "
            f"mv {quoted(folder)} {quoted(folder)}-old"
        )


def traces(places: Places) -> list[Path]:
    """Return what a run leaves only after it has made the database."""
    folder = places.artifacts.absolute()
    return [*is_visible(folder / "models"), *is_visible(folder / "mlflow"), *folder.glob("runs/*/run.json")]


def was_released(places: Places) -> bool:
    """Return whether files show that a version was registered."""
    numbers = (version_of(run) for run in places.artifacts.absolute().glob("runs/*/run.json"))
    return any(is_visible(files_of(places) / "models")) or any(number is not None for number in numbers)


def version_of(run: Path) -> object:
    """Return the version that was in use after a run, or None where there was none or the file does not say."""
    try:
        return json.loads(run.read_bytes())["release"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def bring_here(connection: sqlite3.Connection, places: Places) -> None:
    """Let the addresses of recast's files name the present folder, where the database was moved or copied, all or none of them.

    A user who may only read leaves them as they are: `home` finds the files all the same.
    """
    here, path = files_of(places).as_uri(), path_of(places)
    there = [
        root for (root,) in connection.execute(ROOTS) if os.path.realpath(local(root)) != os.path.realpath(local(here))
    ]
    if not there:
        return
    if path.stat().st_nlink > 1 or not lies_below(Path(os.path.realpath(path)), places.artifacts):
        own = f"{quoted(path)}.own"
        raise BadInput(
            f"{path} is one file with that of another folder, perhaps {local(there[0]).parent}, from where it was copied as a "
            f"link: make it a file of its own: cp {quoted(path)} {own} && mv {own} {quoted(path)}"
        )
    connection.create_function("brought", 1, lambda found: brought(found, there, here))
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in ADDRESSES:
            connection.execute(f"UPDATE {table} SET {column} = brought({column}) WHERE {column} <> brought({column})")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        return
    was = ", ".join(sorted(str(local(root).parent) for root in there))
    warn(f"{path} was moved or copied from {was}: its files are those of the present folder now")


def brought(found: str | None, roots: Collection[str], here: str) -> str | None:
    """Return the address below `here` instead of below one of the roots; any other as it is."""
    if found is None or found == here or found.startswith(f"{here}/"):
        return found
    root = next((root for root in roots if found == root or found.startswith(f"{root}/")), None)
    return found if root is None else here + found.removeprefix(root)


def local(uri: str) -> Path:
    """Return the path that MLflow means by an address."""
    return Path(unquote(urlparse(uri).path) if uri.startswith("file:") else uri)


def home(uri: str, places: Places) -> Path | None:
    """Return the folder below the present `artifacts` that an address means; None for one that lies elsewhere."""
    _, root, tail = uri.rpartition("/mlflow/")
    moved = [files_of(places) / unquote(tail)] if root else []  # the database was moved, and may only be read
    return next((folder for folder in (local(uri), *moved) if lies_below(folder, places.artifacts)), None)


def damaged(path: Path, why: str) -> str:
    return f"{path} cannot be used: {why}; {restore(path)}"


def restore(path: Path) -> str:
    """Return the command that puts the database of a backup in its place; a journal of the old one would be played into it."""
    journal = path.with_name(f"{path.name}-journal")
    first = f"rm {quoted(journal)} && " if journal.exists() else ""
    return f"restore it from a backup ({first}cp BACKUP/{path.name} {quoted(path)})"


def quoted(path: object) -> str:
    """Return the path as a shell takes it."""
    return shlex.quote(str(path))
