"""History: versions, weeks at the stations, what spot checks show, and charts that say when a week differs by more than chance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.labeling.label_log import LabelLog
from tasks.monitoring.checked_parts import find_alarm, production_facts
from tasks.monitoring.production import (
    FoundErrors,
    JudgedPhotograph,
    WeekCounts,
    found_errors,
    judged_photographs,
    sum_weeks,
    weekly_counts,
    weekly_means,
)
from tasks.monitoring.spot_checks import load_settings
from tasks.pipeline.last_run import sections_of
from tasks.records.run import ProductionFacts
from tasks.review.charts import Chart, chart_decisions, chart_measure
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.tracking import registry


class VersionRow(NamedTuple):
    """A version, what came of it, and what its decisions cost on its test."""

    version: registry.Version
    state: str
    cost: float | None
    """Mean of a test image, in the units of the settings; None where the run is gone, or had no test of both classes."""


class WeekRow(NamedTuple):
    """A week at a station."""

    counts: WeekCounts
    found: FoundErrors | None
    """What people found about parts that the model had decided; None where nobody looked."""


class History(NamedTuple):
    """All that the page of the history shows."""

    spots: Sequence[ProductionFacts]
    """Of all versions, then of each one; none where nothing was checked."""
    is_suspect: bool
    versions: Sequence[VersionRow]
    weeks: Sequence[WeekRow]
    charts: Sequence[Chart]


def load_history(log: LabelLog, places: Places) -> History:
    """Read versions, tables of judged photographs and answers, and draw the charts."""
    judged, labels = judged_photographs(places), log.rows()
    counts, found = weekly_counts(judged), found_errors(labels)
    weeks = [WeekRow(row, found.get((row.key.week, row.key.station))) for row in reversed(counts)]
    versions = [version_row(version, places) for version in reversed(registry.versions(places))]
    champion = registry.champion(places)
    alarm = champion and find_alarm(judged.get(champion.number, ()), labels, load_settings(places))
    spots = production_facts(judged, labels, places)
    return History(spots, bool(alarm and alarm.is_suspect), versions, weeks, draw_charts(judged, counts))


def draw_charts(judged: Mapping[int, Sequence[JudgedPhotograph]], counts: Sequence[WeekCounts]) -> list[Chart]:
    """Return the charts of decisions and of measures; none of what no table tells."""
    totals = sum_weeks(counts)
    means = {name: weekly_means(judged, name) for name in ("brightness", "distance")}
    return [
        *(chart_decisions(name, totals) for name in ("review", "reject") if totals),
        *(chart_measure(name, own) for name, own in means.items() if own),
    ]


def version_row(version: registry.Version, places: Places) -> VersionRow:
    """Return a version with its state in words, and what its decisions cost on its test."""
    try:
        evaluation = sections_of(places.runs / version.run_id, "evaluation").evaluation
    except BadInput:
        evaluation = None
    costs = evaluation.test.costs if evaluation and evaluation.test else None
    state = version.withdrawn or (version.approved and f"approved by {version.approved}") or ", ".join(version.aliases)
    return VersionRow(version, state, costs.decided if costs else None)
