"""Queue garbage: copies of photographs that nobody has to look at any more."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tasks.labeling.label_log import LabelLog, latest_labels, time_of
from tasks.labeling.queue_store import queue_folder, read_queue
from tasks.pipeline.retention import Garbage, path_garbage
from tasks.settings.settings import Places

UNDO = timedelta(days=7)  # for which an answer can be taken back with the photograph at hand


def answered_photographs(places: Places) -> Iterator[Garbage]:
    """Yield the copies of photographs that a person decided about a week ago or earlier. Their labels and placed files stay."""
    labels = latest_labels(LabelLog(places).rows())
    for photograph in read_queue(places):
        row = labels.get(photograph.sha256)
        if row and row.label != "cannot_tell" and datetime.now(UTC) - time_of(row) > UNDO:
            yield path_garbage("answered photographs of queues", queue_folder(places) / photograph.name)
