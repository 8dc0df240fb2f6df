"""Arrivals: folders of new labelled images, each an origin of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.images import manifest
from tasks.runs.config import Classes, Fetch, Places
from tasks.runs.errors import BadInput
from tasks.runs.files import sha256_of
from tasks.runs.records import Arrival
from tasks.sources.entries import Caps, name_faults
from tasks.sources.folder import DataRoot, Labelled, folded, is_image, labelled, listing_digest, walk

UNLABELLED = "unlabelled"
INBOX = "inbox"  # origin of class folders that lie directly in the inbox


class Folder(NamedTuple):
    """A folder of new images: it holds one class folder or both."""

    origin: str
    path: Path


def arrivals(fetch: Fetch, places: Places) -> tuple[Arrival, ...]:
    """What the settings name, or else what lies in the inbox, identified by its content. Raises BadInput as the two below."""
    if fetch.arrivals is None:
        folders = arrival_folders(places.data.absolute() / "inbox", fetch.classes)
    else:
        folders = given_folders([path.expanduser().absolute() for path in fetch.arrivals], fetch.classes)
    return tuple(Arrival(origin=origin, identity=identity(path, fetch.classes), path=path) for origin, path in folders)


def identity(folder: Path, classes: Classes) -> str:
    """Digest of the files of an arrival. Raises BadInput for names that a table or another disk would not keep."""
    names = [file.name for file in files(folder, classes)]
    if fault := next(name_faults(names, Caps()), None):
        raise BadInput(f"{folder}: {fault}. Rename it")
    return listing_digest((name, sha256_of(folder / name)) for name in names)


def files(folder: Path, classes: Classes) -> list[Labelled]:
    """The files in the class folders of an arrival, sorted by name."""
    return labelled(walk(folder), DataRoot("", ()), classes)[0]


def arrival_folders(inbox: Path, classes: Classes) -> list[Folder]:
    """What lies in `inbox`: each `<batch>/` with a class folder, and the inbox itself (origin "inbox") if it holds one directly.

    No inbox, no arrivals; what is in `unlabelled/` waits. Raises BadInput for any other image outside a class, and for equal origins.
    """
    if not inbox.exists():
        return []
    batches = {_batch(inbox, name, classes, depth=1) for name in walk(inbox)}
    return _distinct(
        [Folder(batch or INBOX, inbox / batch) for batch in sorted(batch for batch in batches if batch is not None)]
    )


def given_folders(folders: Sequence[Path], classes: Classes) -> list[Folder]:
    """`folders` as arrivals, the folder's own name as origin.

    Raises BadInput for a folder without class folders or with images outside them and `unlabelled/`, and for equal origins.
    """
    for folder in folders:
        if not any(_batch(folder, name, classes, depth=0) is not None for name in walk(folder)):
            raise BadInput(
                f"{folder} has no file in {classes.defect}/ or {classes.good}/: give the folder above these, one for each batch"
            )
    return _distinct([Folder(folder.resolve().name, folder) for folder in folders])


def _batch(top: Path, name: str, classes: Classes, depth: int) -> str | None:
    """The folder, at most `depth` below `top`, in whose class folder the file `name` lies; None if it has no label and needs none."""
    folders = name.split("/")[:-1]
    for level, folder in enumerate(folders[: depth + 1]):
        if folder in (classes.defect, classes.good):
            return "/".join(folders[:level])
        if folder == UNLABELLED:
            return None
    if is_image(name):
        raise BadInput(
            f"{top / name} has no label: put it in {classes.defect}/ or {classes.good}/ beside the others, or in {UNLABELLED}/"
        )
    return None


def _distinct(arrivals: list[Folder]) -> list[Folder]:
    """`arrivals`, if no two have one origin and none is called as the source is. Raises BadInput."""
    paths = {manifest.BASE: "the source"}
    for origin, path in arrivals:
        if folded(origin) in paths:
            raise BadInput(
                f"two origins are called {origin!r}: {paths[folded(origin)]} and {path}. Rename one of the folders"
            )
        paths[folded(origin)] = str(path)
    return arrivals
