"""Arrivals: folders of new labeled images, each an origin of its own."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tasks.records import rows
from tasks.records.results import Arrival, ClassFolders
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.folder import (
    is_image,
    left_out,
    listing_digest,
    look_through,
    other_formats,
    read_small,
    say_left_out,
    small_enough,
    usable_files,
    walk,
)
from tasks.sources.layouts.masks import Masks, find_masks
from tasks.sources.names import UNLABELED, Listing, casefold_name, compose, name_fault
from tasks.sources.settling import settled_files
from tasks.storage.digest_cache import file_digests

REVIEWED = re.compile(r"reviewed-[0-9]{8}-(.+)")  # a folder of photographs that people labeled, after an origin


class Folder(NamedTuple):
    """A folder of new images: it holds one class folder or both."""

    origin: str
    path: Path


def find_arrivals(fetch: FetchSettings, class_folders: ClassFolders, places: Places) -> tuple[Arrival, ...]:
    """Return the arrivals that the settings name, or else those in the inbox, each identified by its content.

    Files that are still being written are left for the next run, and an arrival that has no others is left out. Raises BadInput as
    the functions below.
    """
    if fetch.arrivals is None:
        folders = arrival_folders(places.inbox, class_folders)
    else:
        folders = given_folders([path.expanduser().absolute() for path in fetch.arrivals], class_folders)
    listed = {folder: usable_names(folder.path, class_folders) for folder in folders}
    paths = [f"{folder.path}/{name}" for folder, names in listed.items() for name in names]
    settled = settled_files(paths, fetch.settle_seconds, places)
    arrivals = [arrival(folder, names, settled, places) for folder, names in listed.items()]
    refuse_equal_names(arrivals)
    return tuple(candidate for candidate in arrivals if candidate.names)


def usable_names(folder: Path, class_folders: ClassFolders) -> list[str]:
    """Return the files of an arrival that can be learned from, and say which others are left out.

    Those that were named when the folder was found are not named again.
    """
    listing = usable_files(folder, Listing(walk(folder), []))
    masks = masks_of(folder, listing.names, class_folders).names()
    photographs = [name for name in listing.names if name not in masks]
    names, large = small_enough(folder, labeled_files_of(photographs, class_folders))
    say_left_out("arrivals", [*listing.faults, *large])
    return names


def arrival(folder: Folder, names: list[str], settled: set[str], places: Places) -> Arrival:
    """Return the arrival of those files that are settled; say how many are not."""
    settled_names = tuple(name for name in names if f"{folder.path}/{name}" in settled)
    if unsettled := len(names) - len(settled_names):
        say(
            f"arrivals: still being written, left for the next run: {unsettled:,} of {len(names):,} files of {folder.origin}"
        )
    return Arrival(
        origin=folder.origin,
        identity=identity(folder.path, settled_names, places),
        path=folder.path,
        names=settled_names,
        unsettled=unsettled,
    )


def refuse_equal_names(arrivals: Iterable[Arrival]) -> None:
    """Raise BadInput where two folders of one origin have a file of one name: origin and name identify an image."""
    folders: dict[tuple[str, str], Path] = {}
    for arrival in arrivals:
        for name in arrival.names:
            earlier = folders.setdefault((arrival.origin, name), arrival.path)
            if earlier != arrival.path:
                raise BadInput(
                    f"two files of {arrival.origin!r} are called {for_terminal(name)!r}: in {earlier} and in {arrival.path}. "
                    "Rename one of the files"
                )


def identity(folder: Path, names: Sequence[str], places: Places) -> str:
    """Return the digest of the files of an arrival."""
    return listing_digest(names_with_digests(folder, names, places))


def names_with_digests(folder: Path, names: Sequence[str], places: Places) -> list[tuple[str, str]]:
    """Return name and sha256 of each file. Raises BadInput if one is gone or cannot be read."""
    digests = file_digests([f"{folder}/{name}" for name in names], places)
    if gone := [name for name, sha256 in zip(names, digests, strict=True) if sha256 is None]:
        raise BadInput(
            f"{folder / gone[0]} vanished while it was read, or may not be read: start again when {folder.name} is complete"
        )
    return [(name, sha256) for name, sha256 in zip(names, digests, strict=True) if sha256]


def labeled_files_of(names: Iterable[str], class_folders: ClassFolders) -> list[str]:
    """Return those files of an arrival that lie in its class folders, sorted by name."""
    return sorted(name for name in names if "/" in name and class_folders.label_of(kind_of(name)))


def kind_of(name: str) -> str:
    """Return the class folder that a file of an arrival lies in."""
    return compose(name.partition("/")[0])


def entries_of(arrival: Arrival, class_folders: ClassFolders, places: Places) -> list[rows.Entry]:
    """Return the files of an arrival, by their names in its folder. Raises BadInput if one is gone or cannot be read."""
    labeled = labeled_files_of(arrival.names, class_folders)
    return [
        rows.Entry(name, sha256, class_folders.label_of(kind_of(name)), origin=arrival.origin, kind=kind_of(name))
        for name, sha256 in names_with_digests(arrival.path, labeled, places)
    ]


def bring_defects(arrivals: Iterable[Arrival], class_folders: ClassFolders) -> bool:
    """Return whether a file of the arrivals lies in a folder of defective parts."""
    defect = class_folders.classes.defect
    return any(class_folders.label_of(kind_of(name)) == defect for arrival in arrivals for name in arrival.names)


def masks_of(folder: Path, names: Sequence[str], class_folders: ClassFolders) -> Masks:
    """Return the masks among the files of a folder of new images. No photographs are made of them."""
    pictures = [name for name in names if is_image(name)]
    return find_masks(pictures, class_folders.names, lambda name: read_small(folder / name))


def arrival_folders(inbox: Path, class_folders: ClassFolders) -> list[Folder]:
    """Return the arrivals in `inbox`: each `<batch>/` with a class folder.

    The inbox itself is one too (origin "inbox") if it holds a class folder directly. Without an inbox there are no arrivals. What is
    in `unlabeled/` or `unlabelled/` waits. Raises BadInput for any other image outside a class, and for equal names.
    """
    if not inbox.exists():
        return []
    batch_of = _batches_of_files(inbox, class_folders, depth=1)
    batches = sorted({batch for batch in batch_of.values() if batch is not None}, key=arrival_order)
    name_faults = {batch: fault for batch in batches if batch and (fault := name_fault(batch))}
    renames = [f"{for_terminal(str(inbox / batch))} {fault}: rename it" for batch, fault in name_faults.items()]
    say_left_out("arrivals", renames)
    return _with_origins([(batch, inbox / batch) for batch in batches if batch not in name_faults])


def reviewed_folder(origin: str, day: date) -> str:
    """Return the name of the folder in the inbox for photographs of an origin that people labeled on this day."""
    return f"reviewed-{day:%Y%m%d}-{origin}"


def origin_of(batch: str) -> str:
    """Return the origin of the images in a folder of the inbox: its name, or the origin whose photographs people labeled there."""
    reviewed = REVIEWED.fullmatch(batch)
    return reviewed[1] if reviewed else batch or rows.INBOX


def arrival_order(batch: str) -> tuple[bool, str]:
    """Return a key that sorts the folders of the inbox by name, those with photographs that people labeled last."""
    return bool(REVIEWED.fullmatch(batch)), batch


def given_folders(folders: Sequence[Path], class_folders: ClassFolders) -> list[Folder]:
    """Return `folders` as arrivals, with the folder's own name as origin, or the one after which it is named.

    Raises BadInput for a folder without class folders or with images outside them and `unlabeled/`, and for equal names.
    """
    for folder in folders:
        batch_of = _batches_of_files(folder, class_folders, depth=0)
        if fault := name_fault(folder.resolve().name):
            raise BadInput(f"{for_terminal(str(folder))} {fault}: rename it")
        if all(batch is None for batch in batch_of.values()):
            content = f"it holds {others}" if (others := other_formats(batch_of)) else "it holds no other file"
            raise BadInput(
                f"{for_terminal(str(folder))} has no file in {folder_names(class_folders)}, {content}: "
                "give the folder above these, one for each batch"
            )
    return _with_origins([(folder.resolve().name, folder) for folder in folders])


def _batches_of_files(top: Path, class_folders: ClassFolders, depth: int) -> dict[str, str | None]:
    """Return the batch of each file below `top`, None where it needs none, and say which files are left out."""
    names, faults = look_through(top)
    say_left_out("arrivals", faults)
    if masks := masks_of(top, names, class_folders).names():
        say_left_out("arrivals", [f"{len(masks):,} masks, such as {for_terminal(min(masks))}"])
    batch_of = {name: None if name in masks else _find_batch(top, name, class_folders, depth) for name in names}
    say_left_out(
        "arrivals", left_out([name for name, batch in batch_of.items() if batch is None and not is_image(name)])
    )
    return batch_of


def _find_batch(top: Path, name: str, class_folders: ClassFolders, depth: int) -> str | None:
    """Return the folder, at most `depth` below `top`, in whose class folder the file `name` lies.

    Return None for a file that has no label and needs none. Raises BadInput for an image that needs one.
    """
    folders = name.split("/")[:-1]
    for level, folder in enumerate(map(compose, folders[: depth + 1])):
        if folder in class_folders.names:
            return "/".join(folders[:level])
        if folder in UNLABELED:
            return None
    if is_image(name):
        path = for_terminal(str(top / name))
        raise BadInput(
            f"{path} has no label: put it in {folder_names(class_folders)} beside the others, or in {UNLABELED[0]}/"
        )
    return None


def folder_names(class_folders: ClassFolders) -> str:
    """Return the folders that give an image a label, in words: `crack/, hole/, defect/ or good/`."""
    *others, last = [f"{name}/" for name in class_folders.names]
    return f"{', '.join(others)} or {last}"


def _with_origins(named: Sequence[tuple[str, Path]]) -> list[Folder]:
    """Return the folders, given by name and path, with their origins.

    Folders of labeled photographs share the origin of their photographs, in the spelling of the folder that has it for a name. Raises
    BadInput where two folders have one name, or where an origin has the name of the source.
    """
    paths, spellings = dict[str, Path | str](), {rows.BASE: rows.BASE}
    for name, path in named:
        key, origin = casefold_name(name or rows.INBOX), origin_of(name)
        if casefold_name(origin) == rows.BASE or key in paths:
            raise BadInput(
                f"two origins are called {origin!r}: {paths.get(key, 'the source')} and {path}. Rename one of the folders"
            )
        paths[key] = path
        if not REVIEWED.fullmatch(name):
            spellings[key] = origin
    return [Folder(spellings.setdefault(casefold_name(origin_of(name)), origin_of(name)), path) for name, path in named]
