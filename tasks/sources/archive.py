"""Archive: unpack the files of a zip into a folder completely, or refuse the zip and write nothing.

A zip may name files outside its folder, hold links, or inflate a thousandfold, and `extractall` ignores most of this
silently. So every entry is checked before the first byte is written.
"""

import errno
import hashlib
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

from tasks.settings.errors import BadInput
from tasks.sources.names import is_junk, name_faults
from tasks.sources.zip_checks import MIB, BoundedReader, Caps, TooLong, content_faults, faults, name_entries, overlaps
from tasks.storage.files import scratch_beside, sync

SPARE = 256 * MIB  # must stay free on the disk
BROKEN = (
    BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    RuntimeError,
)  # UnicodeError is a ValueError, and NotImplementedError a RuntimeError
ADVICE = "Get the archive again, or unpack it yourself and give the folder"


class Unpacked(NamedTuple):
    """A file that was written."""

    path: str
    sha256: str
    size: int
    """Bytes."""


def members(archive: Path, caps: Caps = Caps()) -> list[ZipInfo]:
    """Return the files in `archive` without junk. Raises as `files_in` does."""
    return [entry for entry in files_in(archive, caps) if not is_junk(entry.filename)]


def files_in(archive: Path, caps: Caps = Caps()) -> list[ZipInfo]:
    """Return the files in `archive`, without folders, in its order. Nothing is unpacked.

    Raises BadInput if it is no whole zip, or if any entry has an unsafe name or is of an odd kind. How entries are packed and
    how large they are matters only for entries that are unpacked: see `refuse_contents`.
    """
    with _open_checked(archive, caps) as source:
        return [entry for entry in source.infolist() if not entry.is_dir()]


def refuse_contents(archive: Path, entries: Sequence[ZipInfo], caps: Caps = Caps()) -> None:
    """Raise BadInput if entries to unpack are encrypted, are packed in an odd way, or exceed `caps`."""
    if fault := next(content_faults(entries, caps), None):
        raise BadInput(f"{archive}: {fault}. {ADVICE}")


@contextmanager
def open_reader(archive: Path, caps: Caps = Caps()) -> Iterator[Callable[[str], bytes]]:
    """Yield a function that returns the content of an entry by its name.

    The function raises BadInput as `refuse_contents` does, and for a damaged entry.
    """
    with _open_checked(archive, caps) as source:

        def read(name: str) -> bytes:
            refuse_contents(archive, [source.getinfo(name)], caps)
            try:
                return source.read(name)
            except BROKEN as error:
                raise BadInput(f"{archive}: {name!r} is damaged ({error}). {ADVICE}") from error

        yield read


def unpack(archive: Path, wanted: Mapping[str, str], into: Path, caps: Caps = Caps()) -> list[Unpacked]:
    """Write the entries `wanted` (name -> path below `into`) and return the written files, sorted by path.

    `into` appears complete or not at all. Raises BadInput as `members` and `refuse_contents` do, for damaged entries and for
    entries that are not in the archive; FileExistsError if `into` exists; OSError (ENOSPC) if the disk is too small; ValueError
    for unsafe paths.
    """
    if into.exists():
        raise FileExistsError(errno.EEXIST, "is there already, and was left as it is", str(into))
    if fault := next(name_faults(wanted.values()), None):
        raise ValueError(f"wanted path {fault}")
    with _open_checked(archive, caps) as source:
        if missing := sorted(wanted.keys() - set(source.namelist())):
            raise BadInput(
                f"{archive} no longer has the entry {missing[0]!r}: it has changed while it was read, start again"
            )
        entries = sorted((source.getinfo(name) for name in wanted), key=lambda entry: entry.header_offset)
        refuse_contents(archive, entries, caps)
        with _write_whole(into, size=sum(entry.file_size for entry in entries)) as folder:
            folder.mkdir()
            return sorted(_write(source, entry, folder, wanted[entry.filename]) for entry in entries)


