"""People's queue: what of the photographs that were just judged a person should see, copied while it is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.labeling.label_log import LabelLog, valid_rows
from tasks.labeling.queue_store import QueueName, enqueue
from tasks.monitoring import spot_checks
from tasks.monitoring.batch_scoring import BatchResult, Rows, judge_folder, read
from tasks.monitoring.escape_alarm import AlarmState, watch_escapes
from tasks.monitoring.production import JUDGED, with_station
from tasks.monitoring.shadow import SHADOW, rows_decided_otherwise
from tasks.monitoring.spot_checks import part_of
from tasks.records.rows import LabelRow
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
    secret = spot_checks.spot_check_secret(places)
    if not result.rows:
        return []
    new = with_station(result.rows, station.name)
    rows = with_station(read(result.table), station.name)
    drawn = {part for parts in spot_checks.draw(rows, secret, station.spot_check).values() for part in parts}
    queues: dict[QueueName, Rows] = {
        "review": [row for row in new if row["decision"] == "review"],
        "spot_check": [row for row in new if row["decision"] in spot_checks.DECIDED and part_of(row) in drawn],
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


def find_alarm(champion: registry.Version, settings: SpotCheckSettings, places: Places) -> AlarmState:
    """Return how the bet against too many escapes stands for the version in use, by the spot checks of the parts that it passed."""
    return watch_escapes(checked_passes(LabelLog(places).rows(), champion), settings.max_wrong_share)


def checked_passes(labels: list[LabelRow], champion: registry.Version) -> Iterator[bool]:
    """Yield for each photograph that this version passed and a person checked blind whether it was defective, in the order of the checks.

    A photograph counts once, with its first answer: a bet cannot be taken back.
    """
    seen = set[str]()
    for row in valid_rows(labels):
        is_check = row.queue == spot_checks.QUEUE and row.model_answer == "pass" and row.label in ("good", "defect")
        if is_check and row.model_version == str(champion.number) and row.sha256 not in seen:
            seen.add(row.sha256)
            yield row.label == "defect"
