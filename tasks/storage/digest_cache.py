"""Digest cache: stores the digest of a file with the file's state, so that an unchanged file is not read again."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.settings.settings import Places
from tasks.storage.parallel import map_chunks_in_threads
from tasks.storage.sqlite import MAX_VARIABLES, placeholders, with_database, write_transaction

NAME = "states.sqlite"
TABLE = """
    CREATE TABLE IF NOT EXISTS states (
        path BLOB NOT NULL PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT NOT NULL
    ) WITHOUT ROWID
"""
GRANULARITY = 2_000_000_000  # nanoseconds, of the coarsest clock of a file system in use (FAT)


class StatEntry(NamedTuple):
    """A file that was read.

    Without a digest, it cannot be read. Without a state, the digest must be computed again next time.
    """

    sha256: str | None
    state: str | None


def file_digests(paths: Sequence[str | Path], places: Places, most: int | None = None) -> list[str | None]:
    """Return the sha256 of each file, of absolute path; None where it cannot be read, empty where it has more than `most` bytes.

    A file is read only if its state is not the one that is stored with its digest. Digests are stored under `data`;
    where that folder does not exist yet, every file is read and no folder is made.
    """
    names = [os.fsencode(path) for path in paths]
    states = [state_of(name) for name in names]
    stored = stored_digests(names, places)
    digests = {name: stored.get((name, state)) for name, state in zip(names, states, strict=True) if state}
    if most is not None:
        digests |= {name: "" for name, state in zip(names, states, strict=True) if state and size_in(state) > most}
    unknown = [name for name, sha256 in digests.items() if sha256 is None]
    read = dict(zip(unknown, map_chunks_in_threads(lambda piece: list(map(read_digest, piece)), unknown), strict=True))
    store_digests(read, places)
    digests |= {name: entry.sha256 for name, entry in read.items()}
    return [digests.get(name) for name in names]


def unchanged(paths: Sequence[str], places: Places) -> set[str]:
    """Return those of `paths` (absolute) that are as they were when an earlier call read them."""
    states = {path: state_of(os.fsencode(path)) for path in paths}
    stored = stored_digests([os.fsencode(path) for path in paths], places)
    return {path for path, state in states.items() if state and (os.fsencode(path), state) in stored}


def state_of(path: bytes) -> str | None:
    """Return what changes when the content does: size, inode, and two times. A program can set back only one of the two.

    None where there is no file, or none that this user can see.
    """
    try:
        return as_text(os.stat(path))
    except OSError:
        return None


def as_text(status: os.stat_result) -> str:
    """Return the state of a file as text: size, two times and inode."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def size_in(state: str) -> int:
    """Return the size of the file in bytes, from its state."""
    return int(state.partition(" ")[0])


def read_digest(path: bytes) -> StatEntry:
    """Return the digest of a file, and its state if a later change of the file is sure to change the state too.

    As git does with its index: within the granularity of the clock a file may change and keep its times. So a file
    whose times are that near to now is read again the next time. Times that lie ahead are as good as times that have passed.
    """
    try:
        with open(path, "rb") as opened:
            now = time.time_ns()
            status = os.fstat(
                opened.fileno()
            )  # before the file is read, so that a change during the reading shows the next time
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:  # it is gone, this user may not read it, or the disk cannot
        return StatEntry(None, None)
    reliable = all(abs(now - changed) > GRANULARITY for changed in (status.st_mtime_ns, status.st_ctime_ns))
    return StatEntry(sha256, as_text(status) if reliable else None)


def stored_digests(paths: list[bytes], places: Places) -> dict[tuple[bytes, str], str]:
    """Return the stored digest of each file, by its path and the state in which it was read."""
    if not places.data.is_dir():
        return {}

    def select(connection: sqlite3.Connection) -> dict[tuple[bytes, str], str]:
        digests, ordered = {}, sorted(set(paths))  # neighbors in the file are read together
        for start in range(0, len(ordered), MAX_VARIABLES):
            block = ordered[start : start + MAX_VARIABLES]
            statement = f"SELECT path, state, sha256 FROM states WHERE path IN ({placeholders(block)})"
            digests.update({(path, state): sha256 for path, state, sha256 in connection.execute(statement, block)})
        return digests

    return with_database(places.data_root / NAME, TABLE, select)


def store_digests(read: dict[bytes, StatEntry], places: Places) -> None:
    """Store the digests of files that have a state; nothing where `data` does not exist."""
    rows = [(path, entry.state, entry.sha256) for path, entry in read.items() if entry.state]
    if rows and places.data.is_dir():
        with_database(
            places.data_root / NAME,
            TABLE,
            lambda connection: write_transaction(connection, "INSERT OR REPLACE INTO states VALUES (?, ?, ?)", rows),
        )
