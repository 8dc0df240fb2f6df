"""Arrivals: folders of new labelled images, each an origin of its own."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.images import manifest
from tasks.runs.config import Classes, Fetch, Places
from tasks.runs.errors import BadInput
from tasks.runs.messages import say
from tasks.runs.records import Arrival
from tasks.runs.states import digests
from tasks.sources.entries import Caps, name_faults
from tasks.sources.folder import DataRoot, Labelled, folded, is_image, labelled, listing_digest, walk

UNLABELLED = "unlabelled"
INBOX = "inbox"  # origin of class folders that lie directly in the inbox


class Folder(NamedTuple):
    """A folder of new images: it holds one class folder or both."""

    origin: str
    path: Path


def arrivals(fetch: Fetch, places: Places) -> tuple[Arrival, ...]:
    """What the settings name, or else what lies in the inbox, identified by its content. Raises BadInput as the functions below.

    Files that are still being written are left for the next run, and an arrival that has no others is left out.
    """
    if fetch.arrivals is None:
        folders = arrival_folders(places.data.absolute() / "inbox", fetch.classes)
    else:
        folders = given_folders([path.expanduser().absolute() for path in fetch.arrivals], fetch.classes)
    listed = {folder: [file.name for file in files(walk(folder.path), fetch.classes)] for folder in folders}
    paths = [f"{folder.path}/{name}" for folder, names in listed.items() for name in names]
    whole = settled(paths, fetch.settle_seconds)
    found = [arrival(folder, names, whole, places) for folder, names in listed.items()]
    return tuple(one for one in found if one.names)


def arrival(folder: Folder, names: list[str], whole: set[str], places: Places) -> Arrival:
    """The arrival of those files that are whole. Says how many are not."""
    taken = tuple(name for name in names if f"{folder.path}/{name}" in whole)
    if unsettled := len(names) - len(taken):
        say(f"arrivals: {unsettled:,} files of {folder.origin} are still being written, left for the next run")
    return Arrival(
        origin=folder.origin,
        identity=identity(folder.path, taken, places),
        path=folder.path,
        names=taken,
        unsettled=unsettled,
    )


def settled(paths: Sequence[str], seconds: float) -> set[str]:
    """Those of `paths` that have not changed for so many seconds. Waits once, and only where a file is younger than that."""
    if not seconds:
        return set(paths)
    states = {path: State.of(path) for path in paths}
    ages = {path: time.time() - state.changed if state else 0.0 for path, state in states.items()}
    fresh = [path for path, age in ages.items() if age < seconds]
    if fresh:
        time.sleep(min(seconds, seconds - min(ages.values())))  # the first: a clock may run ahead of this one
    unsettled = {path for path in fresh if states[path] is None or State.of(path) != states[path]}
    return set(paths) - unsettled


class State(NamedTuple):
    """What changes while a file is being written."""

    size: int
    changed: float
    """Seconds since 1970: the later of the times of the content and of the entry, since a copy may bring the first along."""

    @classmethod
    def of(cls, path: str) -> "State | None":
        """None where there is no file."""
        try:
            there = os.stat(path)
        except FileNotFoundError:
            return None
        return cls(there.st_size, max(there.st_mtime, there.st_ctime))


def identity(folder: Path, names: Sequence[str], places: Places) -> str:
    """Digest of the files of an arrival. Raises BadInput for names that a table or another disk would not keep."""
    if fault := next(name_faults(names, Caps()), None):
        raise BadInput(f"{folder}: {fault}. Rename it")
    return listing_digest(contents(folder, names, places))


def contents(folder: Path, names: Sequence[str], places: Places) -> list[tuple[str, str]]:
    """Name and sha256 of each file. Raises BadInput if one is gone."""
    found = digests([f"{folder}/{name}" for name in names], places)
    if gone := [name for name, sha256 in zip(names, found, strict=True) if sha256 is None]:
        raise BadInput(f"{folder / gone[0]} vanished while it was read: start again when {folder.name} is complete")
    return [(name, sha256) for name, sha256 in zip(names, found, strict=True) if sha256]


def files(names: Iterable[str], classes: Classes) -> list[Labelled]:
    """Those files of an arrival that lie in its class folders, sorted by name."""
    return labelled(names, DataRoot("", ()), classes)[0]


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
