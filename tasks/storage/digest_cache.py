"""States: the digest of a file is remembered with one look at its state, so that an unchanged file is not read again."""

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
    """A file that was read. Without a digest it cannot be read; without a state the digest must be made again next time."""

    sha256: str | None
    state: str | None


def file_digests(paths: Sequence[str | Path], places: Places, most: int | None = None) -> list[str | None]:
    """Return the sha256 of each file, of absolute path; None where it cannot be read, empty where it has more than `most` bytes.

    A file is read only if its state is not the one that was remembered with its digest. Remembered is under `data`;
    where that folder does not exist yet, every file is read and no folder is made.
    """
    names = [os.fsencode(path) for path in paths]
    states = [state_of(name) for name in names]
    known = remembered(names, places)
    found = {name: known.get((name, state)) for name, state in zip(names, states, strict=True) if state}
    if most is not None:
        found |= {name: "" for name, state in zip(names, states, strict=True) if state and size_in(state) > most}
    unknown = [name for name, sha256 in found.items() if sha256 is None]
    read = dict(zip(unknown, map_chunks_in_threads(lambda piece: list(map(look, piece)), unknown), strict=True))
    remember(read, places)
    found |= {name: seen.sha256 for name, seen in read.items()}
    return [found.get(name) for name in names]


def unchanged(paths: Sequence[str], places: Places) -> set[str]:
    """Return those of `paths` (absolute) that are as they were when an earlier look read them."""
    states = {path: state_of(os.fsencode(path)) for path in paths}
    known = remembered([os.fsencode(path) for path in paths], places)
    return {path for path, state in states.items() if state and (os.fsencode(path), state) in known}


def state_of(path: bytes) -> str | None:
    """Return what changes when the content does: size, inode, and two times of which a program can set back but one.

    None where there is no file, or none that this user can see.
    """
    try:
        return as_text(os.stat(path))
    except OSError:
        return None


def as_text(there: os.stat_result) -> str:
    return f"{there.st_size} {there.st_mtime_ns} {there.st_ctime_ns} {there.st_ino}"


def size_in(state: str) -> int:
    """Return the bytes of the file."""
    return int(state.partition(" ")[0])


def look(path: bytes) -> StatEntry:
    """The digest of a file, with its state if a later change is sure to change that too.

    As git does with its index: within the granularity of the clock a file may change and keep its times, so a file
    whose times are that near to now is read again the next time. Times that lie ahead are as good as times that have passed.
    """
    try:
        with open(path, "rb") as opened:
            now = time.time_ns()
            there = os.fstat(opened.fileno())  # before it is read, so that a change meanwhile shows the next time
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:  # it is gone, this user may not read it, or the disk cannot
        return StatEntry(None, None)
    reliable = all(abs(now - changed) > GRANULARITY for changed in (there.st_mtime_ns, there.st_ctime_ns))
    return StatEntry(sha256, as_text(there) if reliable else None)


def remembered(paths: list[bytes], places: Places) -> dict[tuple[bytes, str], str]:
    """The digest of each of the files in the state in which it was read."""
    if not places.data.is_dir():
        return {}

    def select(connection: sqlite3.Connection) -> dict[tuple[bytes, str], str]:
        found, ordered = {}, sorted(set(paths))  # neighbours in the file are read together
        for start in range(0, len(ordered), MAX_VARIABLES):
            block = ordered[start : start + MAX_VARIABLES]
            statement = f"SELECT path, state, sha256 FROM states WHERE path IN ({placeholders(block)})"
            found.update({(path, state): sha256 for path, state, sha256 in connection.execute(statement, block)})
        return found

    return with_database(places.data.absolute() / NAME, TABLE, select)


def remember(read: dict[bytes, StatEntry], places: Places) -> None:
    rows = [(path, seen.state, seen.sha256) for path, seen in read.items() if seen.state]
    if rows and places.data.is_dir():
        with_database(
            places.data.absolute() / NAME,
            TABLE,
            lambda connection: write_transaction(connection, "INSERT OR REPLACE INTO states VALUES (?, ?, ?)", rows),
        )
