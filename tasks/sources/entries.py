"""Entries: what is wrong with the table of contents of a zip, said before a byte of it is unpacked."""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from tasks.sources.names import name_faults

MIB, GIB = 2**20, 2**30


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


def faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """What is wrong with the entries themselves, wherever their bytes lie."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > caps.entries:
        yield f"{len(entries):,} entries, at most {caps.entries:,} are taken"
    if total > caps.total:
        yield f"{total:,} bytes when unpacked, at most {caps.total:,} are taken"
    yield from name_faults([entry.orig_filename for entry in entries])  # here a NUL still shows
    yield from name_faults([entry.filename for entry in entries])  # from Python 3.13 a second name, from an extra field
    for entry in entries:
        if fault := kind_fault(entry, caps):
            yield f"{entry.filename!r} {fault}"


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
