"""Rate chart: draw what was found and what is shown beside each limit, as an SVG that loads nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.reporting.template_files import load_template

CHART = load_template("templates/rates.svg")
LEFT, WIDTH, ROW = 330, 720, 34  # pixels: where the scale begins, the whole width, the height of a row
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)  # ends of a scale


class RateBar(NamedTuple):
    """A row of the chart. All shares are between 0 and 1."""

    label: str
    found: float
    bound: float
    """What is shown: with the confidence of the chart the rate is no larger."""
    limit: float


def rate_chart(bars: Sequence[RateBar]) -> str:
    """Return the chart as SVG: a bar from 0 to the bound, a dot at what was found, and a line at the limit."""
    most = max(max(bar.bound, bar.limit) for bar in bars)
    end = next(tick for tick in TICKS if tick >= most)
    scale = (WIDTH - LEFT - 70) / end
    rows = [
        {
            "label": bar.label,
            "y": ROW * (number + 1),
            "found": LEFT + scale * bar.found,
            "bound": LEFT + scale * bar.bound,
            "limit": LEFT + scale * bar.limit,
            "text": f"{bar.bound:.1%}",
            "is_shown": bar.bound <= bar.limit,
        }
        for number, bar in enumerate(bars)
    ]
    return CHART.render(
        rows=rows,
        left=LEFT,
        width=WIDTH,
        height=ROW * (len(bars) + 2),
        row=ROW,
        end=f"{end:.0%}",
        right=LEFT + scale * end,
    )
