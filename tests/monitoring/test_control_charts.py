"""Control charts: a week that differs is outside, and the usual change from week to week is not."""

import numpy as np
import pytest

from tasks.monitoring.control_charts import chart_means, chart_rates


def test_limits_follow_from_the_moving_ranges_of_standardized_shares():
    """By hand: p = 0.1, sigma_p = 0.03, z = (-1, 1, -1, 1) / 3, mean range 2/3."""
    chart = chart_rates([9, 11, 9, 11], [100] * 4)
    assert chart.mean == pytest.approx(0.1)
    reach = 3 * 0.03 * (2 / 3) / 1.128
    assert chart.upper == pytest.approx([0.1 + reach] * 4)
    assert chart.lower == pytest.approx([0.1 - reach] * 4)
    assert not chart.outside.any()


def test_a_week_that_differs_lies_outside():
    chart = chart_rates([50, 52, 49, 51, 50, 48, 150, 51, 50, 49, 51, 50], [1_000] * 12)
    assert list(np.flatnonzero(chart.outside)) == [6]


def test_thousands_of_photographs_do_not_make_every_week_unusual():
    random = np.random.default_rng(0)
    sizes = np.full(30, 20_000)
    counts = random.binomial(sizes, random.normal(0.06, 0.006, 30))
    assert chart_rates(counts, sizes).outside.sum() <= 1


@pytest.mark.parametrize(
    ("counts", "sizes"), [([], []), ([1, 2, 3], [10, 10, 10]), ([0] * 8, [10] * 8), ([10] * 8, [10] * 8)]
)
def test_where_nothing_tells_what_is_usual_nothing_lies_outside(counts, sizes):
    chart = chart_rates(counts, sizes)
    assert not chart.outside.any() and np.isnan(chart.upper).all() and len(chart.values) == len(counts)


def test_limits_of_shares_stay_shares():
    chart = chart_rates([0, 9, 0, 10, 1], [10] * 5)
    assert chart.lower.min() >= 0 and chart.upper.max() <= 1


def test_single_values_have_limits_from_their_moving_ranges():
    chart = chart_means([10.0, 11.0, 10.0, 11.0])
    assert chart.upper == pytest.approx([10.5 + 3 / 1.128] * 4)
    assert chart_means([10.0, 10.1] * 6 + [12.0]).outside[-1]
    assert not chart_means([1.0, 9.0]).outside.any()
