"""Agreement: kappas as published and as computed by hand, over parts, and nothing where nothing is defined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.agreement import (
    DEFECT,
    GOOD,
    KAPPA_WIDTH,
    NO_MAJORITY,
    TOO_FEW,
    UNDECIDED,
    cohen_agreement,
    cohen_kappa,
    compare_model,
    fleiss_agreement,
    majorities,
    parts_missing,
)
from tasks.records.results import Interval
from tasks.settings.settings import EvaluationSettings

SETTINGS = EvaluationSettings(resamples=200)
# Fourteen people, ten subjects, five classes: the worked example at en.wikipedia.org/wiki/Fleiss'_kappa.
FOURTEEN_PEOPLE = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


def answers_of(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two lists of answers that a table counts."""
    cells = [(first, second) for (first, second), count in np.ndenumerate(np.array(table)) for _ in range(count)]
    first, second = np.array(cells).T
    return first, second


def agreement_of(table: list[list[int]]):
    first, second = answers_of(table)
    return cohen_agreement(first, second, np.arange(len(first)), SETTINGS)


@pytest.mark.parametrize(
    ("table", "share", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.7, 0.4),
        ([[88, 10, 2], [14, 40, 6], [18, 10, 12]], 0.7, 0.29 / 0.59),
        ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.7, 0.225 / 0.525),  # Fleiss, Cohen and Everitt (1969): 0.429
        ([[44, 6], [3, 97]], 141 / 150, 0.8629),  # AIAG, Measurement Systems Analysis, 4th edition: A and B, 0.86
        ([[42, 5], [9, 94]], 136 / 150, 0.7880),  # B and C, 0.79
        ([[43, 7], [8, 92]], 135 / 150, 0.7761),  # A and C, 0.78
        ([[0, 10], [10, 0]], 0.0, -1.0),
        ([[10, 0], [0, 10]], 1.0, 1.0),
    ],
)
def test_kappa_of_two_people_is_as_published_and_by_hand(table, share, kappa):
    found = agreement_of(table)
    assert found.observed.value == pytest.approx(share)
    assert found.kappa.value == pytest.approx(kappa, abs=5e-5)


def test_kappa_of_several_people_is_as_published():
    found = fleiss_agreement(FOURTEEN_PEOPLE, np.arange(10), SETTINGS)
    assert (found.photographs, found.parts) == (10, 10)
    assert found.observed.value == pytest.approx(0.378, abs=5e-4)
    assert found.kappa.value == pytest.approx(0.210, abs=5e-4)
    assert found.kappa.interval.low < 0.210 < found.kappa.interval.high


def test_each_photograph_counts_once_however_many_people_looked():
    counts = np.array([[2, 0], [5, 5], [1, 0], [0, 3]])
    found = fleiss_agreement(counts, np.arange(4), SETTINGS)
    shares, agreeing = (1 + 0.5 + 0) / 3, (1 + 4 / 9 + 1) / 3
    by_chance = shares**2 + (1 - shares) ** 2
    assert found.photographs == 3, "one look shows no agreement"
    assert found.observed.value == pytest.approx(agreeing)
    assert found.kappa.value == pytest.approx((agreeing - by_chance) / (1 - by_chance))


def test_where_one_class_is_all_that_was_said_there_is_no_kappa():
    found = agreement_of([[12, 0], [0, 0]])
    assert found.observed.value == 1
    assert found.observed.interval.low == pytest.approx(0.025 ** (1 / 12)), "exact: nobody disagreed about 12 parts"
    assert found.kappa == (None, None, 0)


def test_where_nobody_looked_twice_nothing_is_defined():
    nobody = np.array([], int)
    assert cohen_agreement(nobody, nobody, nobody, SETTINGS).observed == (None, None, 0)
    found = fleiss_agreement(np.array([[1, 0], [0, 1]]), np.arange(2), SETTINGS)
    assert (found.photographs, found.observed.value, found.kappa.value) == (0, None, None)


