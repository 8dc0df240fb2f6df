"""Class folders: each photograph lies in a folder that is named after its class, with or without folders of published splits."""

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.records.results import ClassFolders
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import DEFECT, ClassSettings
from tasks.sources.folder import CONVERT, SHOWN, TOP, is_image, other_formats
from tasks.sources.layouts.layout import (
    BAD_NAMES,
    GOOD_NAMES,
    SPLIT_WORDS,
    Label,
    Labels,
    absent_defect,
    choose_defects,
    choose_good,
)
from tasks.sources.layouts.masks import FOLDERS as MASK_FOLDERS
from tasks.sources.names import UNLABELED, compose

ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
NO_CLASS = MASK_FOLDERS | frozenset(UNLABELED)  # folders that are no class unless the user names them


class DataRoot(NamedTuple):
    """The folder above the class folders, or above the splits that hold them."""

    prefix: str
    """Posix; "" is the top."""
    splits: tuple[str, ...] = ()
    """Folders of the splits, sorted; () where the class folders lie directly below."""


class Holder(NamedTuple):
    """A folder that should hold the class folders: the root, or one of its splits."""

    path: str
    folders: frozenset[str]
    """The folders in it that hold images."""


def read_class_folders(files: Sequence[str], images: Sequence[str], settings: ClassSettings) -> Labels:
    """Label each file by the class folder that it lies in, at any depth.

    Args:
        files: Names of all files, as listed. One of a class folder that is no image is labeled too: validation says why it is refused.
        images: Those of them that are photographs by their names.
        settings: Names of the class folders, as far as the user gives them.

    Where all images lie in folders of good parts, there are no defects. Raises BadInput if no folder fits, if one class has no image
    otherwise, and if two folders fit equally well.
    """
    root = find_root(files, images, settings)
    holders = holders_of(root, folders_with_images(images))
    folders = name_classes(holders, settings)
    if not folders.defect:
        folders = ClassFolders(defect=(absent_defect(folders.good),), good=folders.good)
    placed = {name: place for name in files if (place := place_in_root(name, root, folders))}
    how = "class folders in folders of published splits" if root.splits else "class folders"
    if not root.splits and all(place.below in SPLIT_WORDS for place in placed.values()):
        placed = {name: place._replace(split=place.below) for name, place in placed.items()}
        how = "class folders with folders of published splits in each"
    labels = {name: Label(place.kind, SPLIT_WORDS.get(place.split, "")) for name, place in placed.items()}
    if any(holder.folders == {folders.good} for holder in holders) and not has_good_alone(images, settings):
        labels = {name: label._replace(split="") for name, label in labels.items()}
        how = "MVTec AD, whose train/ has good parts alone: its split is not used"
    return Labels(f"{how}, below {root.prefix}" if root.prefix else how, labels, folders, root.prefix)


def find_root(files: Sequence[str], images: Sequence[str], settings: ClassSettings) -> DataRoot:
    """Find the one folder that holds the class folders, directly or in each of its folders of published splits.

    A root with splits is preferred. Files beside the class folders are tolerated. Raises BadInput as `read_class_folders` does.
    """
    candidates = find_candidates(images, settings)
    for kind in ([root for root in candidates if root.splits], [root for root in candidates if not root.splits]):
        whole = [root for root in kind if not candidates[root]]
        if len(whole) > 1:
            listed = ", ".join(root.prefix or TOP for root in whole)
            raise BadInput(
                f"{len(whole)} folders fit equally well: {listed}. One is expected: give that one as the source"
            )
        if whole:
            return whole[0]
        if kind:  # a damaged published split must not make way for the unsplit images beside it
            break
    raise BadInput(describe_no_root(files, [fault for fault in candidates.values() if fault], settings))


def find_candidates(images: Sequence[str], settings: ClassSettings) -> dict[DataRoot, str]:
    """Return every folder with a class folder in the right place, and why it cannot be the root ("" if it can)."""
    below = folders_with_images(images)
    components = {folder for inside in below.values() for folder in inside}
    named = {choose_good(components, settings), *choose_defects(components, settings)}
    candidates, good_alone = {}, has_good_alone(images, settings)
    for folder in sorted(below):
        splits = tuple(sorted(name for name in below[folder] if name.casefold() in SPLIT_WORDS))
        for root in (DataRoot(folder, splits), DataRoot(folder)):
            holders = holders_of(root, below)
            is_split = not root.splits and folder.rpartition("/")[2].casefold() in SPLIT_WORDS
            if not is_split and any(named & holder.folders for holder in holders):
                candidates[root] = "" if good_alone else root_fault(holders, settings)
                break
    return candidates


def has_good_alone(images: Sequence[str], settings: ClassSettings) -> bool:
    """Return whether every image lies in a folder of good parts, at any depth, and in none below it that is named as a class is.

    Where the user names the defects, there should be some.
    """
    folders = [compose(name).split("/")[:-1] for name in images]
    good = choose_good({folder for inside in folders for folder in inside}, settings)
    if not folders or settings.defect or not all(good in inside for inside in folders):
        return False
    below = {folder.casefold() for inside in folders for folder in inside[inside.index(good) + 1 :]}
    return below.isdisjoint({*GOOD_NAMES, *BAD_NAMES})


