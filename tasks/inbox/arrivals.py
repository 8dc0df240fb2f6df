"""Arrivals: folders of new labelled images, each an origin of its own."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.records import rows
from tasks.records.results import Arrival
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.settings.settings import Classes, FetchSettings, Places
from tasks.sources.folder import (
    DataRoot,
    LabeledFile,
    is_image,
    labeled_files,
    left_out,
    listing_digest,
    look_through,
    other_formats,
    shorten,
    small_enough,
    usable_files,
    walk,
)
from tasks.sources.names import Listing, casefold_name, compose, name_fault
from tasks.storage.digest_cache import file_digests, state_of, unchanged

UNLABELLED = "unlabelled"
INBOX = "inbox"  # origin of class folders that lie directly in the inbox


class Folder(NamedTuple):
    """A folder of new images: it holds one class folder or both."""

    origin: str
    path: Path


def find_arrivals(fetch: FetchSettings, places: Places) -> tuple[Arrival, ...]:
    """What the settings name, or else what lies in the inbox, identified by its content. Raises BadInput as the functions below.

    Files that are still being written are left for the next run, and an arrival that has no others is left out.
    """
    if fetch.arrivals is None:
        folders = arrival_folders(places.data.absolute() / "inbox", fetch.classes)
    else:
        folders = given_folders([path.expanduser().absolute() for path in fetch.arrivals], fetch.classes)
    listed = {folder: usable_names(folder.path, fetch.classes) for folder in folders}
    paths = [f"{folder.path}/{name}" for folder, names in listed.items() for name in names]
    whole = settled_files(paths, fetch.settle_seconds, places)
    found = [arrival(folder, names, whole, places) for folder, names in listed.items()]
    return tuple(one for one in found if one.names)


def usable_names(folder: Path, classes: Classes) -> list[str]:
    """Return the files of an arrival that can be learned from. Name the others, except those named when the folder was found."""
    listing = usable_files(folder, Listing(walk(folder), []))
    names, large = small_enough(folder, [file.name for file in files(listing.names, classes)])
    tell([*listing.faults, *large])
    return names


def tell(faults: Sequence[str]) -> None:
    for fault in shorten(faults):
        say(f"arrivals: left out: {fault}")


def arrival(folder: Folder, names: list[str], whole: set[str], places: Places) -> Arrival:
    """Return the arrival of those files that are whole; say how many are not."""
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


def settled_files(paths: Sequence[str], seconds: float, places: Places) -> set[str]:
    """Return those of `paths` (absolute) that are the same at two looks, `seconds` apart. Waits once, and only for files that are new.

    A file that an earlier look read, and that is as it was then, has had both looks. No clock decides: that of a camera, of a
    file server or of this machine may be wrong, and may be set while a file waits.
    """
    if not seconds:
        return set(paths)
    known = unchanged(paths, places)
    before = {path: state_of(os.fsencode(path)) for path in paths if path not in known}
    if before:
        time.sleep(seconds)
    return known | {path for path, state in before.items() if state and state_of(os.fsencode(path)) == state}


def identity(folder: Path, names: Sequence[str], places: Places) -> str:
    """Digest of the files of an arrival."""
    return listing_digest(contents(folder, names, places))


def contents(folder: Path, names: Sequence[str], places: Places) -> list[tuple[str, str]]:
    """Name and sha256 of each file. Raises BadInput if one is gone or cannot be read."""
    found = file_digests([f"{folder}/{name}" for name in names], places)
    if gone := [name for name, sha256 in zip(names, found, strict=True) if sha256 is None]:
        raise BadInput(
            f"{folder / gone[0]} vanished while it was read, or may not be read: start again when {folder.name} is complete"
        )
    return [(name, sha256) for name, sha256 in zip(names, found, strict=True) if sha256]


def files(names: Iterable[str], classes: Classes) -> list[LabeledFile]:
    """Those files of an arrival that lie in its class folders, sorted by name."""
    return labeled_files(names, DataRoot("", ()), classes)[0]


def arrival_folders(inbox: Path, classes: Classes) -> list[Folder]:
    """What lies in `inbox`: each `<batch>/` with a class folder, and the inbox itself (origin "inbox") if it holds one directly.

    No inbox, no arrivals; what is in `unlabelled/` waits. Raises BadInput for any other image outside a class, and for equal origins.
    """
    if not inbox.exists():
        return []
    names, faults = look_through(inbox)
    found = {name: _batch(inbox, name, classes, depth=1) for name in names}
    batches = sorted({batch for batch in found.values() if batch is not None})
    odd = {batch: fault for batch in batches if batch and (fault := name_fault(batch))}
    tell([*faults, *(f"{for_terminal(str(inbox / batch))} {fault}: rename it" for batch, fault in odd.items())])
    tell(left_out([name for name, batch in found.items() if batch is None and not is_image(name)]))
    return _distinct([Folder(batch or INBOX, inbox / batch) for batch in batches if batch not in odd])


def given_folders(folders: Sequence[Path], classes: Classes) -> list[Folder]:
    """`folders` as arrivals, the folder's own name as origin.

    Raises BadInput for a folder without class folders or with images outside them and `unlabelled/`, and for equal origins.
    """
    for folder in folders:
        names, faults = look_through(folder)
        tell(faults)
        found = {name: _batch(folder, name, classes, depth=0) for name in names}
        if fault := name_fault(folder.resolve().name):
            raise BadInput(f"{for_terminal(str(folder))} {fault}: rename it")
        if all(batch is None for batch in found.values()):
            what = f"it holds {others}" if (others := other_formats(names)) else "it holds no other file"
            raise BadInput(
                f"{for_terminal(str(folder))} has no file in {classes.defect}/ or {classes.good}/, {what}: "
                "give the folder above these, one for each batch"
            )
        tell(left_out([name for name, batch in found.items() if batch is None and not is_image(name)]))
    return _distinct([Folder(folder.resolve().name, folder) for folder in folders])


def _batch(top: Path, name: str, classes: Classes, depth: int) -> str | None:
    """The folder, at most `depth` below `top`, in whose class folder the file `name` lies; None if it has no label and needs none."""
    folders = name.split("/")[:-1]
    for level, folder in enumerate(folders[: depth + 1]):
        if compose(folder) in (classes.defect, classes.good):
            return "/".join(folders[:level])
        if folder == UNLABELLED:
            return None
    if is_image(name):
        path = for_terminal(str(top / name))
        raise BadInput(
            f"{path} has no label: put it in {classes.defect}/ or {classes.good}/ beside the others, or in {UNLABELLED}/"
        )
    return None


def _distinct(arrivals: list[Folder]) -> list[Folder]:
    """`find_arrivals`, if no two have one origin and none is called as the source is. Raises BadInput."""
    paths = {rows.BASE: "the source"}
    for origin, path in arrivals:
        if casefold_name(origin) in paths:
            raise BadInput(
                f"two origins are called {origin!r}: {paths[casefold_name(origin)]} and {path}. Rename one of the folders"
            )
        paths[casefold_name(origin)] = str(path)
    return arrivals
