"""Settling: find which files are whole, and leave those that are still being written for the next run."""

import os
import time
from collections.abc import Sequence

from tasks.settings.settings import Places
from tasks.storage.digest_cache import state_of, unchanged


def settled_files(paths: Sequence[str], seconds: float, places: Places) -> set[str]:
    """Return those of `paths` (absolute) that are the same at two looks, `seconds` apart. Wait once, and only for new files.

    A file that an earlier look read needs no second look while it is unchanged. Compare size, inode and times, never the wall
    clock: the clock of a camera, a file server or this machine may be wrong.
    """
    if not seconds:
        return set(paths)
    settled = unchanged(paths, places)
    before = {path: state_of(os.fsencode(path)) for path in paths if path not in settled}
    if before:
        time.sleep(seconds)
    return settled | {path for path, state in before.items() if state and state_of(os.fsencode(path)) == state}
