"""Folder: list the files of a folder, and find from their names which files are images of which class.

Names are relative and posix, so the listing of a zip and of a folder are read alike.
"""

import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.images.decoding import BY_SUFFIX, MAX_BYTES, SUFFIXES
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.settings.settings import Classes
from tasks.sources.names import Listing, compose, is_junk, safe_names

PUBLISHED_SPLITS = frozenset({"test", "train", "validation"})
ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
CONVERT = f"Read are {SUFFIXES}: convert photographs of other formats to PNG, which loses nothing"
TOP, SHOWN = "the top folder", 8  # in messages: its name, and how many folders or faults are listed


class DataRoot(NamedTuple):
    """The folder above the two class folders, or above the splits that hold them."""

    prefix: str
    """Posix; "" is the top."""
    splits: tuple[str, ...]
    """Sorted; () where the class folders lie directly below."""


class LabeledFile(NamedTuple):
    """One file of a class."""

    name: str
    """As listed."""
    path: str
    """Below the root, which holds the class folders or the splits."""
    split: str
    """As published, "" without one."""
    label: str
    """Its class, as the settings spell it."""


def is_image(name: str) -> bool:
    """Return whether the suffix of a name, in any case, is one that is read. The content is not read."""
    return os.path.splitext(name)[1].lower() in BY_SUFFIX


def other_formats(names: Iterable[str]) -> str:
    """Return a text of the files in other formats, by suffix, the most frequent first: `2 .bmp (a.bmp, b.bmp)`; "" for none."""
    by_suffix = defaultdict[str, list[str]](list)
    for name in sorted(name for name in names if not is_image(name)):
        by_suffix[os.path.splitext(name)[1].lower() or "without suffix"].append(name)
    groups = sorted(by_suffix.items(), key=lambda group: -len(group[1]))
    texts = [f"{len(files):,} {suffix} ({', '.join(shorten(files))})" for suffix, files in groups]
    return for_terminal(", ".join(shorten(texts)))


def left_out(names: Sequence[str]) -> list[str]:
    """Return one line that names the files of other formats, or no line where there are none."""
    if not (unread := other_formats(names)):
        return []
    count = len(names) - sum(map(is_image, names))
    return [f"{count:,} files of other formats: {unread}; read are {SUFFIXES}"]


def walk(folder: Path) -> list[str]:
    """Return the file names of `look_through`. Its faults are reported elsewhere."""
    return look_through(folder).names


def look_through(folder: Path) -> Listing:
    """List the files below `folder`, sorted, of any suffix, without junk.

    A link to a file inside `folder` counts as a file. A link to a folder inside is not followed, as that folder is listed
    anyway. A file or folder below that cannot be read is a fault, and so is a link that leads out or to nothing.
    Raises BadInput if `folder` itself is missing or cannot be read.
    """
    top, names, faults = os.path.realpath(folder), list[str](), list[str]()

    def note_fault(error: OSError) -> None:
        if error.filename == top:
            raise BadInput(
                f"{for_terminal(top)} cannot be read ({error.strerror}): a folder that is there and may be read is expected"
            ) from error
        faults.append(
            _unreadable(error.filename or f"a folder below {top}", error)
        )  # an error in the middle of a listing names no file

    for parent, folders, files in os.walk(top, onerror=note_fault):
        folders[:] = [name for name in folders if not is_junk(f"{name}/")]
        for path in (os.path.join(parent, name) for name in folders + [name for name in files if not is_junk(name)]):
            if fault := _link_fault(path, top):
                faults.append(fault)
            elif (kind := _is_regular(path)) is True:
                names.append(path.removeprefix(os.path.join(top, "")))
            elif kind:
                faults.append(kind)
    return Listing(sorted(names), sorted(faults))


