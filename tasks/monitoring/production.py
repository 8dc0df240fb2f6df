"""Production: what was judged at the stations, week by week."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tasks.labeling.label_log import valid_rows
from tasks.monitoring.batch_scoring import read
from tasks.records.rows import LabelRow, part_key
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places

JUDGED = "judged"  # folder of the tables below `artifacts`
TABLE = re.compile(r"version-([0-9]+)-[0-9a-f]{12}\.csv")


class JudgedPhotograph(NamedTuple):
    """A photograph that a version judged at a station."""

    sha256: str
    """"" of a file that was too large to be read."""
    station: str
    """What its path says, else the name of the folder that was judged."""
    part: str
    """"" where its path does not say."""
    week: str
    """ISO week in which it was judged, `2026-W49`; "" where its time is none."""
    decision: str
    brightness: float | None = None
    """Mean gray level, 0-255."""
    distance: float | None = None
    """From the training images, as a share of the distance from which on an image is unlike them."""

    @property
    def part_key(self) -> str:
        """Return the key of the part that it shows."""
        return part_key(self.station, self.part, self.sha256)


def judged_photograph(row: Mapping[str, Any], folder: str) -> JudgedPhotograph:
    """Return the photograph of a row of a table of judged images. `folder` is the name of the folder that was judged."""
    return JudgedPhotograph(
        str(row["sha256"] or ""), str(row.get("station") or folder), str(row.get("part") or ""), week_of(str(row["judged"])),
        str(row["decision"]), as_number(row.get("brightness")), as_number(row.get("distance")),
    )  # fmt: skip


def as_number(cell: float | str | None) -> float | None:
    """Return the number in a cell; None where it holds none."""
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None


def week_of(time: str) -> str:
    """Return the ISO week of a time, as `2026-W49`; "" where the text is no time."""
    try:
        year, week, _ = datetime.fromisoformat(time).isocalendar()
    except ValueError:
        return ""
    return f"{year}-W{week:02}"


def judged_photographs(places: Places) -> dict[int, list[JudgedPhotograph]]:
    """Return what each version judged, by its number, from the tables below `artifacts/judged`."""
    by_version: dict[int, list[JudgedPhotograph]] = defaultdict(list)
    for table in sorted((places.artifacts_root / JUDGED).rglob("version-*.csv")):
        if match := TABLE.fullmatch(table.name):
            state = table.stat()
            by_version[int(match[1])] += read_table(table, state.st_mtime_ns, state.st_size)
    return dict(sorted(by_version.items()))


@lru_cache(maxsize=256)
def read_table(table: Path, changed: int, size: int) -> tuple[JudgedPhotograph, ...]:
    """Return the photographs of a table; none, with a line, where it cannot be read.

    `changed` and `size` are those of the file: a table that changed is read again.
    """
    try:
        return tuple(judged_photograph(row, table.parent.name) for row in read(table))
    except BadInput as fault:
        say(f"history: {fault}")
        return ()


class WeekKey(NamedTuple):
    """A week at a station, as one version judged it."""

    week: str
    """ISO week, `2026-W49`."""
    station: str
    version: int


class WeekCounts(NamedTuple):
    """What was judged in a week."""

    key: WeekKey
    judged: int
    passed: int
    reviewed: int
    rejected: int


def weekly_counts(judged: Mapping[int, Iterable[JudgedPhotograph]]) -> list[WeekCounts]:
    """Return the counts of each week, station and version, in this order."""
    counters: dict[WeekKey, Counter[str]] = defaultdict(Counter)
    for version, photographs in judged.items():
        for row in photographs:
            if row.week:
                counters[WeekKey(row.week, row.station, version)][row.decision] += 1
    return [
        WeekCounts(key, counts.total(), counts["pass"], counts["review"], counts["reject"])
        for key, counts in sorted(counters.items())
    ]


def sum_weeks(counts: Sequence[WeekCounts]) -> list[WeekCounts]:
    """Return the counts of each week, over all stations and versions."""
    weeks: dict[str, list[WeekCounts]] = defaultdict(list)
    for row in counts:
        weeks[row.key.week].append(row)
    return [
        WeekCounts(WeekKey(week, "", 0), *(sum(getattr(row, name) for row in rows) for name in WeekCounts._fields[1:]))
        for week, rows in sorted(weeks.items())
    ]


def weekly_means(judged: Mapping[int, Iterable[JudgedPhotograph]], measure: str) -> dict[str, float]:
    """Return the mean of a measure, `brightness` or `distance`, of each week in which a photograph has it."""
    values: dict[str, list[float]] = defaultdict(list)
    for photographs in judged.values():
        for row in photographs:
            if row.week and (value := getattr(row, measure)) is not None:
                values[row.week].append(value)
    return {week: math.fsum(found) / len(found) for week, found in sorted(values.items())}


class FoundErrors(NamedTuple):
    """What people found in a week about parts that the model had decided."""

    checked: int
    """Photographs that were passed or rejected, and that a person looked at."""
    escapes: int
    """Defective ones that had passed."""
    false_rejects: int
    """Good ones that had been rejected."""


def found_errors(labels: Iterable[LabelRow]) -> dict[tuple[str, str], FoundErrors]:
    """Return what people found, by the week of the answer and the station."""
    found: dict[tuple[str, str], list[LabelRow]] = defaultdict(list)
    for row in valid_rows(labels):
        if row.model_answer in ("pass", "reject") and row.label in ("good", "defect"):
            found[week_of(row.time), row.origin].append(row)
    return {
        key: FoundErrors(
            len(rows),
            sum(row.model_answer == "pass" and row.label == "defect" for row in rows),
            sum(row.model_answer == "reject" and row.label == "good" for row in rows),
        )
        for key, rows in found.items()
    }
