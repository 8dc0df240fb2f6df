"""Files: written whole or not at all, named by their own digest, and found again by it."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import Places
from tasks.storage.locks import is_held, scratch_lock

SCRATCH = ".scratch"  # ends the name of a folder for unfinished files
LOST = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EIO, errno.ESTALE)
DAY, MONTH = 86_400, 30 * 86_400  # seconds
Place = Literal["data", "artifacts"]


class File(BaseModel):
    """A file as records name it: relative to one of the two places, so that both can be moved."""

    model_config = ConfigDict(frozen=True)
    place: Place
    name: str
    sha256: str

    @field_validator("name")
    @classmethod
    def lies_below_the_place(cls, name: str) -> str:
        """Refuse a name that leads out of the place: records are read from files, which others may have changed."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise ValueError(f"{name!r} leads out of the place that it should lie below")
        return name

    def path(self, places: Places) -> Path:
        """Return the absolute path of the file."""
        return place_of(self.place, places) / self.name

    def damage(self, places: Places) -> str | None:
        """Return what is wrong with the file since it was recorded; None if it is whole."""
        return find_damage(self.path(places), self.sha256)


def place_of(place: Place, places: Places) -> Path:
    """Return the absolute path of a place."""
    return places.data_root if place == "data" else places.artifacts_root


def find_damage(path: Path, digest: str) -> str | None:
    """Return what is wrong with the file at `path`, which should have this sha256; None if it is whole."""
    try:
        return None if sha256_of(path) == digest else f"{path} has changed"
    except FileNotFoundError:
        return f"{path} is missing"


def digest_of(contents: dict[str, str]) -> str:
    """Return the sha256 over names and digests of files, in any order: the identity of a folder."""
    return hashlib.sha256(
        "".join(f"{name} {sha256}\n" for name, sha256 in sorted(contents.items())).encode()
    ).hexdigest()


def tree_digest(folder: Path) -> str:
    """Return the identity of a folder by all its files. Raises ValueError for a link, because its target is not in the folder."""
    paths = list(folder.rglob("*"))
    if link := next((path for path in paths if path.is_symlink()), None):
        raise ValueError(f"{link} is a link")
    return digest_of({path.relative_to(folder).as_posix(): sha256_of(path) for path in paths if path.is_file()})


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds. Raises BadInput where it cannot be read, was cut short, or holds anything else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is damaged or cannot be read ({for_terminal(str(error))})") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} is damaged (it holds no JSON object)")
    return content


@contextmanager
def refuse_lost_files(path: Path) -> Iterator[None]:
    """Raise BadInput when a file or folder at or below `path` is lost while it is read. Other errors, such as a full disk, pass."""
    try:
        yield
    except OSError as error:
        lost = Path(os.fsdecode(error.filename or path))
        if error.errno not in LOST or not lost.is_relative_to(path):
            raise
        raise BadInput(
            f"{for_terminal(str(lost))} cannot be read any more ({error.strerror}): start again when {path} is complete"
        ) from error


def changed_error(path: Path | None) -> BadInput:
    """Return the error for a file or folder that changed while it was read."""
    return BadInput(f"{path} changed while it was read: start again when it is complete")


def lies_below(path: Path, place: Path) -> bool:
    """Return whether the path lies in the place, whatever links lead there."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(place))


def visible_paths(folder: Path) -> list[Path]:
    """Return the sorted paths in a folder, without hidden ones such as scratch; none where there is no folder."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def erase(path: Path) -> None:
    """Delete a file, a folder, or a link; of a link not the target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def store(write: Callable[[Path], object], places: Places, place: Place, name: str) -> File:
    """Call `write` with a scratch path, and store the file under `name` with its digest before the suffix."""
    with scratch_beside(place_of(place, places) / name) as scratch:
        write(scratch)
        return move_into_place(scratch, places, place, name)


def move_into_place(path: Path, places: Places, place: Place, name: str) -> File:
    """Move a finished file on the same disk to `name` with its digest before the suffix."""
    digest, named = sha256_of(path), PurePosixPath(name)
    final = str(named.with_name(f"{named.stem}-{digest[:16]}{named.suffix}"))
    publish(path, place_of(place, places) / final)
    return File(place=place, name=final, sha256=digest)


def write_whole(target: Path, content: bytes) -> None:
    """Write the content to the file `target`. A reader sees the old file or the new one, never a part."""
    with scratch_beside(target) as scratch:
        scratch.write_bytes(content)
        publish(scratch, target)


def delete_stale_scratch(places: Places) -> None:
    """Delete the scratch that killed runs left, and trainings that were not continued for a month.

    Scratch that a living process holds stays, whatever its age. Scratch that is younger than a day stays too, because a
    shared disk may have no locks. A date as far ahead counts as old too: it comes from a clock that was set back since.
    Never looks into the inbox, and follows no link out of the places.
    """
    for folder in places.data_root.glob("training/*"):
        if lies_below(folder, places.data) and abs(age(folder)) > MONTH:
            shutil.rmtree(folder, ignore_errors=True)
    for place in (places.data_root, places.artifacts_root):
        for folder in [path for depth in ("", "*/") for path in place.glob(f"{depth}.*{SCRATCH}")]:
            if (
                folder.parent.name != "inbox"
                and folder.is_dir()
                and lies_below(folder, place)
                and abs(age(folder)) > DAY
                and not is_held(folder)
            ):
                shutil.rmtree(folder, ignore_errors=True)


def age(path: Path) -> float:
    """Return the seconds since `path` was changed, by the present clock: below 0 where its date lies ahead, 0 where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Yield a path for a file or folder on the file system of `target`, with the same name.

    It is deleted at the end unless it was published.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.stem[:40]}.", suffix=SCRATCH))
    try:
        with scratch_lock(folder):
            yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(scratch: Path, target: Path) -> None:
    """Move a finished file or folder to its name. Its content is on disk before it can be seen there."""
    for path in [scratch] if scratch.is_file() else sorted(scratch.rglob("*")):
        if path.is_file():
            sync(path)
    os.replace(scratch, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