def _is_regular(path: str) -> bool | str:
    """Return whether a path is a regular file, or why that cannot be told; False for a file that was removed meanwhile."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
    except OSError as error:
        return _unreadable(path, error)


def _link_fault(path: str, top: str) -> str:
    """Return what is wrong with a link, or an empty text; also for a path that is no link."""
    if not os.path.islink(path):
        return ""
    target = os.path.realpath(path)
    if os.path.commonpath((top, target)) != top:
        return f"{for_terminal(path)} is a link that leads out of {for_terminal(top)}: put a copy of what it leads to in its place"
    return "" if os.path.exists(target) else f"{for_terminal(path)} is a link to nothing: remove it"


def _unreadable(path: str, error: OSError) -> str:
    """Return the sentence for a path that cannot be read."""
    return f"{for_terminal(path)} cannot be read ({error.strerror}): see that this user may read it"


def readable(folder: Path, listing: Listing) -> Listing:
    """Return the listing of `folder` with the files that this user may not read among its faults."""
    closed = [name for name in listing.names if not os.access(f"{folder}/{name}", os.R_OK)]
    faults = [f"{for_terminal(f'{folder}/{name}')} cannot be read by this user: see that it may" for name in closed]
    excluded = set(closed)
    return Listing([name for name in listing.names if name not in excluded], listing.faults + faults)


def usable_files(folder: Path, listing: Listing) -> Listing:
    """Return the listing of `folder` with the files among its faults that cannot be used for their rights or their names."""
    names, faults = readable(folder, listing)
    safe = safe_names(names)
    return Listing(safe.names, faults + [f"{for_terminal(str(folder))}: {fault}" for fault in safe.faults])


def small_enough(folder: Path, names: Sequence[str]) -> Listing:
    """Return the files of `folder` that are at most MAX_BYTES large, and a sentence for each other file. Reads none."""
    large = [name for name in names if size_of(f"{folder}/{name}") > MAX_BYTES]
    faults = [f"{for_terminal(name)} is larger than {MAX_BYTES:,} bytes" for name in large]
    excluded = set(large)
    return Listing([name for name in names if name not in excluded], faults)


def size_of(path: str) -> int:
    """Return the size of a file in bytes; 0 where it is gone, which shows when it is read."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def shorten(lines: Sequence[str]) -> list[str]:
    """Return the first lines, and a line with the number of the others where there are more."""
    return [*lines[:SHOWN], *([f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else [])]


def say_left_out(what: str, faults: Sequence[str]) -> None:
    """Print what is left out of the files that `what` names, a line each, and only the first of many."""
    say(*(f"{what}: left out: {fault}" for fault in shorten(faults)))


def find_root(names: Iterable[str], classes: Classes) -> DataRoot:
    """Find the one folder that holds exactly the two class folders, directly or in each of its train/, test/ and validation/.

    A root with splits is preferred. Files beside the class folders are tolerated, a third folder with images is not.
    Raises BadInput if no folder fits, if one class has no image, and if two folders fit equally well.
    """
    files = [name for name in names if not is_junk(name)]
    images = [name for name in files if is_image(name)]
    candidates = _candidates(images, classes)
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
    raise BadInput(_no_root(files, [fault for fault in candidates.values() if fault], classes))


def _candidates(images: list[str], classes: Classes) -> dict[DataRoot, str]:
    """Return every folder with a class folder in the right place, and why it cannot be the root ("" if it can)."""
    below: dict[str, set[str]] = defaultdict(set)
    for image in images:
        parts = image.split("/")
        for depth in range(len(parts) - 1):
            below["/".join(parts[:depth])].add(compose(parts[depth]))
    pair, candidates = {classes.defect, classes.good}, {}
    for folder in sorted(below):
        splits = tuple(sorted(PUBLISHED_SPLITS & below[folder]))
        parts_of = {_join(folder, split): below.get(_join(folder, split), set()) for split in splits}
        if any(pair & inside for inside in parts_of.values()):
            candidates[DataRoot(folder, splits)] = _root_fault(parts_of, pair)
        elif pair & below[folder] and folder.rpartition("/")[2] not in PUBLISHED_SPLITS:
            candidates[DataRoot(folder, ())] = _root_fault({folder: below[folder]}, pair)
    return candidates


def _root_fault(holders: dict[str, set[str]], pair: set[str]) -> str:
    """Say which class folder the first faulty holder lacks, or which folder it has besides; "" if each holder has just `pair`.

    `holders` maps a folder to the folders in it that hold images.
    """
    for folder, inside in sorted(holders.items()):
        if pair - inside:
            return f"one class is empty: {folder or TOP} has no image in {_join_folders(pair - inside)} (but in {_join_folders(inside)})"
        if inside - pair:
            return f"{folder or TOP} has images in {_join_folders(inside - pair)} too"
    return ""


def _no_root(files: list[str], faults: list[str], classes: Classes) -> str:
    """Say that there is no root: what was expected, what is wrong with the candidates, where images are, and what to do."""
    images = [name for name in files if is_image(name)]
    counts = Counter(image.rpartition("/")[0] or TOP for image in images)
    listed = ", ".join(f"{folder} ({count:,})" for folder, count in sorted(counts.items())[:SHOWN]) or "none"
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    nearest = "".join(f"; {fault}" for fault in faults[:SHOWN])
    return (
        f"no folder holds images in just {classes.defect}/ and {classes.good}/, beside each other{nearest}. "
        f"Folders with images: {listed}{more}. {_advice(files, classes)}"
    )


def _advice(files: list[str], classes: Classes) -> str:
    """Say what to do about a source without a root. It depends on the files in its class folders, else on all its files."""
    if unread := other_formats(name for name in files if has_class(name, classes)):
        return f"The class folders hold files that are not read: {unread}. {CONVERT}"
    if any(map(is_image, files)):
        return "If the class folders have other names, give these with --defect and --good"
    if packed := [name for name in files if os.path.splitext(name)[1].lower() in ARCHIVES]:
        return f"It holds {for_terminal(packed[0])}: unpack that, and give the folder or the zip that holds the class folders"
    return (
        f"It holds files that are not read: {other_formats(files)}. {CONVERT}"
        if files
        else "It holds no file that can be used"
    )


def has_class(name: str, classes: Classes) -> bool:
    """Return whether a file lies in a folder named after a class, at any depth."""
    return not {classes.defect, classes.good}.isdisjoint(compose(name).split("/")[:-1])


def _join(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`; "" is the top."""
    return f"{folder}/{name}" if folder else name


def _join_folders(folders: Iterable[str]) -> str:
    """Return a text of the folders: sorted, each with a slash."""
    return ", ".join(f"{folder}/" for folder in sorted(folders))


def labeled_files(names: Iterable[str], root: DataRoot, classes: Classes) -> tuple[list[LabeledFile], int]:
    """Return each file in a class folder of `root`, at any depth, sorted by name, and the number of images elsewhere.

    Files that are no images are among them, but no junk: a later step says why a `.bmp` in a class folder was not used.
    """
    labeled, elsewhere = [], 0
    for name in sorted(name for name in names if not is_junk(name)):
        row = _label_file(name, root, classes)
        if row:
            labeled.append(row)
        elsewhere += row is None and is_image(name)
    return labeled, elsewhere


def _label_file(name: str, root: DataRoot, classes: Classes) -> LabeledFile | None:
    """Return a file with its split and class, or None where it lies in no class folder of `root`."""
    top = f"{root.prefix}/" if root.prefix else ""
    path = name.removeprefix(top)
    split, _, rest = path.partition("/") if root.splits else ("", "", path)
    folder, below, _ = rest.partition("/")
    label = compose(folder)
    if (
        not name.startswith(top)
        or (root.splits and split not in root.splits)
        or not below
        or label not in (classes.defect, classes.good)
    ):
        return None
    return LabeledFile(name, path, split, label)


def listing_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over names and sha256 of files. Equal folders have an equal digest, in any place."""
    digest = hashlib.sha256()
    for name, sha256 in files:
        digest.update(f"{name}\0{sha256}\n".encode())
    return digest.hexdigest()
