"""Charts: each week lies where its value belongs, and a sentence says which week is unusual and where to look."""

import pytest

from tasks.monitoring.production import WeekCounts, WeekKey
from tasks.review.charts import HEIGHT, WIDTH, chart_decisions, chart_measure

WEEKS = [f"2026-W{number}" for number in range(30, 42)]


def test_a_week_of_other_light_is_outside_and_the_sentence_says_where_to_look():
    means = {week: 130.0 + (number % 3) for number, week in enumerate(WEEKS)} | {"2026-W42": 160.0}
    chart = chart_measure("brightness", means)
    assert [point.label for point in chart.points if point.is_outside] == ["2026-W42: 160"]
    assert chart.sentences == ["2026-W42: 160 is more than is usual (mean 133). Look at lamp, exposure and lens."]
    assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in chart.points)
    assert chart.points[-1].y < chart.mean_y < max(point.y for point in chart.points)
    assert (chart.first, chart.last) == ("2026-W30", "2026-W42")


@pytest.mark.parametrize("means", [{"2026-W30": 0.4}, dict.fromkeys(WEEKS, 0.4)])
def test_one_week_and_equal_weeks_can_be_drawn(means):
    chart = chart_measure("distance", means)
    assert not any(point.is_outside for point in chart.points)
    assert len(chart.points) == len(means)
    assert all(0 < point.y < HEIGHT for point in chart.points)


def test_a_share_of_decisions_begins_at_zero():
    weeks = [WeekCounts(WeekKey(week, "", 0), 100, 80, 5 + number % 2, 15) for number, week in enumerate(WEEKS)]
    chart = chart_decisions("review", weeks)
    assert (chart.bottom, chart.points[0].label) == ("0.0%", "2026-W30: 5 of 100")
    assert chart.sentences == ["All weeks lie within what is usual."]
    none = chart_decisions("review", [WeekCounts(WeekKey("2026-W30", "", 0), 10, 10, 0, 0)])
    assert none.sentences == ["With fewer than four weeks nobody can say what is usual."]
