"""Stored files: what MLflow keeps of a run or a version, below `artifacts` or on a server."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.settings.redaction import redact
from tasks.settings.settings import Places
from tasks.storage.files import erase, lies_below, scratch_beside
from tasks.tracking import connection, mlflow_location

REMOVED = "recast.removed"  # tag of a run or a version: the day on which its files were removed
DECISION = "release.json"  # artifact of a run: its decision


def fetch_model(number: int, inside: str, target: Path, places: Places) -> None:
    """Copy the stored files of a version, or of its folder `inside` alone, to `target`.

    Raises FileNotFoundError where the registry has no such folder, ConnectionError where it has one but copying it fails.
    """
    stored = stored_version(number, places)
    if not stored.size(inside):
        raise FileNotFoundError(redact(f"there is no {inside or 'model'} in {stored.uri}"))
    with scratch_beside(target) as scratch:
        scratch.mkdir()
        os.replace(stored.fetch(inside, scratch), target)


def bytes_of_run(mlflow_run_id: str, places: Places) -> int:
    """Return the size in bytes of the files that `delete_run_files` removes."""
    return stored_run(mlflow_run_id, places).size(but=DECISION)


def delete_run_files(mlflow_run_id: str, places: Places) -> None:
    """Remove the files of a run, but not its decision, figures and parameters."""
    stored_run(mlflow_run_id, places).remove(but=DECISION)
    connection.client(places).set_tag(mlflow_run_id, REMOVED, f"{datetime.now(UTC):%Y-%m-%d}")


def bytes_of_version(number: int, places: Places) -> int:
    """Return the size in bytes of the files of a version."""
    return stored_version(number, places).size()


def delete_version_files(number: int, places: Places) -> None:
    """Remove the files of a version, but not its entry in the registry."""
    stored_version(number, places).remove()
    connection.client(places).set_model_version_tag(
        places.registered_name, str(number), REMOVED, f"{datetime.now(UTC):%Y-%m-%d}"
    )


def stored_run(mlflow_run_id: str, places: Places) -> "StoredFiles":
    """Return the files of a run."""
    return files_at(connection.client(places).get_run(mlflow_run_id).info.artifact_uri, places)


def stored_version(number: int, places: Places) -> "StoredFiles":
    """Return the files of a version."""
    return files_at(
        connection.client(places).get_model_version_download_uri(places.registered_name, str(number)), places
    )


def files_at(uri: str, places: Places) -> "StoredFiles":
    """Return the files below an address."""
    return RemoteFiles(uri, places) if connection.server() else LocalFiles(uri, places)


class LocalFiles:
    """Files below `artifacts`. Follows no link out of it, and removes files without MLflow, which takes `%20` in a path for a space."""

    def __init__(self, uri: str, places: Places):
        self.uri, self.places, self.folder = uri, places, mlflow_location.home(uri, places)

    def files(self, path: str = "") -> dict[str, Path]:
        """Return the files below `path` by their names, relative to the folder of all files."""
        if self.folder is None:
            return {}
        return {
            file.relative_to(self.folder).as_posix(): file
            for file in (self.folder / path).rglob("*")
            if file.is_file() and lies_below(file, self.places.artifacts)
        }

    def size(self, path: str = "", but: str = "") -> int:
        """Return the size in bytes of all files, or of those below `path`, without the file `but`."""
        return sum(file.stat().st_size for name, file in self.files(path).items() if name != but)

    def text(self, path: str) -> str | None:
        """Return the text of a file, or None where there is none."""
        file = self.files().get(path)
        return file.read_text("utf-8") if file else None

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder and return the path of the copy. Raises ConnectionError where copying fails."""
        try:
            for name, file in self.files(path).items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, into / name)
        except OSError as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error}")) from error
        return into / path

    def remove(self, but: str = "") -> None:
        """Remove all files but the file `but`."""
        for path in self.folder.iterdir() if self.folder and self.folder.is_dir() else ():
            if path.name != but:
                erase(path)


class RemoteFiles:
    """Files on an MLflow server, or in a store that the server names."""

    def __init__(self, uri: str, places: Places):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.uri, self.places = uri, places
        self.repository = get_artifact_repository(
            uri, tracking_uri=connection.address(places), registry_uri=connection.address(places)
        )

    def size(self, path: str = "", but: str = "") -> int:
        """Return the size in bytes, as `LocalFiles` does."""
        entries = [entry for entry in self.repository.list_artifacts(path or None) if entry.path != but]
        return sum(self.size(entry.path) if entry.is_dir else entry.file_size or 0 for entry in entries)

    def text(self, path: str) -> str | None:
        """Return the text of a file, as `LocalFiles` does."""
        with TemporaryDirectory() as folder:
            try:
                return Path(self.repository.download_artifacts(path, folder)).read_text("utf-8")
            except OSError:
                return None

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder, as `LocalFiles` does."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            copy = download_artifacts(
                artifact_uri=f"{self.uri}/{path}", dst_path=str(into), tracking_uri=connection.address(self.places)
            )
        except MlflowException as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error.message}")) from error
        return Path(copy)

    def remove(self, but: str = "") -> None:
        """Remove the files, as `LocalFiles` does."""
        for entry in self.repository.list_artifacts():
            if entry.path != but:
                self.repository.delete_artifacts(entry.path)


StoredFiles = LocalFiles | RemoteFiles  # files that MLflow keeps below one address
