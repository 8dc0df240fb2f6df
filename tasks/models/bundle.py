"""Bundle: a model as a folder of files, `artifacts/models/<digest>/`, complete before it can be seen and never changed after.

Its name is the digest of the files that decide an answer. The others say the same in another way, and their bytes may differ
each time they are made; `exports.json` lists all.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from tasks.images.manifest import Content
from tasks.models.formats import NAMES
from tasks.runs import registry, tracker
from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.files import File, digest_of, publish, scratch_beside, sha256_of
from tasks.runs.records import Exports, Format
from tasks.runs.tables import read_table

EXPORTS = "exports.json"
DECIDING = ("decision.json", "images.csv", NAMES["keras"], NAMES["litert"])


def of(digest: str, places: Places) -> Path:
    """Where the model of this digest lies."""
    return places.artifacts.absolute() / "models" / digest


def identity(folder: Path) -> str:
    """sha256 over the files that decide: the name that the folder should have."""
    return digest_of({name: sha256_of(folder / name) for name in DECIDING if (folder / name).is_file()})


def obtained(version: registry.Version, places: Places) -> Path:
    """The folder of a version. Where it is not at hand, or was damaged, it comes from the registry. Raises BadInput if it cannot."""
    folder = of(version.model, places)
    if not folder.is_dir() or identity(folder) != version.model:
        if version.removed:
            raise BadInput(
                f"version {version.number} cannot be used: its files were removed on {version.removed}, by `make prune`"
            )
        with fetched(version, places) as scratch:
            shutil.rmtree(folder, ignore_errors=True)
            publish(scratch, folder)
    return folder


def read_back(version: registry.Version, places: Places) -> None:
    """Raises BadInput unless the registry gives back the very folder that was put there."""
    with fetched(version, places):
        pass


@contextmanager
def fetched(version: registry.Version, places: Places) -> Iterator[Path]:
    """The folder of a version as the registry has it, its digest checked, for a while."""
    where = f"version {version.number} in {tracker.address(places)}"
    with scratch_beside(of(version.model, places)) as scratch:
        try:
            tracker.fetch_model(version.number, version.model, scratch, places)
        except FileNotFoundError as error:  # what passes, such as a server that is down, is no reason to do without
            raise BadInput(f"the files of {where} are gone: {error}") from error
        if identity(scratch) != version.model:
            raise BadInput(f"the files of {where} have changed since they were released, and are not used")
        yield scratch


def read(folder: Path) -> Exports | None:
    """What the folder lists; None where it lists nothing. Raises BadInput when the list is damaged."""
    try:
        return Exports.model_validate_json((folder / EXPORTS).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BadInput(f"{folder / EXPORTS} is damaged: {error.errors()[0]['msg']}") from error


def agrees(folder: Path, name: str) -> bool:
    """Whether the network in this format is the file that was compared, and answered as the trained one did."""
    exports, path = read(folder), folder / NAMES[name]
    if not exports or not path.is_file() or name not in exports.formats or not exports.formats[name].alike:
        return False
    return sha256_of(path) in {file.sha256 for file in exports.contents if PurePosixPath(file.name).name == path.name}


def standing(folder: Path, places: Places) -> Exports | None:
    """What the folder lists, if it is whole."""
    try:
        exports = read(folder)
    except BadInput:
        return None
    return exports if exports and exports.digest == folder.name and not exports.damage(places) else None


def keep(scratch: Path, formats: dict[str, Format], places: Places) -> Exports:
    """Gives a finished folder its list and its name.

    One that is there already stays, unless it was damaged, or a format of it did not decide as the trained network.
    """
    target = of(identity(scratch), places)
    if (there := standing(target, places)) and all(one.alike for one in there.formats.values()):
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


def learnt(digest: str, places: Places) -> frozenset[str]:
    """sha256 of the images that the model of this digest was learnt from; none where its folder does not tell."""
    listed = of(digest, places) / "images.csv"
    return frozenset(one.sha256 for one in read_table(listed, Content)) if listed.is_file() else frozenset()
