"""Bundle: a model as a folder of files, `artifacts/models/<digest>/`, complete before it can be seen and never changed after.

Its name is the digest of the files that decide an answer. The others say the same in another way, and their bytes may differ
each time they are made; `exports.json` lists all.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
from tasks.tracking import registry, runs

EXPORTS = "exports.json"
DECIDING = ("decision.json", "images.csv", NAMES["keras"], NAMES["litert"])


def path(digest: str, places: Places) -> Path:
    """Where the model of this digest lies."""
    return places.artifacts.absolute() / "models" / digest


def identity(folder: Path) -> str:
    """sha256 over the files that decide: the name that the folder should have."""
    return digest_of({name: sha256_of(folder / name) for name in DECIDING if (folder / name).is_file()})


def verify(folder: Path) -> str:
    """Return the digest of a model's folder. Raises BadInput unless it is the one that was released."""
    if what := difference(folder):
        raise BadInput(
            f"{what}: this is not the model as it was released, and it is not loaded; "
            "copy its folder anew, or run flows/retrain.py again where it was made, which restores it"
        )
    return identity(folder)


def difference(folder: Path) -> str | None:
    """Say in what a model's folder is not the one that was released, or return None.

    Its name is the digest of what was released. A copy may have any name; there the list in it says the digest.
    """
    if not folder.is_dir():
        return f"{folder} is missing"
    try:
        listed = read(folder)
    except BadInput as damaged:
        return str(damaged)
    named = folder.name if re.fullmatch("[0-9a-f]{64}", folder.name) else None
    if not (named or listed):
        return f"{folder / EXPORTS} is missing, which says what was released"
    if named and listed and listed.digest != named:
        return f"{folder / EXPORTS} has changed"
    if identity(folder) == (named or listed and listed.digest):
        return None
    return first_change(folder, listed) or f"{folder} has changed"


def first_change(folder: Path, listed: Exports | None) -> str | None:
    """Say which of the files that decide is not as it is listed; None where the list does not tell."""
    there = {PurePosixPath(file.name).name: file.sha256 for file in listed.contents} if listed else {}
    changes = (find_damage(folder / name, there[name]) for name in DECIDING if name in there)
    added = (
        f"{folder / name} was added" for name in DECIDING if there and name not in there and (folder / name).exists()
    )
    return next(filter(None, (*changes, *added)), None)


def ensure_local(version: registry.Version, places: Places) -> Path:
    """The folder of a version. Where it is not at hand, or was damaged, it comes from the registry. Raises BadInput if it cannot."""
    folder = path(version.model, places)
    if what := difference(folder):
        if version.removed:
            raise BadInput(
                f"version {version.number} cannot be used: its files were removed on {version.removed}, by `make prune`"
            )
        with fetch_from_registry(version, places) as scratch:
            warn(f"{what}: version {version.number} is restored from the registry")
            shutil.rmtree(folder, ignore_errors=True)
            publish(scratch, folder)
    return folder


def read_back(version: registry.Version, places: Places) -> None:
    """Raises BadInput unless the registry gives back the very folder that was put there."""
    with fetch_from_registry(version, places):
        pass


@contextmanager
def fetch_from_registry(version: registry.Version, places: Places) -> Iterator[Path]:
    """The folder of a version as the registry has it, its digest checked, for a while."""
    with scratch_beside(path(version.model, places)) as scratch:
        fetch(version, f"data/{version.model}", scratch, places)
        if difference(scratch):
            raise tampered_error(version, places)
        yield scratch


def fetch_servable(version: registry.Version, target: Path, places: Places) -> None:
    """Copy to `target` what MLflow serves of a version. Raises BadInput unless it is what was released, before any of it is imported.

    A version that was released before its digest was noted is wrapped anew: its own code cannot be checked, and is not used.
    """
    if version.stored is None:
        return runs.serve(ensure_local(version, places), target, version.tracked)
    fetch(version, "", target, places)
    for path in sorted(target.rglob("__pycache__"), reverse=True):
        erase(path)  # Python leaves them where a model was loaded, and would run them in place of the code
    try:
        digest = tree_digest(target)
    except ValueError as link:
        raise tampered_error(version, places) from link
    if digest != version.stored:
        raise tampered_error(version, places)
    return None


def fetch(version: registry.Version, inside: str, target: Path, places: Places) -> None:
    """Copy what the registry has of a version. Raises BadInput where that is gone."""
    try:
        runs.fetch_model(version.number, inside, target, places)
    except FileNotFoundError as error:  # what passes, such as a server that is down, is no reason to do without
        raise BadInput(f"the files of {version_in_words(version, places)} are gone: {error}") from error


def tampered_error(version: registry.Version, places: Places) -> BadInput:
    return BadInput(
        f"the files of {version_in_words(version, places)} have changed since they were released, and are not used"
    )


def version_in_words(version: registry.Version, places: Places) -> str:
    return f"version {version.number} in {runs.address(places)}"


def read(folder: Path) -> Exports | None:
    """What the folder lists; None where it lists nothing. Raises BadInput when the list is damaged."""
    try:
        return Exports.model_validate_json((folder / EXPORTS).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BadInput(f"{folder / EXPORTS} is damaged: {error.errors()[0]['msg']}") from error


def is_verified(folder: Path, name: str) -> bool:
    """Whether the network in this format is the file that was compared, and answered as the trained one did."""
    exports, path = read(folder), folder / NAMES[name]
    if not exports or not path.is_file() or name not in exports.formats or not exports.formats[name].alike:
        return False
    return sha256_of(path) in {file.sha256 for file in exports.contents if PurePosixPath(file.name).name == path.name}


def load_intact(folder: Path, places: Places) -> Exports | None:
    """What the folder lists, if it is whole."""
    try:
        exports = read(folder)
    except BadInput:
        return None
    return exports if exports and exports.digest == folder.name and not exports.damage(places) else None


def store(scratch: Path, formats: dict[str, Format], places: Places) -> Exports:
    """Gives a finished folder its list and its name.

    One that is there already stays, unless it was damaged, or a format of it did not decide as the trained network.
    """
    target = path(identity(scratch), places)
    if (there := load_intact(target, places)) and all(one.alike for one in there.formats.values()):
        return there
    files = sorted(path for path in scratch.rglob("*") if path.is_file())
    exports = Exports(
        digest=target.name,
        contents=tuple(
            File(
                place="artifacts",
                name=str(PurePosixPath("models", target.name, path.relative_to(scratch).as_posix())),
                sha256=sha256_of(path),
            )
            for path in files
        ),
        formats=formats,
    )
    (scratch / EXPORTS).write_text(exports.model_dump_json(indent=2), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    publish(scratch, target)
    return exports


def training_digests(digest: str, places: Places) -> frozenset[str]:
    """sha256 of the images that the model of this digest was learnt from; none where its folder does not tell."""
    listed = path(digest, places) / "images.csv"
    return frozenset(one.sha256 for one in read_table(listed, Content)) if listed.is_file() else frozenset()
