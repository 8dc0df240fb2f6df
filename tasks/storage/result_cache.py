"""Kept: results by content in one file, `data/kept.sqlite`, so that only what is new is worked out.

Every block of results is handed to the system before the next one is begun, so a killed process loses at most one block.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tasks.settings.settings import Places
from tasks.storage.sqlite import MAX_VARIABLES, placeholders, with_database, write_transaction

NAME = "kept.sqlite"
MAX_BLOCK = MAX_VARIABLES
TABLE = """
    CREATE TABLE IF NOT EXISTS kept (
        kind TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, value BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    )
"""


def cached_map(
    kind: str,
    version: str,
    keys: Iterable[str],
    make: Callable[[list[str]], list[bytes]],
    places: Places,
    block: int = 256,
    lasting: Callable[[bytes], bool] = lambda value: True,
) -> Iterator[bytes]:
    """The value of each of `keys`, in order: as kept, or as `make` gives it for those of a block that are not kept.

    `version` names all that decides a value besides its key; what was kept under another version is replaced.
    A block, of at most 500 keys, is all that is held in memory. A value that is not `lasting` is handed on and not kept.
    Raises BadInput when the file cannot be read or written.
    """
    if not 0 < block <= MAX_BLOCK:
        raise ValueError(f"block is {block}, expected 1 to {MAX_BLOCK}: one statement of SQLite takes no more")
    version = hashlib.sha256(version.encode()).hexdigest()[:16]  # stands in every row
    keys = iter(keys)
    while wanted := list(islice(keys, block)):
        distinct = list(dict.fromkeys(wanted))
        values = read(kind, version, distinct, places)
        if missing := [key for key in distinct if key not in values]:
            made = dict(zip(missing, make(missing), strict=True))
            write(kind, version, {key: value for key, value in made.items() if lasting(value)}, places)
            values |= made
        yield from (values[key] for key in wanted)


def read(kind: str, version: str, keys: list[str], places: Places) -> dict[str, bytes]:
    """The values that are kept of this version, and whole."""
    statement = f"""
        SELECT key, value, checksum FROM kept
        WHERE kind = ? AND version = ? AND typeof(value) = 'blob' AND key IN ({placeholders(keys)})
    """
    rows = with_database(
        places.data.absolute() / NAME,
        TABLE,
        lambda connection: connection.execute(statement, (kind, version, *keys)).fetchall(),
    )
    return {key: value for key, value, checksum in rows if checksum == checksum_of(key, value)}


def write(kind: str, version: str, values: dict[str, bytes], places: Places) -> None:
    rows = [(kind, key, version, value, checksum_of(key, value)) for key, value in values.items()]
    with_database(
        places.data.absolute() / NAME,
        TABLE,
        lambda connection: write_transaction(connection, "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", rows),
    )


def checksum_of(key: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key.encode()))


def size_without(stands: Callable[[str, str], bool], places: Places) -> int:
    """Bytes of the values that do not stand, by kind and key; 0 where nothing is kept."""
    return sum(size for *_, size in is_stale(stands, places))


def shrink(stands: Callable[[str, str], bool], places: Places) -> None:
    """Removes the values that do not stand, and gives their room back to the disk."""
    rows = [(kind, key) for kind, key, _ in is_stale(stands, places)]

    def remove(connection: sqlite3.Connection) -> None:
        write_transaction(connection, "DELETE FROM kept WHERE kind = ? AND key = ?", rows)
        connection.execute("VACUUM")

    with_database(places.data.absolute() / NAME, TABLE, remove)


def is_stale(stands: Callable[[str, str], bool], places: Places) -> list[tuple[str, str, int]]:
    path = places.data.absolute() / NAME
    if not path.is_file():
        return []
    statement = "SELECT kind, key, length(value) FROM kept"
    rows = with_database(path, TABLE, lambda connection: connection.execute(statement).fetchall())
    return [row for row in rows if not stands(*row[:2])]
