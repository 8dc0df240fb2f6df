"""Intervals: exact over images that are each a part, over parts where photographs come in numbers, and never a point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.evaluation.intervals import (
    bound_of,
    effective_parts,
    more_parts,
    parts_needed,
    rate_bound,
    rate_interval,
    upper_bound,
)
from tasks.records.results import Rate


def flags(count: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors and images of parts with one photograph each."""
    return np.arange(total) < count, np.ones(total, int)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0, 0.30850),
        (10, 10, 0.69150, 1),
        (5, 10, 0.18709, 0.81291),
        (1, 20, 0.00127, 0.24873),
        (8, 100, 0.03517, 0.15156),
    ],
)
def test_intervals_are_those_of_clopper_and_pearson(count, total, low, high):
    found = rate_interval(*flags(count, total), 0.95)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


@given(
    st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), st.floats(0.51, 0.99)
)
def test_an_interval_is_the_beta_quantiles_around_the_share(case, confidence):
    (count, total), tail = case, (1 - confidence) / 2
    found = rate_interval(*flags(count, total), confidence)
    assert 0 <= found.low <= count / total <= found.high <= 1
    assert found.low == pytest.approx(stats.beta.ppf(tail, count, total - count + 1) if count else 0, abs=1e-6)
    assert found.high == pytest.approx(
        stats.beta.ppf(1 - tail, count + 1, total - count) if count < total else 1, abs=1e-6
    )


def test_more_confidence_is_a_wider_interval():
    assert rate_interval(*flags(3, 50), 0.99).high > rate_interval(*flags(3, 50), 0.95).high
    assert rate_interval(*flags(0, 0), 0.95) is None


def test_no_error_on_few_parts_shows_little_however_many_photographs():
    """The rule of three, exactly: 14 parts without an error show no less than 19 %."""
    images = np.array([1, 9, 160, *[30] * 11])
    assert rate_bound(np.zeros(14), images, 0.95) == pytest.approx(1 - 0.05 ** (1 / 14))
    found = rate_interval(np.zeros(14), images, 0.95)
    assert (found.low, found.high) == (0, pytest.approx(1 - 0.025 ** (1 / 14)))
    every = rate_interval(images, images, 0.95)
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 14)), 1)


def test_parts_of_equal_size_count_whole_and_unequal_ones_less():
    some = np.array([3, 0, 0, 0])
    assert effective_parts(some, np.array([10, 10, 10, 10])) == pytest.approx(4)
    assert effective_parts(some, np.array([97, 1, 1, 1])) == pytest.approx(100**2 / (97**2 + 3))
    assert effective_parts(np.zeros(4), np.array([97, 1, 1, 1])) == 4


def test_photographs_of_one_part_tell_less_than_as_many_parts():
    of_few = rate_interval(np.array([30, 0, 0, 0, 0]), np.full(5, 30), 0.95)
    of_many = rate_interval(*flags(30, 150), 0.95)
    assert of_few.low < of_many.low < 0.2 < of_many.high < of_few.high


@given(st.integers(0, 20), st.integers(1, 60), st.floats(0.6, 0.999))
def test_the_one_sided_bound_is_that_of_the_exact_test(count, more, confidence):
    total = count + more
    expected = stats.binomtest(count, total, alternative="less").proportion_ci(confidence, method="exact").high
    assert upper_bound(count, total, confidence) == pytest.approx(expected, abs=1e-9)
    assert rate_bound(*flags(count, total), confidence) == pytest.approx(expected, abs=1e-9)
    assert rate_bound(*flags(total, total), confidence) == 1


@given(st.integers(0, 5), st.floats(0.01, 0.5), st.floats(0.6, 0.99))
def test_the_parts_that_are_needed_are_the_fewest(failed, limit, confidence):
    needed = parts_needed(failed, limit, confidence)
    assert upper_bound(failed, needed, confidence) <= limit
    assert needed == 1 or upper_bound(failed, needed - 1, confidence) > limit


def test_what_no_number_of_parts_can_show_is_none_and_what_is_shown_needs_no_more():
    assert parts_needed(0, 0.05, 0.95) == 59
    assert parts_needed(0, 0.0, 0.95) is None
    rate = Rate(
        count=0,
        total=140,
        parts=14,
        parts_with=0,
        effective_parts=14.0,
        rate=0.0,
        interval=None,
        bound=None,
        confidence=0.95,
    )
    assert more_parts(rate, 0.05, 0.95) == 45
    assert more_parts(rate, 0.0, 0.95) is None
    assert more_parts(rate, 0.5, 0.95) == 0
    nothing = rate.model_copy(update={"total": 0, "parts": 0, "effective_parts": 0.0, "rate": None})
    assert bound_of(nothing, 0.95) == 1
    assert more_parts(nothing, 0.05, 0.95) == 59


def test_a_bound_that_is_known_is_not_computed_again(monkeypatch):
    errors, images = np.array([3, *[0] * 13]), np.full(14, 10)
    bound = rate_bound(errors, images, 0.95)
    rate = Rate(
        count=3, total=140, parts=14, parts_with=1, effective_parts=14.0, rate=3 / 140, interval=None, bound=bound, confidence=0.95,
    )  # fmt: skip
    assert bound_of(rate, 0.99) > bound
    monkeypatch.setattr("tasks.evaluation.intervals.upper_bound", lambda *_: pytest.fail("it was computed again"))
    assert bound_of(rate, 0.95) == bound