def pack(folder: Path, names: Sequence[str], archive: Path, caps: Caps = Caps()) -> None:
    """Store the files `names` of `folder` in a zip, and replace `archive`. Equal names and bytes give an equal archive.

    Raises BadInput for a file that cannot be read, and for one that `members` or `refuse_contents` would refuse; OSError
    (ENOSPC) if the disk is too small.
    """
    entries = [_new_entry(folder, name) for name in sorted(names)]
    if fault := next(chain(faults(entries, caps), content_faults(entries, caps)), None):
        raise BadInput(f"{folder}: {fault}. Rename it or take it out")
    with (
        _write_whole(archive, size=sum(entry.file_size for entry in entries)) as scratch,
        ZipFile(scratch, "x") as target,
    ):
        for entry in entries:
            target.writestr(entry, _read(folder / entry.filename))


@contextmanager
def _open_checked(archive: Path, caps: Caps) -> Iterator[ZipFile]:
    """Yield the open `archive` if no entry has a fault in its name or kind. Raises BadInput."""
    size, head = _peek(archive)
    with BoundedReader(archive, caps) as opened:
        try:
            source = ZipFile(opened)
        except TooLong as error:
            raise BadInput(f"{archive}: {error}. {ADVICE}") from error
        except (*BROKEN, OSError) as error:
            state = "is damaged or was cut short" if head == b"PK" else "is no zip file"
            raise BadInput(
                f"{archive} {state} ({size:,} bytes; {error}): a whole .zip is expected. {ADVICE}"
            ) from error
        opened.caps = None
        name_entries(source)
        entries = source.infolist()
        if fault := next(chain(faults(entries, caps), overlaps(entries, source.start_dir)), None):
            raise BadInput(f"{archive}: {fault}. {ADVICE}")
        yield source


def _peek(archive: Path) -> tuple[int, bytes]:
    """Return the size in bytes, and the first two bytes, which are PK in a zip. Raises BadInput for an empty or missing file."""
    if not archive.is_file():
        raise BadInput(f"{archive} is {'no file' if archive.exists() else 'not there'}: give the path of a zip file")
    head = _read(archive, 2)
    if not head:
        raise BadInput(f"{archive} is empty (0 bytes): a zip file is expected. Get it again")
    return archive.stat().st_size, head


def _read(path: Path, size: int = -1) -> bytes:
    """Return the first `size` bytes of a file, or all with -1. Raises BadInput when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}): see that it is there and that you may read it"
        ) from error


@contextmanager
def _write_whole(path: Path, size: int) -> Iterator[Path]:
    """Yield a free path beside `path`, with room for `size` bytes. The caller's file or folder there then replaces `path`.

    If anything fails, it is removed. Raises OSError (ENOSPC) if the disk is too small.
    """
    with scratch_beside(path) as scratch:
        free = shutil.disk_usage(scratch.parent).free
        if free < size + SPARE:
            raise _disk_full(path, f"{free / MIB:,.0f} MiB are free, {(size + SPARE) / MIB:,.0f} needed")
        try:
            yield scratch
            os.sync()  # once for all files: fsync for each takes seconds
            os.replace(scratch, path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _disk_full(path, "it ran full while writing") from error
            raise
    sync(path.parent)


def _disk_full(path: Path, what: str) -> OSError:
    """Return the error for a disk that is too small for `path`."""
    advice = "Nothing was kept: make room or choose another place, then start again"
    return OSError(errno.ENOSPC, f"the disk is too small: {what}. {advice}", str(path))


def _write(source: ZipFile, entry: ZipInfo, folder: Path, path: str) -> Unpacked:
    """Write one entry to the new file `folder/path`. Raises BadInput if its bytes differ from size or checksum in the archive."""
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


def _new_entry(folder: Path, name: str) -> ZipInfo:
    """Return the header of a file to pack. Its date is 1980, the earliest of a zip, so that only names and bytes count."""
    entry = ZipInfo(name)
    entry.create_system = 3  # Unix, on every system
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    try:
        entry.file_size = entry.compress_size = (folder / name).stat().st_size  # it is stored
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder / name} cannot be read ({error}): see that it is there and that you may read it"
        ) from error
    return entry
