"""Entries: what is wrong with the table of contents of a zip, said before a byte of it is unpacked."""

import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from tasks.sources.folder import folded

MIB, GIB = 2**20, 2**30
UNSAFE = frozenset(
    {"Cc", "Cf", "Cs", "Zl", "Zp"}
)  # control, format (right-to-left), surrogates, line and paragraph ends


@dataclass(frozen=True)
class Caps:
    """The largest archive that is taken: some 25 times the images of Kaggle's."""

    entries: int = 200_000
    total: int = 40 * GIB
    """Bytes, unpacked."""
    file: int = 64 * MIB
    """Bytes, unpacked."""
    ratio: int = 100
    """Unpacked to packed, of the archive and of each entry over 1 MiB: JPEG has 1, deflate reaches 1,032."""
    depth: int = 12
    """Parts of a name."""
    part: int = 255
    """Bytes of one part, as most file systems have it."""
    name: int = 1_024
    """Bytes."""


def faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """What is wrong with the entries themselves, wherever their bytes lie."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > caps.entries:
        yield f"{len(entries):,} entries, at most {caps.entries:,} are taken"
    if total > caps.total:
        yield f"{total:,} bytes when unpacked, at most {caps.total:,} are taken"
    yield from name_faults([entry.orig_filename for entry in entries], caps)  # here a NUL still shows
    yield from name_faults(
        [entry.filename for entry in entries], caps
    )  # from Python 3.13 a second name, from an extra field
    for entry in entries:
        if fault := kind_fault(entry, caps):
            yield f"{entry.filename!r} {fault}"


def name_faults(names: Iterable[str], caps: Caps) -> Iterator[str]:
    """Unsafe names, and names that would fall on one file; a folder's name ends in "/"."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in names:
        if fault := name_fault(name, caps):
            yield f"{name[:80]!r} {fault}"
        key = folded(name.removesuffix("/"))
        if key in seen:
            yield f"{seen[key]!r} and {name!r} are one name on some disks"
        seen[key] = name
        while (key := key.rpartition("/")[0]) and key not in folders:
            folders.add(key)
    for key in folders & seen.keys():
        if not seen[key].endswith("/"):
            yield f"{seen[key]!r} is a file and a folder"


def name_fault(name: str, caps: Caps) -> str:
    parts = name.removesuffix("/").split("/")
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    odd = [char for char in name if unicodedata.category(char) in UNSAFE] if not name.isprintable() else []
    if odd and unicodedata.category(odd[0]) == "Cs":
        return "has a name that is not UTF-8"
    if odd:
        return f"has the invisible character U+{ord(odd[0]):04X} in its name"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "is an absolute path"
    if "\\" in name:
        return "has a backslash in its name"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has an empty part, '.' or '..' in its name"
    if len(parts) > caps.depth:
        return f"lies {len(parts)} deep, at most {caps.depth} are taken"
    if max(sizes) > caps.part or sum(sizes) + len(sizes) - 1 > caps.name:
        return f"has a name of {sum(sizes) + len(sizes) - 1:,} bytes, at most {caps.part} a part and {caps.name:,} in all are taken"
    return ""


def kind_fault(entry: ZipInfo, caps: Caps) -> str:
    mode, folder = entry.external_attr >> 16, entry.is_dir()
    if stat.S_IFMT(mode) not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "is a link, a device or another thing that is neither a file nor a folder"
    if mode & (stat.S_ISUID | stat.S_ISGID) and not folder:
        return "is marked to run as another user"
    if folder and entry.file_size:
        return f"is a folder, but holds {entry.file_size:,} bytes"
    if entry.flag_bits & 0x41:
        return "is encrypted"
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is compressed by method {entry.compress_type}, only 0 (stored) and 8 (deflated) are read"
    if entry.file_size > caps.file:
        return f"has {entry.file_size:,} bytes, at most {caps.file:,} a file are taken"
    return ""


def bombs(entries: Sequence[ZipInfo], size: int, caps: Caps) -> Iterator[str]:
    """Entries, or the archive of `size` bytes, that grow by more than images do."""
    sizes = [(repr(entry.filename), entry.file_size, entry.compress_size) for entry in entries]
    for name, unpacked, packed in [*sizes, ("the whole", sum(entry.file_size for entry in entries), size)]:
        if unpacked > max(MIB, caps.ratio * packed):
            yield f"{name} would grow from {packed:,} to {unpacked:,} bytes, at most {caps.ratio}-fold is taken"


def overlaps(entries: Sequence[ZipInfo], end: int) -> Iterator[str]:
    """Entries that lie over another, or over the list of entries, which starts at `end`."""
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        if (
            entry.header_offset < 0 or entry.header_offset + 30 + entry.compress_size > end
        ):  # 30: a header without the name
            yield f"{entry.filename!r} lies over another entry or outside the archive"
        end = entry.header_offset
