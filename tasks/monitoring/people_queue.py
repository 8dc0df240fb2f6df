"""People's queue: what of the photographs that were just judged a person should see, copied while it is there."""

from pathlib import Path
from typing import NamedTuple

from tasks.labeling.queue_store import QueueName, enqueue
from tasks.monitoring.batch_scoring import BatchResult, Rows, judge_folder, read
from tasks.monitoring.production import JUDGED, judged_photograph
from tasks.monitoring.shadow import SHADOW, rows_decided_otherwise
from tasks.monitoring.spot_checks import DECIDED, drawn_parts, spot_check_secret
from tasks.settings.settings import Places, SpotCheckSettings
from tasks.tracking import registry


class Station(NamedTuple):
    """A folder that photographs are put into, and how its photographs are judged."""

    folder: Path
    results: Path
    """Of the tables of judged images."""
    stamp: str | None
    queue_megabytes: int
    spot_check: SpotCheckSettings

    @property
    def name(self) -> str:
        """Return the station's name: that of its folder."""
        return self.folder.absolute().name or "station"


def judge_in_shadow(station: Station, champion: BatchResult, places: Places) -> Rows:
    """Let a version that waits for approval judge the same photographs, and return its rows that the model in use decided otherwise.

    Its table lies below `artifacts/shadow`. Its decisions decide nothing.
    """
    waiting = registry.by_alias(registry.CHALLENGER, places)
    judged, results = places.artifacts_root / JUDGED, station.results.absolute()
    if waiting is None or waiting.withdrawn or not champion.rows or not results.is_relative_to(judged):
        return []
    results = places.artifacts_root / SHADOW / results.relative_to(judged)
    result = judge_folder(station.folder, results, 0.0, waiting, places, station.stamp)
    return rows_decided_otherwise(champion.rows, result.rows)


def send_to_people(station: Station, result: BatchResult, differences: Rows, places: Places) -> list[str]:
    """Copy what a person should see of the new photographs to its queue, and return what there is to say about it, in sentences.

    These are the photographs sent to review, the drawn share of the decided ones, and those that a waiting version decided otherwise.
    """
    secret = spot_check_secret(places)
    if not result.rows:
        return []
    judged = [judged_photograph(row, station.name) for row in read(result.table)]
    drawn = drawn_parts(judged, secret, station.spot_check)
    decided = [row for row in result.rows if row["decision"] in DECIDED]
    queues: dict[QueueName, Rows] = {
        "review": [row for row in result.rows if row["decision"] == "review"],
        "spot_check": [row for row in decided if judged_photograph(row, station.name).part_key in drawn],
        "differences": differences,
    }
    full = sum(
        enqueue(queued, queue, station.folder, station.name, station.queue_megabytes, places)
        for queue, queued in queues.items()
    )
    if not full:
        return []
    return [
        f"{full:,} photographs for people are not copied, for the queue holds {station.queue_megabytes:,} MB: review them, then "
        "flows/prune.py, or give a larger --queue_megabytes"
    ]
