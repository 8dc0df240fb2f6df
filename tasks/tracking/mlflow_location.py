"""MLflow location: where the embedded database and its files lie, and corrected addresses where they were moved or copied.

MLflow follows the absolute addresses that it once wrote: a copy would read and remove the files of its original.
"""

import os
import shlex
import sqlite3
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlparse

from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import lies_below

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


def bring_here(connection: sqlite3.Connection, places: Places) -> None:
    """Write the present folder into the addresses of recast's files, all or none, where the database was moved or copied.

    Where the user may only read, the addresses stay as they are: `home` finds the files all the same.
    """
    here, path = files_of(places).as_uri(), path_of(places)
    real_here = os.path.realpath(local_path(here))
    old_roots = [root for (root,) in connection.execute(ROOTS) if os.path.realpath(local_path(root)) != real_here]
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


def shell_quoted(path: object) -> str:
    """Return the path, quoted for a shell where it needs to be."""
    return shlex.quote(str(path))