def test_photographs_of_one_part_widen_the_interval():
    first, second = answers_of([[30, 6], [6, 30]])
    order = np.random.default_rng(0).permutation(72)
    single = cohen_agreement(first, second, np.arange(72), SETTINGS)
    by_part = cohen_agreement(first[order], second[order], np.arange(72) // 6, SETTINGS)
    alike = cohen_agreement(first, second, np.arange(72) // 6, SETTINGS)
    assert single.kappa.value == pytest.approx(by_part.kappa.value)
    assert by_part.observed.interval.low < single.observed.interval.low
    width = single.kappa.interval.high - single.kappa.interval.low
    assert alike.kappa.interval.high - alike.kappa.interval.low > width


def test_too_wide_an_interval_says_how_many_parts_it_needs():
    assert parts_missing(Interval(0.40, 0.75), 50, KAPPA_WIDTH) == 0
    assert parts_missing(Interval(0.1, 0.8), 50, KAPPA_WIDTH) == pytest.approx(150, abs=1)
    assert parts_missing(None, 50, KAPPA_WIDTH) == 0
    assert agreement_of([[5, 1], [1, 5]]).kappa.more_parts > 0


ANSWERS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30)


@given(ANSWERS)
def test_two_people_agree_alike_whoever_comes_first(answers):
    first, second, part = np.array(answers).T
    one_way, other_way = (cohen_agreement(*pair, part, SETTINGS) for pair in ((first, second), (second, first)))
    assert one_way.observed.value == other_way.observed.value
    assert one_way.kappa.value == pytest.approx(other_way.kappa.value)


@given(ANSWERS)
def test_shares_and_kappas_stay_within_their_bounds(answers):
    first, second, part = np.array(answers).T
    found = cohen_agreement(first, second, part, SETTINGS)
    low, high = found.observed.interval
    assert 0 <= low <= found.observed.value + 1e-9 <= high + 2e-9 <= 1 + 3e-9
    assert found.kappa.value is None or -1 - 1e-9 <= found.kappa.value <= found.observed.value + 1e-9
    if found.kappa.interval:
        assert -1 - 1e-9 <= found.kappa.interval.low <= found.kappa.interval.high <= 1 + 1e-9


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20), st.randoms())
def test_the_order_of_photographs_and_classes_changes_no_kappa(rows, random):
    counts, part = np.array(rows), np.arange(len(rows))
    order = random.sample(range(len(rows)), len(rows))
    straight = fleiss_agreement(counts, part, SETTINGS)
    turned = fleiss_agreement(counts[order][:, ::-1], part[order], SETTINGS)
    assert straight.photographs == turned.photographs
    for value, other in ((straight.observed, turned.observed), (straight.kappa, turned.kappa)):
        assert (value.value is None) == (other.value is None)
        assert value.value is None or value.value == pytest.approx(other.value)


def test_kappas_of_many_tables_are_those_of_each():
    tables = np.random.default_rng(0).integers(0, 9, (6, 3, 3)).astype(float)
    assert cohen_kappa(tables) == pytest.approx([float(cohen_kappa(table)) for table in tables])


def test_a_majority_is_more_than_half_of_at_least_two_people():
    counts = np.array([[2, 1, 0], [1, 2, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 3], [0, 0, 0], [2, 0, 2]])
    assert majorities(counts).tolist() == [
        GOOD, DEFECT, NO_MAJORITY, NO_MAJORITY, TOO_FEW, NO_MAJORITY, TOO_FEW, NO_MAJORITY,
    ]  # fmt: skip
    assert counts.shape[1] - 1 == UNDECIDED


def test_misses_and_false_alarms_are_those_that_most_people_see():
    say = {"good": [3, 0, 0], "defect": [0, 3, 0], "tie": [1, 1, 0], "alone": [0, 1, 0]}
    seen = ["defect", "defect", "defect", "good", "good", "good", "good", "tie", "alone"]
    decisions = np.array(["pass", "reject", "review", "pass", "pass", "reject", "review", "pass", "reject"])
    found = compare_model(np.array([say[name] for name in seen]), decisions, np.arange(9), SETTINGS)
    assert (found.misses.count, found.misses.total) == (1, 3)
    assert (found.false_alarms.count, found.false_alarms.total) == (1, 4)
    assert (found.reviews, found.ties, found.too_few) == (2, 1, 1)
    assert (found.agreement.photographs, found.agreement.observed.value) == (5, pytest.approx(3 / 5))


def test_without_a_majority_the_model_is_compared_with_nothing():
    found = compare_model(np.array([[1, 0, 0]]), np.array(["pass"]), np.array(["part"]), SETTINGS)
    assert (found.misses.rate, found.false_alarms.rate, found.agreement.kappa.value) == (None, None, None)
