"""Folder: which files are images of which class, read from the list of their names.

Names are relative and posix, so a zip's listing and a walked folder are read alike.
"""

import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.images.decoding import FORMATS, MAX_BYTES, SUFFIXES
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import Classes
from tasks.sources.names import Listing, compose, is_junk, is_sound

SPLITS = frozenset({"test", "train", "validation"})
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
    """Below the root."""
    split: str
    """As published, "" without one."""
    label: str
    """Its class, as the settings spell it."""


def is_image(name: str) -> bool:
    """Return whether its suffix, in any case, is one that is read; the content is not looked at."""
    return os.path.splitext(name)[1].lower() in FORMATS


def other_formats(names: Iterable[str]) -> str:
    """Say which of these files are no images that are read, by suffix, the most first: `2 .bmp (a.bmp, b.bmp)`; "" for none."""
    by_suffix = defaultdict[str, list[str]](list)
    for name in sorted(name for name in names if not is_image(name)):
        by_suffix[os.path.splitext(name)[1].lower() or "without suffix"].append(name)
    groups = sorted(by_suffix.items(), key=lambda group: -len(group[1]))
    each = [f"{len(files):,} {suffix} ({', '.join(shorten(files))})" for suffix, files in groups]
    return for_terminal(", ".join(shorten(each)))


def left_out(names: Sequence[str]) -> list[str]:
    """Say in a line, if there is anything to say, which files are of other formats."""
    if not (others := other_formats(names)):
        return []
    count = len(names) - sum(map(is_image, names))
    return [f"{count:,} files of other formats: {others}; read are {SUFFIXES}"]


def walk(folder: Path) -> list[str]:
    """Return the files of `look_through` without the faults, which are reported elsewhere."""
    return look_through(folder).names


def look_through(folder: Path) -> Listing:
    """List the files below `folder`, sorted, without junk, whatever they are called.

    A link to a file inside `folder` counts as a file; one to a folder inside is not followed, as that is walked anyway.
    A folder below that cannot be read, and a link that leads out, are faults, and the rest goes on.
    Raises BadInput if `folder` itself is missing or cannot be read.
    """
    top, names, faults = os.path.realpath(folder), list[str](), list[str]()

    def note(error: OSError) -> None:
        if error.filename == top:
            raise BadInput(
                f"{for_terminal(top)} cannot be read ({error.strerror}): a folder that is there and may be read is expected"
            ) from error
        faults.append(
            _unreadable(error.filename or f"a folder below {top}", error)
        )  # half-way through, it is not named

    for here, folders, files in os.walk(top, onerror=note):
        folders[:] = [name for name in folders if not is_junk(f"{name}/")]
        for path in (os.path.join(here, name) for name in folders + [name for name in files if not is_junk(name)]):
            if fault := _link_fault(path, top):
                faults.append(fault)
                continue
            try:
                regular = stat.S_ISREG(os.stat(path).st_mode)
            except FileNotFoundError:
                continue  # taken away meanwhile
            except OSError as error:
                faults.append(_unreadable(path, error))
                continue
            if regular:
                names.append(path.removeprefix(os.path.join(top, "")))
    return Listing(sorted(names), sorted(faults))


def _link_fault(path: str, top: str) -> str:
    """Return what is wrong with a link, or an empty text."""
    if not os.path.islink(path):
        return ""
    target = os.path.realpath(path)
    if os.path.commonpath((top, target)) != top:
        return f"{for_terminal(path)} is a link that leads out of {for_terminal(top)}: put a copy of what it leads to in its place"
    return "" if os.path.exists(target) else f"{for_terminal(path)} is a link to nothing: remove it"


def _unreadable(path: str, error: OSError) -> str:
    return f"{for_terminal(path)} cannot be read ({error.strerror}): see that this user may read it"


