"""Queue store: copies of the photographs that a person should look at, in `artifacts/queue`, since stations empty their folders.

A copy is named by its content. The table beside the copies says why each is there.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage.files import publish, scratch_beside, sha256_of
from tasks.storage.locks import exclusive_lock
from tasks.storage.tables import read_state, write_rows

TABLE = "queue.csv"
QueueName = Literal["review", "spot_check", "differences"]
BLIND: tuple[QueueName, ...] = (
    "spot_check",
    "differences",
)  # an answer that somebody gave elsewhere does not count there
MEGABYTE = 1_000_000  # bytes


class QueuedPhotograph(NamedTuple):
    """A photograph of a station that waits for a person."""

    sha256: str
    queue: str
    """A `QueueName`."""
    path: str
    """Below the station's folder, posix."""
    origin: str
    """Its station."""
    model_version: str
    model_answer: str
    """`pass`, `review` or `reject`."""
    defect_probability: str
    """"" where the network could not see the part."""
    cause: str
    reason: str
    judged: str
    """Time in UTC, ISO 8601."""
    part: str = ""
    """The part that it shows, where the station tells."""

    @property
    def name(self) -> str:
        """Return the name of the copy: the content's digest and the suffix of the photograph."""
        return self.sha256 + os.path.splitext(self.path)[1].lower()


def queue_folder(places: Places) -> Path:
    """Return the folder of the copies."""
    return places.artifacts_root / "queue"


def read_queue(places: Places) -> list[QueuedPhotograph]:
    """Return the photographs whose copy is there, the oldest first; none before the first."""
    folder = queue_folder(places)
    names = set(os.listdir(folder)) if folder.is_dir() else set()
    return [photograph for photograph in read_state(folder / TABLE, QueuedPhotograph) if photograph.name in names]


def enqueue(
    judged: Sequence[Mapping[str, Any]], queue: QueueName, folder: Path, origin: str, limit_mb: int, places: Places
) -> int:
    """Copy judged photographs of a station's folder into the queue, and return how many are left out because it is full.

    `judged` are rows as the tables of judged images have them. `limit_mb` is of all copies, in megabytes. A content may wait in several
    queues, each with a question of its own, and has one copy. A photograph that was taken away meanwhile is left out, and said.
    """
    if not judged:
        return 0
    target = queue_folder(places)
    target.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(target / ".queue.lock"):
        queued = read_queue(places)
        room = limit_mb * MEGABYTE - bytes_of(queued, target)
        present, copied = {(row.sha256, row.queue) for row in queued}, {row.name for row in queued}
        added, full = list[QueuedPhotograph](), 0
        for row in judged:
            photograph = from_judged(row, queue, origin)
            if not photograph.sha256 or (photograph.sha256, queue) in present:
                continue
            is_copied = photograph.name in copied
            size = 0 if is_copied else size_of(folder / row["path"])
            if size > room:
                full += 1
            elif is_copied or copy_intact(folder / row["path"], target / photograph.name, photograph.sha256):
                added.append(photograph)
                present.add((photograph.sha256, queue))
                copied.add(photograph.name)
                room -= size
        if added:
            write_rows(target / TABLE, (row._asdict() for row in [*queued, *added]), QueuedPhotograph._fields)
    return full


def from_judged(row: Mapping[str, Any], queue: QueueName, origin: str) -> QueuedPhotograph:
    """Return the entry in the queue for a row of a table of judged images."""
    return QueuedPhotograph(
        sha256=str(row["sha256"] or ""), queue=queue, path=str(row["path"]), origin=str(row.get("station") or origin),
        model_version=str(row["model_version"] or ""), model_answer=str(row["decision"]),
        defect_probability="" if row["defect_probability"] in (None, "") else str(row["defect_probability"]),
        cause=str(row["cause"]), reason=str(row["reason"]), judged=str(row["judged"]), part=str(row.get("part") or ""),
    )  # fmt: skip


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 where it was taken away."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def bytes_of(queued: Iterable[QueuedPhotograph], folder: Path) -> int:
    """Return the bytes of all copies."""
    return sum(size_of(folder / name) for name in {photograph.name for photograph in queued})


def copy_intact(source: Path, target: Path, sha256: str) -> bool:
    """Copy a file whole or not at all, and return whether it still has the content that was judged."""
    try:
        with scratch_beside(target) as scratch:
            shutil.copyfile(source, scratch)
            if sha256_of(scratch) == sha256:
                publish(scratch, target)
                return True
        fault = "it was changed after it was judged"
    except OSError as error:
        fault = error.strerror or str(error)
    say(f"queue: {source} is left out, and nobody can look at it: {fault}")
    return False
