"""Zip checks: find the faults in the table of contents of a zip before a byte of it is unpacked."""

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
LISTED, LISTED_SIZE = b"PK\1\2", 46  # the start of each entry of the list; bytes of an entry without name and notes


@dataclass(frozen=True)
class Caps:
    """The limits of an archive that is accepted: some 25 times the images of Kaggle's."""

    entries: int = 200_000
    listing: int = 64 * MIB
    """Bytes of the list of entries; one entry has some 100."""
    notes: int = 4_096
    """Bytes of the extra fields and the comment of an entry, some 50 in general: `zipfile` takes a second for 64 such fields of 65,535."""
    total: int = 40 * GIB
    """Bytes of all files that are unpacked. The next two limits are about unpacked files too."""
    file: int = 64 * MIB
    """Bytes of one file."""
    ratio: int = 100
    """Unpacked to packed size, of all files and of each entry over 1 MiB: JPEG has 1, deflate reaches 1,032."""


def faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """Yield the faults of the list of entries that count even if no entry is unpacked: number, names and kinds."""
    if len(entries) > caps.entries:
        yield f"{len(entries):,} entries, at most {caps.entries:,} are taken"
    yield from name_faults([entry.filename for entry in entries])
    for entry in entries:
        if fault := kind_fault(entry):
            yield f"{entry.filename!r} {fault}"


def kind_fault(entry: ZipInfo) -> str:
    """Return what is wrong with the kind of an entry, or an empty text."""
    mode, folder = entry.external_attr >> 16, entry.is_dir()
    if stat.S_IFMT(mode) not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "is a link, a device or another thing that is neither a file nor a folder"
    if mode & (stat.S_ISUID | stat.S_ISGID) and not folder:
        return "is marked to run as another user"
    if folder and entry.file_size:
        return f"is a folder, but holds {entry.file_size:,} bytes"
    return ""


def content_faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """Yield the faults that forbid to unpack these entries: how they are packed, and sizes beyond those of images."""
    for entry in entries:
        if fault := content_fault(entry, caps):
            yield f"{entry.filename!r} {fault}"
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > caps.total:
        yield f"{total:,} bytes when unpacked, at most {caps.total:,} are taken"
    if fault := growth_fault(total, packed, caps):
        yield f"the whole {fault}"


def content_fault(entry: ZipInfo, caps: Caps) -> str:
    """Return why an entry cannot be unpacked, or an empty text."""
    if entry.flag_bits & 0x41:
        return "is encrypted"
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is compressed by method {entry.compress_type}, only 0 (stored) and 8 (deflated) are read"
    if entry.file_size > caps.file:
        return f"has {entry.file_size:,} bytes, at most {caps.file:,} a file are taken"
    return growth_fault(entry.file_size, entry.compress_size, caps)


def growth_fault(unpacked: int, packed: int, caps: Caps) -> str:
    """Return what is wrong with two sizes in bytes that differ more than images allow, or an empty text."""
    if unpacked > max(MIB, caps.ratio * packed):
        return f"would grow from {packed:,} to {unpacked:,} bytes, at most {caps.ratio}-fold is taken"
    return ""


def overlaps(entries: Sequence[ZipInfo], end: int) -> Iterator[str]:
    """Yield a sentence for each entry that overlaps another one, or the list of entries, which starts at `end`."""
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        if (
            entry.header_offset < 0 or entry.header_offset + 30 + entry.compress_size > end
        ):  # 30: a header without the name
            yield f"{entry.filename!r} lies over another entry or outside the archive"
        end = entry.header_offset


class TooLong(Exception):
    """The error for a list of entries that is longer than that of an archive of images."""


class BoundedReader(io.BufferedReader):
    """An archive whose list of entries is measured before `zipfile` makes an object of a kilobyte for each entry."""

    def __init__(self, archive: Path, caps: Caps):
        super().__init__(io.FileIO(archive))
        self.caps: Caps | None = caps
        """None after the list was read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does. Raises TooLong for a list of entries beyond the caps, which `zipfile` reads in one piece."""
        if self.caps and size and size > self.caps.listing:
            raise TooLong(f"its list of entries has {size:,} bytes, at most {self.caps.listing:,} are read")
        content = super().read(size)
        if self.caps and (fault := listing_fault(content, self.caps)):
            raise TooLong(fault)
        return content


def listing_fault(content: bytes, caps: Caps) -> str:
    """Return which limit a list of entries exceeds, or an empty text, also for other content."""
    count = start = 0
    while content.startswith(LISTED, start) and len(content) >= start + LISTED_SIZE:
        name, extra, comment = struct.unpack_from("<3H", content, start + 28)
        if extra + comment > caps.notes:
            return f"an entry has notes of {extra + comment:,} bytes, at most {caps.notes:,} are read"
        count += 1
        start += LISTED_SIZE + name + extra + comment
    return f"{count:,} entries, at most {caps.entries:,} are taken" if count > caps.entries else ""


def name_entries(source: ZipFile) -> None:
    """Give each entry the name that its packer meant. `zipfile` reads a name without the mark of UTF-8 in the code page of DOS."""
    for entry in source.infolist():
        entry.filename = intended_name(entry)
    source.NameToInfo = {entry.filename: entry for entry in source.infolist()}


def intended_name(entry: ZipInfo) -> str:
    """Return the name in UTF-8: by its mark, by the extra field of Info-ZIP, or by its bytes. Else return the DOS name."""
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
    """Return the name in the extra field if it belongs to these bytes of a name. Programs that rename an entry may leave an old name."""
    while len(extra) >= 4:
        number, size = struct.unpack("<2H", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if number == UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return field[5:]
    return None