def readable(folder: Path, listing: Listing) -> Listing:
    """Return the listing of `folder` with the files that this user may not read among its faults."""
    closed = [name for name in listing.names if not os.access(f"{folder}/{name}", os.R_OK)]
    faults = [f"{for_terminal(f'{folder}/{name}')} cannot be read by this user: see that it may" for name in closed]
    left = set(closed)
    return Listing([name for name in listing.names if name not in left], listing.faults + faults)


def usable_files(folder: Path, listing: Listing) -> Listing:
    """Return the listing of `folder` without the files that cannot be learned from, by their rights or their names."""
    names, faults = readable(folder, listing)
    sounds = is_sound(names)
    return Listing(sounds.names, faults + [f"{for_terminal(str(folder))}: {fault}" for fault in sounds.faults])


def small_enough(folder: Path, names: Sequence[str]) -> Listing:
    """Return the files of `folder` that are no larger than a photograph may be, and a sentence for each other one. Reads none."""
    large = [name for name in names if size_of(f"{folder}/{name}") > MAX_BYTES]
    faults = [f"{for_terminal(name)} is larger than {MAX_BYTES:,} bytes" for name in large]
    left = set(large)
    return Listing([name for name in names if name not in left], faults)


def size_of(path: str) -> int:
    """Return the bytes of a file; 0 where it is gone, which reading it tells."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def shorten(lines: Sequence[str]) -> list[str]:
    """Return the first of many lines, and how many there are besides."""
    return [*lines[:SHOWN], *([f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else [])]


def find_root(names: Iterable[str], classes: Classes) -> DataRoot:
    """The one folder that holds exactly the two class folders, directly or in each of its train/, test/ and validation/.

    A root with splits goes before one without. Files beside the class folders are tolerated, a third folder with images is not.
    Raises BadInput if no folder fits, if one class has no image, and if two folders fit equally well.
    """
    files = [name for name in names if not is_junk(name)]
    images = [name for name in files if is_image(name)]
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
    raise BadInput(_nowhere(files, [fault for fault in found.values() if fault], classes))


def _candidates(images: list[str], classes: Classes) -> dict[DataRoot, str]:
    """Every folder with a class folder in the right place, and what keeps it from being the root ("" if nothing does)."""
    below: dict[str, set[str]] = defaultdict(set)
    for image in images:
        parts = image.split("/")
        for depth in range(len(parts) - 1):
            below["/".join(parts[:depth])].add(compose(parts[depth]))
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


def _nowhere(files: list[str], faults: list[str], classes: Classes) -> str:
    """That there is no root: what was expected, what is wrong with the nearest, where images are, what to do."""
    images = [name for name in files if is_image(name)]
    counts = Counter(image.rpartition("/")[0] or TOP for image in images)
    found = ", ".join(f"{folder} ({count:,})" for folder, count in sorted(counts.items())[:SHOWN]) or "none"
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    nearest = "".join(f"; {fault}" for fault in faults[:SHOWN])
    return (
        f"no folder holds images in just {classes.defect}/ and {classes.good}/, beside each other{nearest}. "
        f"Folders with images: {found}{more}. {_advice(files, classes)}"
    )


def _advice(files: list[str], classes: Classes) -> str:
    """Say what to do about a source without a root: by what its class folders hold, else by what lies there at all."""
    if others := other_formats(name for name in files if has_class(name, classes)):
        return f"The class folders hold files that are not read: {others}. {CONVERT}"
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
    """Return whether a file lies in a class folder, at any depth."""
    return not {classes.defect, classes.good}.isdisjoint(compose(name).split("/")[:-1])


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _listed(folders: Iterable[str]) -> str:
    return ", ".join(f"{folder}/" for folder in sorted(folders))


def labeled_files(names: Iterable[str], root: DataRoot, classes: Classes) -> tuple[list[LabeledFile], int]:
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


def _label(name: str, root: DataRoot, classes: Classes) -> LabeledFile | None:
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
    """sha256 over names and sha256 of files: equal for equal folders, wherever they lie."""
    digest = hashlib.sha256()
    for name, sha256 in files:
        digest.update(f"{name}\0{sha256}\n".encode())
    return digest.hexdigest()
