"""Entries: what is wrong with the table of contents of a zip, said before a byte of it is unpacked."""

import io
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from tasks.sources.names import name_faults

MIB, GIB = 2**20, 2**30
UTF_8 = 0x800  # bit of an entry whose name is UTF-8
UNICODE_PATH = 0x7075  # number of the extra field in which Info-ZIP gives a name in UTF-8
LISTED, LISTED_SIZE = b"PK\1\2", 46  # begins each entry of the list; bytes of one without name and notes


@dataclass(frozen=True)
class Caps:
    """The largest archive that is taken: some 25 times the images of Kaggle's."""

    entries: int = 200_000
    listing: int = 64 * MIB
    """Bytes of the list of entries, of which each has some 100."""
    notes: int = 4_096
    """Bytes of the extra fields and the comment of an entry, some 50 in general: `zipfile` takes a second for 64 such fields of 65,535."""
    total: int = 40 * GIB
    """Bytes of what is unpacked, as are the next two."""
    file: int = 64 * MIB
    """Bytes."""
    ratio: int = 100
    """Unpacked to packed, of all and of each entry over 1 MiB: JPEG has 1, deflate reaches 1,032."""


def faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """Yield what is wrong with the list of entries, whether they are unpacked or not."""
    if len(entries) > caps.entries:
        yield f"{len(entries):,} entries, at most {caps.entries:,} are taken"
    yield from name_faults([entry.filename for entry in entries])
    for entry in entries:
        if fault := kind_fault(entry):
            yield f"{entry.filename!r} {fault}"


def kind_fault(entry: ZipInfo) -> str:
    mode, folder = entry.external_attr >> 16, entry.is_dir()
    if stat.S_IFMT(mode) not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "is a link, a device or another thing that is neither a file nor a folder"
    if mode & (stat.S_ISUID | stat.S_ISGID) and not folder:
        return "is marked to run as another user"
    if folder and entry.file_size:
        return f"is a folder, but holds {entry.file_size:,} bytes"
    return ""


def content_faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """Yield what keeps these entries from being unpacked: how they are packed, and sizes beyond those of images."""
    for entry in entries:
        if fault := content_fault(entry, caps):
            yield f"{entry.filename!r} {fault}"
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > caps.total:
        yield f"{total:,} bytes when unpacked, at most {caps.total:,} are taken"
    if fault := growth_fault(total, packed, caps):
        yield f"the whole {fault}"


def content_fault(entry: ZipInfo, caps: Caps) -> str:
    if entry.flag_bits & 0x41:
        return "is encrypted"
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is compressed by method {entry.compress_type}, only 0 (stored) and 8 (deflated) are read"
    if entry.file_size > caps.file:
        return f"has {entry.file_size:,} bytes, at most {caps.file:,} a file are taken"
    return growth_fault(entry.file_size, entry.compress_size, caps)


def growth_fault(unpacked: int, packed: int, caps: Caps) -> str:
    """Return what is wrong with sizes in bytes that differ by more than those of images do."""
    if unpacked > max(MIB, caps.ratio * packed):
        return f"would grow from {packed:,} to {unpacked:,} bytes, at most {caps.ratio}-fold is taken"
    return ""


def overlaps(entries: Sequence[ZipInfo], end: int) -> Iterator[str]:
    """Entries that lie over another, or over the list of entries, which starts at `end`."""
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        if (
            entry.header_offset < 0 or entry.header_offset + 30 + entry.compress_size > end
        ):  # 30: a header without the name
            yield f"{entry.filename!r} lies over another entry or outside the archive"
        end = entry.header_offset


class TooLong(Exception):
    """The list of entries is longer than an archive of images has."""


class BoundedReader(io.BufferedReader):
    """An archive whose list of entries is measured before `zipfile` makes an object of each, which takes a kilobyte."""

    def __init__(self, archive: Path, caps: Caps):
        super().__init__(io.FileIO(archive))
        self.caps: Caps | None = caps
        """None once the list was read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file. Raises TooLong for a list beyond the caps: `zipfile` reads it in one piece."""
        if self.caps and size and size > self.caps.listing:
            raise TooLong(f"its list of entries has {size:,} bytes, at most {self.caps.listing:,} are read")
        content = super().read(size)
        if self.caps and (fault := listing_fault(content, self.caps)):
            raise TooLong(fault)
        return content


def listing_fault(content: bytes, caps: Caps) -> str:
    """Return what is too much in a list of entries, or an empty text; other content has none."""
    count = start = 0
    while content.startswith(LISTED, start) and len(content) >= start + LISTED_SIZE:
        name, extra, comment = struct.unpack_from("<3H", content, start + 28)
        if extra + comment > caps.notes:
            return f"an entry has notes of {extra + comment:,} bytes, at most {caps.notes:,} are read"
        count += 1
        start += LISTED_SIZE + name + extra + comment
    return f"{count:,} entries, at most {caps.entries:,} are taken" if count > caps.entries else ""


def name_entries(source: ZipFile) -> None:
    """Give each entry the name that its packer meant: `zipfile` reads what is not marked as UTF-8 as that of old DOS."""
    for entry in source.infolist():
        entry.filename = intended_name(entry)
    source.NameToInfo = {entry.filename: entry for entry in source.infolist()}


def intended_name(entry: ZipInfo) -> str:
    """Return the name in UTF-8: as marked, as in the extra field of Info-ZIP, or as its bytes are; else that of DOS."""
    if entry.flag_bits & UTF_8 or entry.orig_filename.isascii():
        return entry.orig_filename
    raw = entry.orig_filename.encode("cp437")
    for name in (unicode_path(entry.extra, raw), raw):
        try:
            if name is not None:
                return name.decode()
        except UnicodeDecodeError:
            continue
    return entry.orig_filename


def unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """Return the name in the extra field, if it was made for these bytes of a name: programs that rename one may leave an old name."""
    while len(extra) >= 4:
        number, size = struct.unpack("<2H", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if number == UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return field[5:]
    return None
