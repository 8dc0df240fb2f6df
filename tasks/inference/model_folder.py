"""Model folder: a model as a folder of files, `artifacts/models/<digest>/`. It appears complete, and never changes afterwards.

Its name is the digest of the files that decide an answer. The other files say the same in another form, and their bytes may
differ each time they are made; `exports.json` lists all.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from tasks.inference.runtimes import NAMES
from tasks.records.results import Exports, Format
from tasks.records.rows import Content
from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import File, digest_of, erase, find_damage, publish, scratch_beside, sha256_of, tree_digest
from tasks.storage.tables import read_table
from tasks.tracking import connection, registry, runs, stored_files

EXPORTS = "exports.json"
DECIDING = ("decision.json", "images.csv", NAMES["keras"], NAMES["litert"])


def path(digest: str, places: Places) -> Path:
    """Return the folder of the model of this digest."""
    return places.models / digest


def identity(folder: Path) -> str:
    """Return the sha256 over the files that decide an answer: the name that the folder should have."""
    return digest_of({name: sha256_of(folder / name) for name in DECIDING if (folder / name).is_file()})


def verify(folder: Path) -> str:
    """Return the digest of a model's folder. Raises BadInput unless the folder is as it was released."""
    if fault := difference(folder):
        raise BadInput(
            f"{fault}: this is not the model as it was released, and it is not loaded; "
            "copy its folder anew, or run flows/retrain.py again where it was made, which restores it"
        )
    return identity(folder)


def difference(folder: Path) -> str | None:
    """Say how a model's folder differs from the one that was released; None where it does not.

    The folder's name is the digest of the released model. A copy may have any name; then the list inside it names the digest.
    """
    if not folder.is_dir():
        return f"{folder} is missing"
    try:
        listed = read(folder)
    except BadInput as error:
        return str(error)
    name_digest = folder.name if re.fullmatch("[0-9a-f]{64}", folder.name) else None
    if not (name_digest or listed):
        return f"{folder / EXPORTS} is missing, which says what was released"
    if name_digest and listed and listed.digest != name_digest:
        return f"{folder / EXPORTS} has changed"
    if identity(folder) == (name_digest or listed and listed.digest):
        return None
    return first_change(folder, listed) or f"{folder} has changed"


def first_change(folder: Path, listed: Exports | None) -> str | None:
    """Say which of the files that decide an answer is not as it is listed; None where the list does not tell."""
    digests = {PurePosixPath(file.name).name: file.sha256 for file in listed.contents} if listed else {}
    changes = (find_damage(folder / name, digests[name]) for name in DECIDING if name in digests)
    unlisted = (folder / name for name in DECIDING if digests and name not in digests)
    added = (f"{file} was added" for file in unlisted if file.exists())
    return next(filter(None, (*changes, *added)), None)


def ensure_local(version: registry.Version, places: Places) -> Path:
    """Return the folder of a version, restored from the registry where it is missing or damaged. Raises BadInput if that fails."""
    folder = path(version.model, places)
    if fault := difference(folder):
        if version.removed:
            raise BadInput(
                f"version {version.number} cannot be used: its files were removed on {version.removed}, by `make prune`"
            )
        with fetch_from_registry(version, places) as scratch:
            warn(f"{fault}: version {version.number} is restored from the registry")
            shutil.rmtree(folder, ignore_errors=True)
            publish(scratch, folder)
    return folder


def read_back(version: registry.Version, places: Places) -> None:
    """Check that the registry gives back a version's folder as it was released. Raises BadInput otherwise."""
    with fetch_from_registry(version, places):
        pass


@contextmanager
def fetch_from_registry(version: registry.Version, places: Places) -> Iterator[Path]:
    """Yield a temporary copy of a version's folder from the registry. Raises BadInput where it is gone or has changed."""
    with scratch_beside(path(version.model, places)) as scratch:
        fetch(version, f"data/{version.model}", scratch, places)
        if difference(scratch):
            raise files_error(version, places)
        yield scratch


def fetch_servable(version: registry.Version, target: Path, places: Places) -> None:
    """Copy the model that MLflow serves for a version to `target`.

    Raises BadInput unless it is as it was released, before any of it is imported. Older versions have no digest to check their
    code by: they are wrapped anew, and their own code is not used.
    """
    if version.stored is None:
        return runs.write_servable(ensure_local(version, places), target, version.tracked)
    fetch(version, "", target, places)
    for path in sorted(target.rglob("__pycache__"), reverse=True):
        erase(path)  # Python leaves them where a model was loaded, and would run them in place of the code
    with suppress(ValueError):  # a link among the files
        if tree_digest(target) == version.stored:
            return None
    raise files_error(version, places)


def fetch(version: registry.Version, inside: str, target: Path, places: Places) -> None:
    """Copy the registry's files of a version under `inside` to `target`. Raises BadInput where they are gone."""
    try:
        stored_files.fetch_model(version.number, inside, target, places)
    except FileNotFoundError as error:  # others pass, as of a server that is down: the files may still be there
        raise files_error(version, places, f"are gone: {error}") from error


def files_error(
    version: registry.Version, places: Places, fault: str = "have changed since they were released, and are not used"
) -> BadInput:
    """Return the error for files of a version that are not in the registry as they were released."""
    return BadInput(f"the files of version {version.number} in {connection.address(places)} {fault}")


def read(folder: Path) -> Exports | None:
    """Read the list in a model's folder; None where there is no list. Raises BadInput when the list is damaged."""
    try:
        return Exports.model_validate_json((folder / EXPORTS).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BadInput(f"{folder / EXPORTS} is damaged: {error.errors()[0]['msg']}") from error


def is_verified(folder: Path, name: str) -> bool:
    """Return whether the network in this format is the file that was compared, and answered as the trained network did."""
    exports, path = read(folder), folder / NAMES[name]
    if not exports or not path.is_file() or name not in exports.formats or not exports.formats[name].alike:
        return False
    return sha256_of(path) in {file.sha256 for file in exports.contents if PurePosixPath(file.name).name == path.name}


def load_intact(folder: Path, places: Places) -> Exports | None:
    """Read the list in a model's folder if the folder is complete and undamaged, else return None."""
    try:
        exports = read(folder)
    except BadInput:
        return None
    return exports if exports and exports.digest == folder.name and not exports.damage(places) else None


def store(scratch: Path, formats: dict[str, Format], places: Places) -> Exports:
    """Write the list into a finished folder and move the folder to its name.

    An equal folder that exists already stays, unless it is damaged or one of its formats did not decide as the trained network.
    """
    target = path(identity(scratch), places)
    if (stored := load_intact(target, places)) and all(entry.alike for entry in stored.formats.values()):
        return stored
    exports = Exports(
        digest=target.name,
        contents=tuple(
            File(
                place="artifacts",
                name=f"models/{target.name}/{file.relative_to(scratch).as_posix()}",
                sha256=sha256_of(file),
            )
            for file in sorted(scratch.rglob("*"))
            if file.is_file()
        ),
        formats=formats,
    )
    (scratch / EXPORTS).write_text(exports.model_dump_json(indent=2), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    publish(scratch, target)
    return exports


def training_digests(digest: str, places: Places) -> frozenset[str]:
    """Return the sha256 of each image that the model of this digest learned from; empty where its folder does not list them."""
    listed = path(digest, places) / "images.csv"
    return frozenset(content.sha256 for content in read_table(listed, Content)) if listed.is_file() else frozenset()