def folders_with_images(images: Iterable[str]) -> dict[str, set[str]]:
    """Return for each folder the folders in it that hold images at any depth, with composed names."""
    below: dict[str, set[str]] = defaultdict(set)
    for image in images:
        parts = image.split("/")
        for depth in range(len(parts) - 1):
            below["/".join(parts[:depth])].add(compose(parts[depth]))
    return below


def holders_of(root: DataRoot, below: Mapping[str, set[str]]) -> list[Holder]:
    """Return the folders that should hold the class folders."""
    paths = [posixpath.join(root.prefix, split) for split in root.splits] or [root.prefix]
    return [Holder(path, frozenset(below.get(path, ()))) for path in paths]


def name_classes(holders: Sequence[Holder], settings: ClassSettings) -> ClassFolders:
    """Return the class folders of all holders; no defects where there are good parts alone."""
    present = {folder for holder in holders for folder in holder.folders}
    good = choose_good(present, settings)
    others = {folder for folder in present if folder.casefold() not in NO_CLASS} - {good}
    return ClassFolders(defect=choose_defects(present, settings) or tuple(sorted(others)), good=good)


def root_fault(holders: Sequence[Holder], settings: ClassSettings) -> str:
    """Say which class folder the first faulty holder lacks, or which folder it has besides; "" where each holder is sound.

    A training split with good parts alone is sound beside another one, as MVTec AD has it, but not among the published castings. Where
    the user names the defects, other folders are left alone.
    """
    folders = name_classes(holders, settings)
    wanted = {*folders.defect, folders.good}
    may_lack_defects = bool(settings.defect) or DEFECT not in folders.defect
    for path, inside in holders:
        if may_lack_defects and inside == {folders.good} and folders.defect and is_train(path):
            continue
        has_defect = not inside.isdisjoint(folders.defect)
        missing = ({folders.good} - inside) | (set() if has_defect else set(folders.defect or (DEFECT,)))
        if missing:
            there = f" (but in {join_folders(inside & wanted)})" if inside & wanted else ""
            return f"one class is empty: {path or TOP} has no image in {join_folders(missing)}{there}"
        others = {folder for folder in inside - wanted if folder.casefold() not in NO_CLASS}
        if others and not settings.defect:
            return f"{path or TOP} has images in {join_folders(others)} too"
    return ""


def is_train(path: str) -> bool:
    """Return whether a folder is that of the published training split."""
    return SPLIT_WORDS.get(path.rpartition("/")[2].casefold()) == "train"


def describe_no_root(files: Sequence[str], faults: Sequence[str], settings: ClassSettings) -> str:
    """Say that there is no root: what was expected, what is wrong with the candidates, where images are, and what to do."""
    counts = Counter(name.rpartition("/")[0] or TOP for name in files if is_image(name))
    listed = ", ".join(f"{folder} ({count:,})" for folder, count in sorted(counts.items())[:SHOWN]) or "none"
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    nearest = "".join(f"; {fault}" for fault in faults[:SHOWN])
    expected = f"{', '.join(f'{name}/' for name in settings.defect or (DEFECT,))} and {choose_good((), settings)}/"
    return (
        f"no folder holds images in just {expected}, beside each other{nearest}. "
        f"Folders with images: {listed}{more}. {advise(files, settings)}"
    )


def advise(files: Sequence[str], settings: ClassSettings) -> str:
    """Say what to do about a source without a root. It depends on the files in its class folders, else on all its files."""
    if unread := other_formats(name for name in files if has_class(name, settings)):
        return f"The class folders hold files that are not read: {unread}. {CONVERT}"
    if any(map(is_image, files)):
        return (
            "If the class folders have other names, give these with --defect and --good. A source of good parts alone has no image beside "
            "their folder"
        )
    if packed := [name for name in files if os.path.splitext(name)[1].lower() in ARCHIVES]:
        return f"It holds {for_terminal(packed[0])}: unpack that, and give the folder or the zip that holds the class folders"
    return (
        f"It holds files that are not read: {other_formats(files)}. {CONVERT}"
        if files
        else "It holds no file that can be used"
    )


def has_class(name: str, settings: ClassSettings) -> bool:
    """Return whether a file lies in a folder named after a class, at any depth."""
    folders = compose(name).split("/")[:-1]
    return not {*(settings.defect or (DEFECT,)), choose_good(folders, settings)}.isdisjoint(folders)


class Place(NamedTuple):
    """Where a file lies below the root."""

    kind: str
    split: str
    """Folder above the class folder, in small letters; "" without one."""
    below: str
    """Folder below the class folder, in small letters; "" where the file lies in the class folder itself."""


def place_in_root(name: str, root: DataRoot, folders: ClassFolders) -> Place | None:
    """Return where a file lies, or None where it lies in no class folder of the root."""
    top = f"{root.prefix}/" if root.prefix else ""
    split, _, rest = name.removeprefix(top).partition("/") if root.splits else ("", "", name.removeprefix(top))
    kind, *inner = compose(rest).split("/")
    if not name.startswith(top) or (root.splits and split not in root.splits) or not inner:
        return None
    if kind not in (*folders.defect, folders.good):
        return None
    return Place(kind, split.casefold(), inner[0].casefold() if len(inner) > 1 else "")


def join_folders(folders: Iterable[str]) -> str:
    """Return a text of the folders: sorted, each with a slash."""
    return ", ".join(f"{folder}/" for folder in sorted(folders))
