"""Files: written whole or not at all, named by their own digest, found again by it."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.runs.config import Places
from tasks.runs.errors import BadInput

SCRATCH = ".scratch"  # ends the name of a folder for unfinished files
DAY, MONTH = 86_400, 30 * 86_400  # seconds
Place = Literal["data", "artifacts"]


class File(BaseModel):
    """A file as records name it: relative to one of the two places, so that both can be moved."""

    model_config = ConfigDict(frozen=True)
    place: Place
    name: str
    sha256: str

    def path(self, places: Places) -> Path:
        return place_of(self.place, places) / self.name

    def damage(self, places: Places) -> str | None:
        """What is wrong with the file since it was recorded, or None."""
        return damage(self.path(places), self.sha256)


def place_of(place: Place, places: Places) -> Path:
    return (places.data if place == "data" else places.artifacts).absolute()


def damage(path: Path, digest: str) -> str | None:
    """What is wrong with the file at `path`, which should have this sha256, or None."""
    try:
        return None if sha256_of(path) == digest else f"{path} has changed"
    except FileNotFoundError:
        return f"{path} is missing"


def digest_of(contents: dict[str, str]) -> str:
    """sha256 over names and digests of files, in any order: the identity of a folder."""
    return hashlib.sha256(
        "".join(f"{name} {sha256}\n" for name, sha256 in sorted(contents.items())).encode()
    ).hexdigest()


def sha256_of(path: Path) -> str:
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def usable(places: Places) -> None:
    """Raises BadInput unless both places are, or can become, folders that can be written to. Makes nothing."""
    for name, place in (("data", places.data.absolute()), ("artifacts", places.artifacts.absolute())):
        there = next(path for path in (place, *place.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise BadInput(
                f"--{name} {place} cannot be used: {there} is {'not writable' if there.is_dir() else 'no folder'}"
            )


def lies_below(path: Path, place: Path) -> bool:
    """Return whether the path lies in the place, whatever links lead there."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(place))


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, if it is there; scratch is swept by others."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def erase(path: Path) -> None:
    """Remove a file, a folder, or a link and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def store(write: Callable[[Path], object], places: Places, place: Place, name: str) -> File:
    """Calls `write` on a scratch path and keeps the file under `name` with its digest before the suffix."""
    with scratch_beside(place_of(place, places) / name) as scratch:
        write(scratch)
        return adopt(scratch, places, place, name)


def adopt(path: Path, places: Places, place: Place, name: str) -> File:
    """Moves a finished file on the same disk to `name` with its digest before the suffix."""
    digest, named = sha256_of(path), PurePosixPath(name)
    kept = str(named.with_name(f"{named.stem}-{digest[:16]}{named.suffix}"))
    publish(path, place_of(place, places) / kept)
    return File(place=place, name=kept, sha256=digest)


def write_whole(target: Path, content: bytes) -> None:
    """The file `target` with this content; a reader sees the old file or the new one, never a part."""
    with scratch_beside(target) as scratch:
        scratch.write_bytes(content)
        publish(scratch, target)


def sweep(places: Places) -> None:
    """Removes the scratch that killed runs left, and trainings that nobody went on with for a month.

    Scratch that is younger than a day may be in use. Never looks into the inbox, and follows no link out of the places.
    """
    for room in places.data.absolute().glob("training/*"):
        if lies_below(room, places.data) and time.time() - room.stat().st_mtime > MONTH:
            shutil.rmtree(room, ignore_errors=True)
    for place in (places.data.absolute(), places.artifacts.absolute()):
        for room in [path for depth in ("", "*/") for path in place.glob(f"{depth}.*{SCRATCH}")]:
            if (
                room.parent.name != "inbox"
                and room.is_dir()
                and lies_below(room, place)
                and time.time() - room.stat().st_mtime > DAY
            ):
                shutil.rmtree(room, ignore_errors=True)


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A path for a file or folder on the file system of `target`, with its suffix; removed unless published."""
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.stem[:40]}.", suffix=SCRATCH))
    try:
        yield room / target.name
    finally:
        shutil.rmtree(room, ignore_errors=True)


def publish(scratch: Path, target: Path) -> None:
    """Moves a finished file or folder to its name, on disk before it can be seen there."""
    for path in [scratch] if scratch.is_file() else sorted(scratch.rglob("*")):
        if path.is_file():
            sync(path)
    os.replace(scratch, target)
    sync(target.parent)


def sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keeps other calls out, in any process, through the file `lock`, which is removed at the end.

    The system drops the locks of the dead, so a killed process keeps nobody waiting.
    """
    while True:
        with open(lock, "w") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if os.fstat(opened.fileno()).st_nlink == 0:
                continue  # removed by the call that this one waited for
            try:
                yield
            finally:
                lock.unlink()
            return
