"""Locks: keep calls in other processes out. The system drops the locks of dead processes, so a killed process keeps nobody waiting."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.settings.errors import BadInput
from tasks.settings.settings import Places

HELD = ".held"  # file in a scratch folder that is locked while the process that made the folder lives


class InUse(BadInput):
    """A run is under way."""


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Keep other calls out, in any process, through the file `path`, which is removed at the end.

    It is removed so that another user, who may not write a file of this one, can make it anew. A call that waited for the
    removed file takes the new one: `filelock` looks whether the file that it locked still has a name.
    """
    from filelock import UnixFileLock  # late: an environment that serves a model locks nothing, and has no such library

    with UnixFileLock(path, fallback_to_soft=False):  # a soft lock would outlive a killed process
        try:
            yield
        finally:
            path.unlink()


@contextmanager
def places_lock(places: Places, *, exclusive: bool = False) -> Iterator[None]:
    """Lock the two places. Runs share the lock; a call that deletes takes it alone. `filelock` has no shared lock without a database.

    Raises BadInput while a run is under way, and where the places cannot be used.
    """
    check_writable(places)
    folder = places.data_root
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".in-use.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        except BlockingIOError:
            raise InUse(f"a run is using {folder}: nothing is removed before it has ended") from None
        yield


def is_locked(places: Places) -> bool:
    """Return whether a run uses the places now."""
    try:
        with places_lock(places, exclusive=True):
            return False
    except InUse:
        return True


def check_writable(places: Places) -> None:
    """Raise BadInput unless both places are, or can become, folders that can be written to. Creates nothing."""
    for name, place in (("data", places.data_root), ("artifacts", places.artifacts_root)):
        existing = next(path for path in (place, *place.parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise BadInput(
                f"--{name} {place} cannot be used: {existing} is {'not writable' if existing.is_dir() else 'no folder'}"
            )


@contextmanager
def scratch_lock(folder: Path) -> Iterator[None]:
    """Mark a scratch folder as one in which a living process works."""
    with open(folder / HELD, "w") as held:
        with suppress(OSError):  # a disk without locks has the age of the folder
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


def is_held(folder: Path) -> bool:
    """Return whether a living process works in a scratch folder."""
    try:
        with open(folder / HELD, "r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # locked, or of another user
        return True
    return False
