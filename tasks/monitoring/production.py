"""Production: what was judged at the stations, week by week."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tasks.labeling.label_log import valid_rows
from tasks.monitoring.batch_scoring import Rows, read
from tasks.records.rows import LabelRow
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places

JUDGED = "judged"  # folder of the tables below `artifacts`
TABLE = re.compile(r"version-([0-9]+)-[0-9a-f]{12}\.csv")


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


def weekly_counts(places: Places) -> list[WeekCounts]:
    """Return the counts of each week, station and version, in this order, from the tables below `artifacts/judged`."""
    counters: dict[WeekKey, Counter[str]] = defaultdict(Counter)
    for table in sorted((places.artifacts_root / JUDGED).rglob("version-*.csv")):
        if (match := TABLE.fullmatch(table.name)) is None:
            continue
        state = table.stat()
        for (week, station), decisions in count_table(table, state.st_mtime_ns, state.st_size).items():
            counters[WeekKey(week, station, int(match[1]))].update(decisions)
    return [
        WeekCounts(key, counts.total(), counts["pass"], counts["review"], counts["reject"])
        for key, counts in sorted(counters.items())
    ]


@lru_cache(maxsize=1_024)
def count_table(table: Path, changed: int, size: int) -> dict[tuple[str, str], Counter[str]]:
    """Return the decisions in a table, by week and station.

    `changed` and `size` are those of the file: a table that changed is read again.
    """
    counters: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in read_or_say(table):
        if week := week_of(row["judged"]):
            counters[week, row.get("station") or table.parent.name][row["decision"]] += 1
    return counters


def read_or_say(table: Path) -> Rows:
    """Return the rows of a table; none, with a line, where it cannot be read."""
    try:
        return read(table)
    except BadInput as fault:
        say(f"history: {fault}")
        return []


def week_of(time: str) -> str:
    """Return the ISO week of a time, as `2026-W49`; "" where the text is no time."""
    try:
        year, week, _ = datetime.fromisoformat(time).isocalendar()
    except ValueError:
        return ""
    return f"{year}-W{week:02}"


def sum_weeks(counts: Sequence[WeekCounts]) -> list[WeekCounts]:
    """Return the counts of each week, over all stations and versions."""
    weeks: dict[str, list[WeekCounts]] = defaultdict(list)
    for row in counts:
        weeks[row.key.week].append(row)
    return [
        WeekCounts(WeekKey(week, "", 0), *(sum(getattr(row, name) for row in rows) for name in WeekCounts._fields[1:]))
        for week, rows in sorted(weeks.items())
    ]


def judged_rows(places: Places) -> dict[int, Rows]:
    """Return all rows of the tables below `artifacts/judged`, by version, each with its station.

    A table that cannot be read is left out, with a line.
    """
    by_version: dict[int, Rows] = defaultdict(list)
    for table in sorted((places.artifacts_root / JUDGED).rglob("version-*.csv")):
        if match := TABLE.fullmatch(table.name):
            by_version[int(match[1])] += with_station(read_or_say(table), table.parent.name)
    return dict(sorted(by_version.items()))


def with_station(rows: Rows, folder: str) -> Rows:
    """Return the rows with a station each: what their paths say, else the name of the folder that was judged."""
    return [row | {"station": row.get("station") or folder} for row in rows]


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
