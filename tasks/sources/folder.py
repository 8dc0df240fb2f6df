"""Folder: which files are images of which class, read from the list of their names.

Names are relative and posix, so a zip's listing and a walked folder are read alike.
"""

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tasks.runs.config import Classes
from tasks.runs.errors import BadInput

SPLITS = frozenset({"test", "train", "validation"})
IMAGES = frozenset({".jpeg", ".jpg", ".png"})
JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
TOP, SHOWN = "the top folder", 8  # in messages: its name, and how many folders are listed


class DataRoot(NamedTuple):
    """The folder above the two class folders, or above the splits that hold them."""

    prefix: str
    """Posix; "" is the top."""
    splits: tuple[str, ...]
    """Sorted; () where the class folders lie directly below."""


class Labelled(NamedTuple):
    """One file of a class."""

    name: str
    """As listed."""
    path: str
    """Below the root."""
    split: str
    """As published, "" without one."""
    label: str
    """The class folder it lies in."""


def is_image(name: str) -> bool:
    """Whether it ends in .jpeg, .jpg or .png, in any case; the content is not looked at."""
    return os.path.splitext(name)[1].lower() in IMAGES


def is_junk(name: str) -> bool:
    """Whether a part of it is hidden (`._x`, `.DS_Store`, a half-copied `.x.jpeg.part`) or left by an operating system."""
    return any(part.startswith(".") or part.lower() in JUNK for part in name.split("/"))


def folded(name: str) -> str:
    """`name` for a file system that minds neither case nor Unicode form: equal here is one file there."""
    return unicodedata.normalize("NFC", name).casefold()


def walk(folder: Path) -> list[str]:
    """The files below `folder`, sorted, without junk.

    A link to a file inside `folder` counts as a file; one to a folder inside is not followed, as that is walked anyway.
    Raises BadInput for a link that leads out, and for a folder that is missing or cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise BadInput(
            f"{error.filename} cannot be read ({error.strerror}): a folder that is there and may be read is expected"
        ) from error

    top, found = os.path.realpath(folder), []
    for here, folders, files in os.walk(top, onerror=refuse):
        folders[:] = [name for name in folders if not is_junk(name)]
        for name in (name for name in folders + files if not is_junk(name)):
            path = os.path.join(here, name)
            if os.path.islink(path) and os.path.commonpath((top, os.path.realpath(path))) != top:
                raise BadInput(
                    f"{path} is a link that leads out of {folder}: put a copy of what it leads to in its place"
                )
            if os.path.isfile(path):
                found.append(Path(path).relative_to(top).as_posix())
    return sorted(found)


def find_root(names: Iterable[str], classes: Classes) -> DataRoot:
    """The one folder that holds exactly the two class folders, directly or in each of its train/, test/ and validation/.

    A root with splits goes before one without. Files beside the class folders are tolerated, a third folder with images is not.
    Raises BadInput if no folder fits, if one class has no image, and if two folders fit equally well.
    """
    images = [name for name in names if is_image(name) and not is_junk(name)]
    found = _candidates(images, classes)
    for kind in ([root for root in found if root.splits], [root for root in found if not root.splits]):
        whole = [root for root in kind if not found[root]]
        if len(whole) > 1:
            listed = ", ".join(root.prefix or TOP for root in whole)
            raise BadInput(
                f"{len(whole)} folders fit equally well: {listed}. One is expected: give that one as the source"
            )
        if whole:
            return whole[0]
        if kind:  # a damaged published split must not make way for the unsplit images beside it
            break
    raise BadInput(_nowhere(images, [fault for fault in found.values() if fault], classes))


def _candidates(images: list[str], classes: Classes) -> dict[DataRoot, str]:
    """Every folder with a class folder in the right place, and what keeps it from being the root ("" if nothing does)."""
    below: dict[str, set[str]] = defaultdict(set)
    for image in images:
        parts = image.split("/")
        for depth in range(len(parts) - 1):
            below["/".join(parts[:depth])].add(parts[depth])
    pair, found = {classes.defect, classes.good}, {}
    for folder in sorted(below):
        splits = tuple(sorted(SPLITS & below[folder]))
        parts_of = {_join(folder, split): below.get(_join(folder, split), set()) for split in splits}
        if any(pair & inside for inside in parts_of.values()):
            found[DataRoot(folder, splits)] = _fault(parts_of, pair)
        elif pair & below[folder] and folder.rpartition("/")[2] not in SPLITS:
            found[DataRoot(folder, ())] = _fault({folder: below[folder]}, pair)
    return found


def _fault(holders: dict[str, set[str]], pair: set[str]) -> str:
    """What the first of `holders` (folder -> folders in it with images) has too little or too much; "" if each has just `pair`."""
    for folder, inside in sorted(holders.items()):
        if pair - inside:
            return f"one class is empty: {folder or TOP} has no image in {_listed(pair - inside)} (but in {_listed(inside)})"
        if inside - pair:
            return f"{folder or TOP} has images in {_listed(inside - pair)} too"
    return ""


def _nowhere(images: list[str], faults: list[str], classes: Classes) -> str:
    """That there is no root: what was expected, what is wrong with the nearest, where images are."""
    counts = Counter(image.rpartition("/")[0] or TOP for image in images)
    found = ", ".join(f"{folder} ({count:,})" for folder, count in sorted(counts.items())[:SHOWN]) or "none"
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    nearest = "".join(f"; {fault}" for fault in faults[:SHOWN])
    return (
        f"no folder holds images in just {classes.defect}/ and {classes.good}/, beside each other{nearest}. "
        f"Folders with images: {found}{more}. If the class folders have other names, give these with --defect and --good"
    )


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _listed(folders: Iterable[str]) -> str:
    return ", ".join(f"{folder}/" for folder in sorted(folders))


def labelled(names: Iterable[str], root: DataRoot, classes: Classes) -> tuple[list[Labelled], int]:
    """Each file in a class folder of `root`, at any depth, sorted by name; and the number of images elsewhere, which are left alone.

    Files that are no images are among them, save junk: who drops a `.bmp` into a class folder is told later why it was not used.
    """
    found, elsewhere = [], 0
    for name in sorted(name for name in names if not is_junk(name)):
        row = _label(name, root, classes)
        if row:
            found.append(row)
        elsewhere += row is None and is_image(name)
    return found, elsewhere


def _label(name: str, root: DataRoot, classes: Classes) -> Labelled | None:
    top = f"{root.prefix}/" if root.prefix else ""
    path = name.removeprefix(top)
    split, _, rest = path.partition("/") if root.splits else ("", "", path)
    label, below, _ = rest.partition("/")
    if (
        not name.startswith(top)
        or (root.splits and split not in root.splits)
        or not below
        or label not in (classes.defect, classes.good)
    ):
        return None
    return Labelled(name, path, split, label)


def listing_digest(files: Iterable[tuple[str, str]]) -> str:
    """sha256 over names and sha256 of files: equal for equal folders, wherever they lie."""
    digest = hashlib.sha256()
    for name, sha256 in files:
        digest.update(f"{name}\0{sha256}\n".encode())
    return digest.hexdigest()
