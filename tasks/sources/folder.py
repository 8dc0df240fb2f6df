"""Folder: list the files of a folder, and tell which can be used.

Names are relative and posix, so the listing of a zip and of a folder are read alike.
"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.images.decoding import BY_SUFFIX, MAX_BYTES, SUFFIXES, read
from tasks.images.levels import Decoded
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.sources.names import Listing, is_junk, safe_names

CONVERT = f"Read are {SUFFIXES}: convert photographs of other formats to PNG, which loses nothing"
TOP, SHOWN = "the top folder", 8  # in messages: its name, and how many folders or faults are listed


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


def read_small(path: Path) -> bytes:
    """Return the content of a file. Raises BadInput where it cannot be read, or is larger than any file that is taken."""
    try:
        content = read(path)
    except OSError as error:
        raise BadInput(_unreadable(str(path), error)) from error
    if isinstance(content, Decoded):
        raise BadInput(f"{for_terminal(str(path))} cannot be read: {content.reason}")
    return content


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


def listing_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over names and sha256 of files. Equal folders have an equal digest, in any place."""
    digest = hashlib.sha256()
    for name, sha256 in files:
        digest.update(f"{name}\0{sha256}\n".encode())
    return digest.hexdigest()
