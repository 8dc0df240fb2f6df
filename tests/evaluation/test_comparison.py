"""Comparison: a casting counts once, by the cost of its photographs, and the test tells noise from a difference."""

import pytest
from gates import make_pairs
from scipy import stats

from tasks.evaluation import comparison
from tasks.evaluation.comparison import Pair, compare
from tasks.settings.settings import Classes, EvaluationSettings

COSTS = EvaluationSettings()


def test_a_casting_counts_once_however_many_photographs_show_it():
    found = compare(make_pairs("reject", "pass", 5, each=20), Classes(), COSTS)
    assert (found.images, found.castings, found.cheaper, found.dearer) == (100, 5, 5, 0)
    assert found.p == pytest.approx(stats.binomtest(5, 5).pvalue)
    assert not found.better(0.05), "five castings may fall so by chance"


def test_a_casting_counts_for_the_model_that_cost_less_on_all_its_photographs():
    both = [one for pair in (make_pairs("reject", "pass", 1), make_pairs("pass", "reject", 1)) for one in pair]
    one_casting = [Pair(*(side._replace(group="x") for side in pair)) for pair in both]
    found = compare(one_casting, Classes(), COSTS)
    assert (found.castings, found.cheaper, found.dearer) == (1, 0, 0), "what one photograph saves the other costs"


def test_where_castings_are_not_known_images_count():
    unknown = [Pair(*(side._replace(group="") for side in pair)) for pair in make_pairs("reject", "pass", 2, each=4)]
    found = compare(unknown, Classes(), COSTS)
    assert (found.castings, found.cheaper) == (None, 8)
    assert "costs less on 8 images and more on 0" in found.summary()


def test_decisions_that_cost_the_same_count_for_nobody():
    found = compare(make_pairs("review", "review", 10) + make_pairs("pass", "pass", 10), Classes(), COSTS)
    assert (found.cheaper, found.dearer, found.p) == (0, 0, 1.0)
    assert found.candidate_cost == found.champion_cost == pytest.approx((10 * 0.2 + 10 * 10) / 20)


def test_many_small_gains_do_not_buy_a_few_escapes():
    found = compare(make_pairs("reject", "review", 30) + make_pairs("pass", "review", 2), Classes(), COSTS)
    assert found.p < 0.05
    assert found.cheaper > found.dearer
    assert not found.better(0.05), "two escapes cost more than thirty looks"


@pytest.mark.parametrize(
    ("dearer", "p"),
    [([], 1.0), ([3.0], 0.5), ([-3.0], 1.0), ([1.0, 1.0], 0.25), ([1.0, -2.0], 0.75), ([1.0] * 5, 1 / 32)],
)
def test_the_share_of_flips_that_cost_as_much_is_exact_for_a_few_castings(dearer, p):
    assert comparison.flipped_p(dearer) == pytest.approx(p)


def test_the_chance_of_a_dearer_figure_stands_behind_it():
    assert (
        compare(make_pairs("review", "reject", 5), Classes(), COSTS)
        .summary()
        .endswith("instead of 0.000 (p = 0.031 of so much more)")
    )
    assert (
        compare(make_pairs("reject", "review", 5), Classes(), COSTS)
        .summary()
        .endswith("0.000 an image instead of 0.200")
    )


def test_two_escapes_of_many_castings_are_noise():
    found = compare(make_pairs("reject", "review", 16) + make_pairs("pass", "reject", 2), Classes(), COSTS)
    assert found.candidate_cost > found.champion_cost
    assert not found.worse(0.05)


def test_at_equal_cost_nobody_is_better_or_worse():
    even = comparison.PairedComparison(51, 51, 50, 1, candidate_cost=1.0, champion_cost=1.0, p=1e-9, p_dearer=0.5)
    assert not even.better(0.05), "as many small gains as one escape costs"
    assert not even._replace(cheaper=1, dearer=50).worse(0.05)


def test_a_chance_as_large_as_the_significance_is_noise():
    found = comparison.PairedComparison(6, 6, 6, 0, candidate_cost=0.0, champion_cost=1.0, p=0.05, p_dearer=1.0)
    assert not found.better(0.05)
    assert found.better(0.051)


def test_the_flips_of_many_castings_are_the_same_each_time():
    dearer = [1.0] * 8 + [-1.0] * 6  # 2 to the 14th flips, of which a part is drawn
    assert len({comparison.flipped_p(dearer) for _ in range(5)}) == 1
