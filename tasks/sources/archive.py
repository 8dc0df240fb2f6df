"""Archive: the files of a zip, whole in a folder, or one refusal and nothing.

A zip may name files outside its folder, hold links, or inflate a thousandfold, and `extractall` passes over most of it
in silence. So every entry is looked at before the first byte is written.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tasks.runs.errors import BadInput
from tasks.sources.folder import folded, is_junk

MIB, GIB = 2**20, 2**30
SPARE = 256 * MIB  # stays free on the disk
UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format (right-to-left), surrogates, line and paragraph ends
BROKEN = (BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError)  # UnicodeError and NotImplementedError are among them
ADVICE = "Get the archive again, or unpack it yourself and give the folder"


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


class Unpacked(NamedTuple):
    """A file as it was written."""

    path: str
    sha256: str
    size: int
    """Bytes."""


def members(archive: Path, caps: Caps = Caps()) -> list[ZipInfo]:
    """The files in `archive`, without folders and junk, in its order. Nothing is unpacked.

    Raises BadInput if it is no whole zip, or if any entry has an unsafe name, is of an odd kind or exceeds `caps`.
    """
    with _checked(archive, caps) as source:
        return [entry for entry in source.infolist() if not entry.is_dir() and not is_junk(entry.filename)]


def unpack(archive: Path, wanted: Mapping[str, str], into: Path, caps: Caps = Caps()) -> list[Unpacked]:
    """Writes the entries `wanted` (name -> path below `into`) and returns them as written, sorted by path.

    `into` appears complete or not at all. Raises BadInput as `members` does and for damaged entries, FileExistsError
    if `into` is there, OSError (ENOSPC) if the disk is too small, ValueError for unsafe paths.
    """
    if into.exists():
        raise FileExistsError(errno.EEXIST, "is there already, and was left as it is", str(into))
    if fault := next(_name_faults(wanted.values(), caps), None):
        raise ValueError(f"wanted path {fault}")
    with _checked(archive, caps) as source:
        if missing := sorted(wanted.keys() - set(source.namelist())):
            raise BadInput(f"{archive} no longer has the entry {missing[0]!r}: it has changed while it was read, start again")
        entries = sorted((source.getinfo(name) for name in wanted), key=lambda entry: entry.header_offset)
        with _whole(into, size=sum(entry.file_size for entry in entries)) as folder:
            folder.mkdir()
            return sorted(_write(source, entry, folder, wanted[entry.filename]) for entry in entries)


def pack(folder: Path, names: Sequence[str], archive: Path, caps: Caps = Caps()) -> None:
    """Stores the files `names` of `folder` in a zip, replacing `archive`: equal names and bytes give an equal archive.

    Raises BadInput for a file that cannot be read, and for one that `members` would refuse.
    """
    entries = [_entry(folder, name) for name in sorted(names)]
    if fault := next(_faults(entries, caps), None):
        raise BadInput(f"{folder}: {fault}. Rename it or take it out")
    with _whole(archive, size=sum(entry.file_size for entry in entries)) as scratch, ZipFile(scratch, "x") as target:
        for entry in entries:
            target.writestr(entry, _read(folder / entry.filename))


@contextmanager
def _checked(archive: Path, caps: Caps) -> Iterator[ZipFile]:
    """The open `archive`, if no entry has a fault. Raises BadInput."""
    size, head = _peek(archive)
    try:
        source = ZipFile(archive)
    except (*BROKEN, OSError) as error:
        state = "is damaged or was cut short" if head == b"PK" else "is no zip file"
        raise BadInput(f"{archive} {state} ({size:,} bytes; {error}): a whole .zip is expected. {ADVICE}") from error
    with source:
        entries = source.infolist()
        if fault := next(chain(_faults(entries, caps), _bomb(entries, size, caps), _overlaps(entries, source.start_dir)), None):
            raise BadInput(f"{archive}: {fault}. {ADVICE}")
        yield source


def _peek(archive: Path) -> tuple[int, bytes]:
    """Size in bytes, and the first two, which are PK in a zip."""
    if not archive.is_file():
        raise BadInput(f"{archive} is {'no file' if archive.exists() else 'not there'}: give the path of a zip file")
    head = _read(archive, 2)
    if not head:
        raise BadInput(f"{archive} is empty (0 bytes): a zip file is expected. Get it again")
    return archive.stat().st_size, head


def _read(path: Path, size: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): see that it is there and that you may read it") from error


def _faults(entries: Sequence[ZipInfo], caps: Caps) -> Iterator[str]:
    """What is wrong with the entries themselves, wherever their bytes lie."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > caps.entries:
        yield f"{len(entries):,} entries, at most {caps.entries:,} are taken"
    if total > caps.total:
        yield f"{total:,} bytes when unpacked, at most {caps.total:,} are taken"
    yield from _name_faults([entry.orig_filename for entry in entries], caps)  # here a NUL still shows
    yield from _name_faults([entry.filename for entry in entries], caps)  # from Python 3.13 a second name, from an extra field
    for entry in entries:
        if fault := _kind_fault(entry, caps):
            yield f"{entry.filename!r} {fault}"


