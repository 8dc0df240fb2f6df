"""Queue garbage: copies of photographs that nobody has to look at any more."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from tasks.labeling.label_log import LabelLog, latest_labels, time_of
from tasks.labeling.queue_store import BLIND, QueuedPhotograph, queue_folder, read_queue
from tasks.pipeline.retention import Garbage, path_garbage
from tasks.records.rows import LabelRow
from tasks.settings.settings import Places

UNDO = timedelta(days=7)  # for which an answer can be taken back with the photograph at hand


def answered_photographs(places: Places) -> Iterator[Garbage]:
    """Yield the copies that no queue has needed for a week. Labels and placed files stay."""
    rows, queued = LabelLog(places).rows(), read_queue(places)
    open_copies = {photograph.name for photograph in waiting_photographs(rows, queued)}
    for name in dict.fromkeys(photograph.name for photograph in queued):
        if name not in open_copies:
            yield path_garbage("answered photographs of queues", queue_folder(places) / name)


def waiting_photographs(rows: Iterable[LabelRow], queued: Iterable[QueuedPhotograph]) -> Iterator[QueuedPhotograph]:
    """Yield the queued photographs about which nobody decided, or less than a week ago. In a blind queue its own answers count alone."""
    rows = list(rows)
    labels = latest_labels(rows)
    blind: dict[str, dict[str, LabelRow]] = {
        queue: latest_labels(row for row in rows if row.queue == queue) for queue in BLIND
    }
    for photograph in queued:
        row = blind.get(photograph.queue, labels).get(photograph.sha256)
        if row is None or row.label == "cannot_tell" or datetime.now(UTC) - time_of(row) <= UNDO:
            yield photograph
