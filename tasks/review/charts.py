"""Charts: what the weeks at the stations are like, as SVG for a template, with a sentence for each week that is unusual."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tasks.monitoring.control_charts import ControlChart, chart_means, chart_rates
from tasks.monitoring.production import WeekCounts
from tasks.review.texts import CHARTS

MOST_WEEKS = 52  # on a chart
WIDTH, HEIGHT, LEFT, EDGE = 480, 180, 56, 24  # pixels of a chart, of the scale at its left, and of its other edges
TICKS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)  # ends of a scale of shares
MARGIN = 0.1  # of a scale of means, above and below what it shows


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
    bottom: str
    """The ends of the scale, as text."""
    top: str
    sentences: Sequence[str]
    first: str
    """The first week, and the last."""
    last: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    edge: int = EDGE


class Scale(NamedTuple):
    """The ends of a scale, and how its values are written."""

    low: float
    high: float
    form: Callable[[float], str]


def chart_decisions(name: str, weeks: Sequence[WeekCounts]) -> Chart:
    """Return the p' chart of a share of the judged photographs, `review` or `reject`, a point a week."""
    weeks = weeks[-MOST_WEEKS:]
    numbers = [row.reviewed if name == "review" else row.rejected for row in weeks]
    chart = chart_rates(numbers, [row.judged for row in weeks])
    _, high = ends(chart)
    scale = Scale(0.0, next(tick for tick in TICKS if tick >= high), "{:.1%}".format)
    labels = [f"{number:,} of {row.judged:,}" for number, row in zip(numbers, weeks, strict=True)]
    return draw_chart(name, chart, [row.key.week for row in weeks], labels, scale)


def chart_measure(name: str, means: Mapping[str, float]) -> Chart:
    """Return the chart of the weekly means of a measure, `brightness` or `distance`, by week."""
    weeks = sorted(means)[-MOST_WEEKS:]
    chart = chart_means([means[week] for week in weeks])
    low, high = ends(chart)
    margin = MARGIN * (high - low) or 1.0
    form = ("{:.2f}" if name == "distance" else "{:.0f}").format
    return draw_chart(
        name, chart, weeks, [form(means[week]) for week in weeks], Scale(low - margin, high + margin, form)
    )


def ends(chart: ControlChart) -> tuple[float, float]:
    """Return the smallest and the largest number that a chart shows."""
    shown = np.concatenate([chart.values, chart.lower, chart.upper, [chart.mean]])
    return float(np.nanmin(shown)), float(np.nanmax(shown))


def draw_chart(name: str, chart: ControlChart, weeks: Sequence[str], labels: Sequence[str], scale: Scale) -> Chart:
    """Return a chart with a point a week. `labels` say what each point stands for."""
    xs = np.linspace(LEFT, WIDTH - EDGE, max(len(weeks), 2))[: len(weeks)]

    def to_y(value: float) -> float:
        return round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - scale.low) / (scale.high - scale.low), 1)

    def line_of(values: np.ndarray) -> str:
        return "" if np.isnan(values).any() else " ".join(f"{x:.1f},{to_y(y)}" for x, y in zip(xs, values, strict=True))

    points = [
        ChartPoint(round(float(x), 1), to_y(float(value)), f"{week}: {label}", bool(outside))
        for x, value, week, label, outside in zip(xs, chart.values, weeks, labels, chart.outside, strict=True)
    ]
    return Chart(
        CHARTS[name], points, to_y(chart.mean), line_of(chart.upper), line_of(chart.lower), scale.form(scale.low),
        scale.form(scale.high), sentences_of(name, chart, weeks, scale), weeks[0], weeks[-1],
    )  # fmt: skip


def sentences_of(name: str, chart: ControlChart, weeks: Sequence[str], scale: Scale) -> list[str]:
    """Return a sentence for each week outside its limits, the newest first; one sentence where there is none."""
    if np.isnan(chart.upper).all():
        return [CHARTS["too_few"]]
    outside = [
        CHARTS["above" if value > upper else "below"].format(
            week=week, value=scale.form(value), mean=scale.form(chart.mean), look=CHARTS[f"look_{name}"]
        )
        for week, value, upper, is_outside in zip(weeks, chart.values, chart.upper, chart.outside, strict=True)
        if is_outside
    ]
    return outside[::-1] or [CHARTS["inside"]]
