"""Result cache: results by content in one file, `data/kept.sqlite`, so that only new results are computed.

Every block of results is handed to the system before the next one begins, so a killed process loses at most one block.
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
    """Yield the value of each of `keys`, in order: from the cache, or from `make` for those of a block that are not stored.

    `version` names everything that decides a value besides its key; values of another version are replaced.
    Only one block, of at most 500 keys, is held in memory. A value that is not `lasting` is yielded and not stored.
    Raises BadInput when the file cannot be read or written.
    """
    if not 0 < block <= MAX_BLOCK:
        raise ValueError(f"block is {block}, expected 1 to {MAX_BLOCK}: one statement of SQLite takes no more")
    version = hashlib.sha256(version.encode()).hexdigest()[:16]  # stands in every row
    keys = iter(keys)
    while block_keys := list(islice(keys, block)):
        distinct = list(dict.fromkeys(block_keys))
        values = read(kind, version, distinct, places)
        if missing := [key for key in distinct if key not in values]:
            computed = dict(zip(missing, make(missing), strict=True))
            write(kind, version, {key: value for key, value in computed.items() if lasting(value)}, places)
            values |= computed
        yield from (values[key] for key in block_keys)


def read(kind: str, version: str, keys: list[str], places: Places) -> dict[str, bytes]:
    """Return the stored values of this version that are undamaged."""
    statement = f"""
        SELECT key, value, checksum FROM kept
        WHERE kind = ? AND version = ? AND typeof(value) = 'blob' AND key IN ({placeholders(keys)})
    """
    rows = with_database(
        places.data_root / NAME,
        TABLE,
        lambda connection: connection.execute(statement, (kind, version, *keys)).fetchall(),
    )
    return {key: value for key, value, checksum in rows if checksum == checksum_of(key, value)}


def write(kind: str, version: str, values: dict[str, bytes], places: Places) -> None:
    """Store the values, and replace those of other versions."""
    rows = [(kind, key, version, value, checksum_of(key, value)) for key, value in values.items()]
    with_database(
        places.data_root / NAME,
        TABLE,
        lambda connection: write_transaction(connection, "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", rows),
    )


def checksum_of(key: str, value: bytes) -> int:
    """Return the CRC-32 of a key and its value."""
    return zlib.crc32(value, zlib.crc32(key.encode()))


def size_without(stands: Callable[[str, str], bool], places: Places) -> int:
    """Return the bytes of the values that do not stand, by kind and key; 0 where nothing is stored."""
    return sum(size for *_, size in stale_rows(stands, places))


def shrink(stands: Callable[[str, str], bool], places: Places) -> None:
    """Delete the values that do not stand, and give their space back to the disk."""
    rows = [(kind, key) for kind, key, _ in stale_rows(stands, places)]

    def remove(connection: sqlite3.Connection) -> None:
        write_transaction(connection, "DELETE FROM kept WHERE kind = ? AND key = ?", rows)
        connection.execute("VACUUM")

    with_database(places.data_root / NAME, TABLE, remove)


def stale_rows(stands: Callable[[str, str], bool], places: Places) -> list[tuple[str, str, int]]:
    """Return kind, key and bytes of each value that does not stand."""
    path = places.data_root / NAME
    if not path.is_file():
        return []
    statement = "SELECT kind, key, length(value) FROM kept"
    rows = with_database(path, TABLE, lambda connection: connection.execute(statement).fetchall())
    return [row for row in rows if not stands(*row[:2])]
