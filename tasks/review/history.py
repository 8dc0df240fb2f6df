"""History: versions, weeks at the stations, and charts that say when a week differs by more than chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.labeling.label_log import LabelLog
from tasks.monitoring.control_charts import ControlChart, chart_rates
from tasks.monitoring.people_queue import find_alarm
from tasks.monitoring.production import FoundErrors, WeekCounts, found_errors, judged_rows, sum_weeks, weekly_counts
from tasks.monitoring.spot_checks import DECIDED, ErrorRate, estimate_errors, spot_check_secret
from tasks.pipeline.last_run import sections_of
from tasks.review.texts import CHARTS
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places, SpotCheckSettings
from tasks.tracking import registry

MOST_WEEKS = 52  # on a chart
WIDTH, HEIGHT, LEFT, EDGE = 720, 220, 56, 24  # pixels of a chart, of the scale at its left, and of its other edges
TICKS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)  # ends of a scale of shares


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


class ChartPoint(NamedTuple):
    """A week on a chart, in pixels."""

    x: float
    y: float
    label: str
    is_outside: bool


class Chart(NamedTuple):
    """A chart as its template draws it, and the sentences beside it."""

    title: str
    points: Sequence[ChartPoint]
    mean_y: float
    upper: str
    """Points of the line of upper limits, as SVG has them; "" where there are none."""
    lower: str
    top: str
    """The end of the scale, as text."""
    sentences: Sequence[str]
    first: str
    """The first week, and the last."""
    last: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    edge: int = EDGE


class SpotRow(NamedTuple):
    """What spot checks show about one decision of a version, or of all."""

    version: str
    """"" for all versions."""
    decision: str
    rate: ErrorRate


class History(NamedTuple):
    """All that the page of the history shows."""

    spots: Sequence[SpotRow]
    is_suspect: bool

    versions: Sequence[VersionRow]
    weeks: Sequence[WeekRow]
    charts: Sequence[Chart]


def load_history(log: LabelLog, places: Places, settings: SpotCheckSettings = SpotCheckSettings()) -> History:
    """Read versions, tables of judged photographs and answers, and draw the charts. `settings` are those of the spot checks."""
    counts, found = weekly_counts(places), found_errors(log.rows())
    weeks = [WeekRow(row, found.get((row.key.week, row.key.station))) for row in reversed(counts)]
    totals = sum_weeks(counts)[-MOST_WEEKS:]
    charts = [draw_chart("review", totals), draw_chart("reject", totals)] if totals else []
    versions = [version_row(version, places) for version in reversed(registry.versions(places))]
    champion = registry.champion(places)
    is_suspect = champion is not None and find_alarm(champion, settings, places).is_suspect
    return History(spot_rows(log, settings, places), is_suspect, versions, weeks, charts)


def spot_rows(log: LabelLog, settings: SpotCheckSettings, places: Places) -> list[SpotRow]:
    """Return what spot checks show, for all versions and for each one; none where nothing was checked."""
    by_version, labels = judged_rows(places), log.rows()
    secret = spot_check_secret(places)
    groups = {"": [row for rows in by_version.values() for row in rows]} | {
        str(key): rows for key, rows in by_version.items()
    }
    rows = [
        SpotRow(version, decision, estimate_errors(judged, labels, decision, secret, settings))
        for version, judged in groups.items()
        for decision in DECIDED
    ]
    return [row for row in rows if row.rate.checked]


def version_row(version: registry.Version, places: Places) -> VersionRow:
    """Return a version with its state in words, and what its decisions cost on its test."""
    try:
        evaluation = sections_of(places.runs / version.run_id, "evaluation").evaluation
    except BadInput:
        evaluation = None
    costs = evaluation.test.costs if evaluation and evaluation.test else None
    state = version.withdrawn or (version.approved and f"approved by {version.approved}") or ", ".join(version.aliases)
    return VersionRow(version, state, costs.decided if costs else None)


def draw_chart(name: str, weeks: Sequence[WeekCounts]) -> Chart:
    """Return the p' chart of a share of the judged photographs, `review` or `reject`, a point a week."""
    numbers = [row.reviewed if name == "review" else row.rejected for row in weeks]
    sizes = [row.judged for row in weeks]
    chart = chart_rates(numbers, sizes)
    heights = [value for value in (*chart.values, *chart.upper, chart.mean) if not np.isnan(value)]
    top = next(tick for tick in TICKS if tick >= max(heights))
    xs = np.linspace(LEFT, WIDTH - EDGE, max(len(weeks), 2))[: len(weeks)]

    def to_y(share: float) -> float:
        return round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * share / top, 1)

    def line_of(shares: np.ndarray) -> str:
        return "" if np.isnan(shares).any() else " ".join(f"{x:.1f},{to_y(y)}" for x, y in zip(xs, shares, strict=True))

    points = [
        ChartPoint(
            round(float(x), 1), to_y(float(value)), f"{row.key.week}: {number:,} of {row.judged:,}", bool(outside)
        )
        for x, value, row, number, outside in zip(xs, chart.values, weeks, numbers, chart.outside, strict=True)
    ]
    return Chart(
        CHARTS[name], points, to_y(chart.mean), line_of(chart.upper), line_of(chart.lower), f"{top:.0%}",
        sentences_of(chart, weeks), weeks[0].key.week, weeks[-1].key.week,
    )  # fmt: skip


def sentences_of(chart: ControlChart, weeks: Sequence[WeekCounts]) -> list[str]:
    """Return a sentence for each week outside its limits, the newest first; one sentence where there is none."""
    if np.isnan(chart.upper).all():
        return [CHARTS["too_few"]]
    outside = [
        CHARTS["above" if value > upper else "below"].format(
            week=row.key.week, share=f"{value:.1%}", mean=f"{chart.mean:.1%}"
        )
        for row, value, upper, is_outside in zip(weeks, chart.values, chart.upper, chart.outside, strict=True)
        if is_outside
    ]
    return outside[::-1] or [CHARTS["inside"]]
