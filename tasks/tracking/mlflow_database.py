"""MLflow database: checks the SQLite file in `artifacts` before MLflow opens it, and corrects its addresses when it was moved.

MLflow makes a new database where one was lost, and shows a traceback for a damaged one. It follows the absolute addresses that it
once wrote: a copy would read and remove the files of its original.
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
from tasks.storage.files import lies_below, visible_paths
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
    """Return the path of the database. Raises BadInput where MLflow cannot open a database of this path."""
    path = places.artifacts_root / "mlflow.db"
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
    return places.artifacts_root / "mlflow"


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
            number = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(
                f"PRAGMA user_version = {number}"
            )  # BEGIN raises nothing for a file that may only be read
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
            both = f"{shell_quoted(path.parent)} {shell_quoted(path)}"
            raise BadInput(f"{path} cannot be written to ({error}): chmod u+rw {both}") from error
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
        schema = next((name for (name,) in rows), "none")
    require_schema(path, schema)
    if lacking := sorted(NEEDED - tables):
        raise BadInput(damage_message(path, f"it lacks the table {lacking[0]}"))
    return True


def require_schema(path: Path, schema: str) -> None:
    """Raise BadInput unless the installed MLflow works with this schema."""
    supported, newest = schemas("mlflow", SCRIPTS)  # from its files: importing MLflow takes seconds
    if schema == newest or not newest:  # where no schema is found, MLflow checks it itself
        return
    mlflow = f"MLflow {version('mlflow')}"
    if schema in supported or schema == "none":
        command = (
            f"{shell_quoted(Path(sys.executable).with_name('mlflow'))} db upgrade {shell_quoted(f'sqlite:///{path}')}"
        )
        raise BadInput(
            f"{path} has an older schema ({schema}) than {mlflow} needs ({newest}): copy the file, then run {command}"
        )
    raise BadInput(
        f"{path} was written by a newer MLflow (schema {schema}) than is installed ({mlflow}, schema {newest}): update this "
        f"checkout (git pull && make doctor), or {restore_advice(path)}"
    )


def require_nothing_lost(places: Places, state: str, was_used: bool) -> None:
    """Raise BadInput where the database has lost its content: it is in this state now, but files show that it was used."""
    if was_used:
        path, folder = path_of(places), places.artifacts_root
        models = len(visible_paths(folder / "models"))
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
    numbers = (version_of(run) for run in places.artifacts_root.glob("runs/*/run.json"))
    return any(visible_paths(files_of(places) / "models")) or any(number is not None for number in numbers)


def version_of(run: Path) -> object:
    """Read from a `run.json` the version that was in use after the run; None where there was none or the file does not say."""
    try:
        return json.loads(run.read_bytes())["release"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def bring_here(connection: sqlite3.Connection, places: Places) -> None:
    """Write the present folder into the addresses of recast's files, all or none, where the database was moved or copied.

    Where the user may only read, the addresses stay as they are: `home` finds the files all the same.
    """
    here, path = files_of(places).as_uri(), path_of(places)
    old_roots = [
        root
        for (root,) in connection.execute(ROOTS)
        if os.path.realpath(local_path(root)) != os.path.realpath(local_path(here))
    ]
    if not old_roots:
        return
    if path.stat().st_nlink > 1 or not lies_below(Path(os.path.realpath(path)), places.artifacts):
        copy = f"{shell_quoted(path)}.own"
        raise BadInput(
            f"{path} is one file with that of another folder, perhaps {local_path(old_roots[0]).parent}, from where it was copied as a "
            f"link: make it a file of its own: cp {shell_quoted(path)} {copy} && mv {copy} {shell_quoted(path)}"
        )
    connection.create_function("brought", 1, lambda uri: moved_address(uri, old_roots, here))
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in ADDRESSES:
            connection.execute(f"UPDATE {table} SET {column} = brought({column}) WHERE {column} <> brought({column})")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        return
    origins = ", ".join(sorted(str(local_path(root).parent) for root in old_roots))
    warn(f"{path} was moved or copied from {origins}: its files are those of the present folder now")


def moved_address(uri: str | None, roots: Collection[str], here: str) -> str | None:
    """Return an address with `here` in the place of the root that it lies below. An address below none of the roots stays as it is."""
    if uri is None or uri == here or uri.startswith(f"{here}/"):
        return uri
    root = next((root for root in roots if uri == root or uri.startswith(f"{root}/")), None)
    return uri if root is None else here + uri.removeprefix(root)


def local_path(uri: str) -> Path:
    """Return the path that MLflow means by an address."""
    return Path(unquote(urlparse(uri).path) if uri.startswith("file:") else uri)


def home(uri: str, places: Places) -> Path | None:
    """Return the folder below the present `artifacts` that an address means; None for one that lies elsewhere."""
    _, root, tail = uri.rpartition("/mlflow/")
    moved = [files_of(places) / unquote(tail)] if root else []  # of a database that was moved and may only be read
    return next((folder for folder in (local_path(uri), *moved) if lies_below(folder, places.artifacts)), None)


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


def shell_quoted(path: object) -> str:
    """Return the path, quoted for a shell where it needs to be."""
    return shlex.quote(str(path))