def _name_faults(names: Iterable[str], caps: Caps) -> Iterator[str]:
    """Unsafe names, and names that would fall on one file; a folder's name ends in "/"."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in names:
        if fault := _name_fault(name, caps):
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


def _name_fault(name: str, caps: Caps) -> str:
    parts = name.removesuffix("/").split("/")
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    odd = [char for char in name if unicodedata.category(char) in UNSAFE] if not name.isprintable() else []
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


def _kind_fault(entry: ZipInfo, caps: Caps) -> str:
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


def _bomb(entries: Sequence[ZipInfo], size: int, caps: Caps) -> Iterator[str]:
    """Entries, or the archive of `size` bytes, that grow by more than images do."""
    sizes = [(repr(entry.filename), entry.file_size, entry.compress_size) for entry in entries]
    for name, unpacked, packed in [*sizes, ("the whole", sum(entry.file_size for entry in entries), size)]:
        if unpacked > max(MIB, caps.ratio * packed):
            yield f"{name} would grow from {packed:,} to {unpacked:,} bytes, at most {caps.ratio}-fold is taken"


def _overlaps(entries: Sequence[ZipInfo], end: int) -> Iterator[str]:
    """Entries that lie over another, or over the list of entries, which starts at `end`."""
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        if entry.header_offset < 0 or entry.header_offset + 30 + entry.compress_size > end:  # 30: a header without the name
            yield f"{entry.filename!r} lies over another entry or outside the archive"
        end = entry.header_offset


@contextmanager
def _whole(path: Path, size: int) -> Iterator[Path]:
    """A free path beside `path`, with room for `size` bytes: what is made there becomes `path`, or goes if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    free = shutil.disk_usage(path.parent).free
    if free < size + SPARE:
        raise _full(path, f"{free / MIB:,.0f} MiB are free, {(size + SPARE) / MIB:,.0f} needed")
    try:
        yield scratch
        os.sync()
        os.replace(scratch, path)
    except BaseException as error:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise _full(path, "it ran full while writing") from error
        raise
    parent = os.open(path.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def _full(path: Path, what: str) -> OSError:
    advice = "Nothing was kept: make room or choose another place, then start again"
    return OSError(errno.ENOSPC, f"the disk is too small: {what}. {advice}", str(path))


def _write(source: ZipFile, entry: ZipInfo, folder: Path, path: str) -> Unpacked:
    """Writes one entry to the new file `folder/path`. Raises BadInput if its bytes are not what the archive says."""
    digest, size = hashlib.sha256(), 0
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as copy:
        try:
            with source.open(entry) as packed:
                while block := packed.read(MIB):
                    copy.write(block)
                    digest.update(block)
                    size += len(block)
            if size != entry.file_size:
                raise EOFError(f"{size:,} bytes of {entry.file_size:,}")
        except BROKEN as error:
            raise BadInput(f"{source.filename}: {entry.filename!r} is damaged ({error}). {ADVICE}") from error
    return Unpacked(path, digest.hexdigest(), size)


def _entry(folder: Path, name: str) -> ZipInfo:
    """The header of a file to be packed: dated 1980, a zip's earliest, so that only names and bytes count."""
    entry = ZipInfo(name)
    entry.create_system = 3  # Unix, on every system
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    try:
        entry.file_size = (folder / name).stat().st_size
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / name} cannot be read ({error}): see that it is there and that you may read it") from error
    return entry
