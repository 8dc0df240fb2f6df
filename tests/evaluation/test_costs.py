"""Costs: the decision is the one with the least expected cost, at every probability."""

import numpy as np
import pytest
from gates import make_prediction
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.evaluation.costs import cost, mean_costs, price_of_looks, review_band, threshold
from tasks.settings.settings import Classes, EvaluationSettings

DEAR = EvaluationSettings(escape_cost=50, false_reject_cost=2, review_cost=0.5)


@given(st.floats(0, 1), st.sampled_from([EvaluationSettings(), DEAR]))
def test_the_cheapest_decision_is_taken(chance, costs):
    expected = {
        "pass": chance * costs.escape_cost,
        "reject": (1 - chance) * costs.false_reject_cost,
        "review": costs.review_cost,
    }
    low, high = review_band(costs)
    taken = "pass" if chance < low else "reject" if chance > high else "review"
    assert expected[taken] <= min(expected.values()) + 1e-9


@pytest.mark.parametrize("costs", [EvaluationSettings(), DEAR])
def test_at_the_threshold_passing_and_rejecting_cost_the_same(costs):
    limit = threshold(costs)
    assert limit * costs.escape_cost == pytest.approx((1 - limit) * costs.false_reject_cost)
    low, high = review_band(costs)
    assert low < limit < high


@pytest.mark.parametrize(("review", "fits"), [(0.9, True), (0.91, False), (5, False)])
def test_a_look_that_never_pays_is_refused(review, fits):
    if fits:
        assert EvaluationSettings(review_cost=review).review_cost == review
        return
    with pytest.raises(ValidationError, match="nobody would ever look: set review_cost below that"):
        EvaluationSettings(review_cost=review)


def test_costs_are_means_over_all_images():
    found = mean_costs(EvaluationSettings(), defects=4, good=6, escapes=1, rejects=2, reviews=3)
    assert found.decided == pytest.approx((10 + 2 + 0.6) / 10)
    assert (found.passing_all, found.rejecting_all, found.reviewing_all) == (4, 0.6, 0.2)
    assert mean_costs(EvaluationSettings(), defects=0, good=0, escapes=0, rejects=0, reviews=0) is None


@pytest.mark.parametrize(("decision", "defect", "good"), [("review", 0.5, 0.5), ("pass", 50, 0), ("reject", 0, 2)])
def test_each_decision_has_its_cost(decision, defect, good):
    classes = Classes()
    spent = [cost(make_prediction(decision, label, "a"), classes, DEAR) for label in (classes.defect, classes.good)]
    assert spent == [defect, good]


def test_costs_are_means_by_each_price():
    found = mean_costs(DEAR, defects=4, good=6, escapes=1, rejects=2, reviews=3)
    assert found.decided == pytest.approx((50 + 2 * 2 + 3 * 0.5) / 10)
    assert (found.passing_all, found.rejecting_all, found.reviewing_all) == pytest.approx((20, 1.2, 0.5))


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.integers(0, 5),
    st.floats(0, 1),
    st.sampled_from([EvaluationSettings(), DEAR]),
)
def test_price_of_lookss_go_where_they_save_most_and_are_no_more_than_people_can_take(chances, others, share, costs):
    look = price_of_looks(np.array(chances), others, share, costs)
    low, high = review_band(costs, look)
    assert low <= high and look >= costs.review_cost
    asked = [chance for chance in chances if low <= chance <= high and chance != threshold(costs)]
    assert len(asked) + others <= max(share * (len(chances) + others), others)
    worth = [min(chance * costs.escape_cost, (1 - chance) * costs.false_reject_cost) for chance in chances]
    unasked = [value for value, chance in zip(worth, chances, strict=True) if not low < chance < high]
    assert max(unasked, default=0) <= look + 1e-9


def test_people_who_can_look_at_all_get_what_costs_ask_for():
    chances = np.linspace(0, 1, 101)
    assert price_of_looks(chances, 3, 1.0, DEAR) == DEAR.review_cost
    assert review_band(DEAR, DEAR.review_cost) == review_band(DEAR)


@pytest.mark.parametrize("chances", [np.linspace(0, 1, 101), np.array([0.0, 1.0]), np.array([])])
def test_without_any_look_the_band_is_the_threshold(chances):
    low, high = review_band(DEAR, price_of_looks(chances, 0, 0.0, DEAR))
    assert (low, high) == (pytest.approx(threshold(DEAR)), pytest.approx(threshold(DEAR)))


@pytest.mark.parametrize("chance", [0.05, 0.1, 0.3, 0.7])
def test_of_images_that_are_worth_the_same_look_none_or_all_get_one(chance):
    low, high = review_band(EvaluationSettings(), price_of_looks(np.full(10, chance), 0, 0.5, EvaluationSettings()))
    assert not low <= chance <= high
