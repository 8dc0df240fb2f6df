"""Metrics: they agree with numbers counted by hand and with published intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.metrics import auc, log_loss, review_causes, score
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings

CLASSES, SETTINGS = Classes(), EvaluationSettings()
CAUSES = {"pass": "below_limit", "review": "between_limits", "reject": "above_limit"}


def make_predictions(*parts: tuple[str, float, str]) -> list[Prediction]:
    labels = {"defect": CLASSES.defect, "good": CLASSES.good}
    return [
        Prediction(f"{number}.jpeg", "", "test", "base", labels[label], "", chance, decision, "why", CAUSES[decision])
        for number, (label, chance, decision) in enumerate(parts)
    ]


HAND = make_predictions(
    ("defect", 0.9, "reject"),
    ("defect", 0.5, "reject"),
    ("defect", 0.4, "review"),
    ("defect", 0.1, "pass"),
    ("good", 0.8, "reject"),
    ("good", 0.49, "pass"),
    ("good", 0.45, "review"),
    ("good", 0.2, "pass"),
    ("good", 0.0, "pass"),
)


def test_a_score_counts_as_a_person_would():
    found = score(HAND, CLASSES, SETTINGS)
    assert (found.images, found.defects, found.good) == (9, 4, 5)
    assert (found.missed_defects, found.false_rejects) == (2, 1)
    assert found.accuracy == pytest.approx(6 / 9)
    assert found.escape_rate == 2 / 4
    assert found.false_reject_rate == 1 / 5
    assert (found.escapes_decided, found.rejects_decided, found.reviews_decided) == (1, 1, 2)
    assert (found.passed_decided, found.rejected_decided) == (4, 3)
    assert (found.missed_at_threshold, found.rejects_at_threshold) == (0, 4), "the threshold is 1 in 11"
    assert found.costs.decided == pytest.approx((10 + 1 + 2 * 0.2) / 9)
    assert found.auc == pytest.approx((5 + 4 + 2 + 1) / 20)
    given_to_the_truth = [0.9, 0.5, 0.4, 0.1, 0.2, 0.51, 0.55, 0.8, 1.0]
    assert found.loss == pytest.approx(-sum(map(math.log, given_to_the_truth)) / 9)


def test_reasons_are_counted_by_cause_and_only_of_what_a_person_sees():
    assert review_causes(HAND) == {"between_limits": 2}
    odd = HAND[2]._replace(cause="no_ring")
    assert list(review_causes([odd, *HAND]).items()) == [("between_limits", 2), ("no_ring", 1)]


def test_castings_are_counted_where_they_are_known():
    assert score(HAND, CLASSES, SETTINGS).castings is None
    grouped = [one._replace(group=group) for one, group in zip(HAND, "aabbccddd", strict=True)]
    found = score(grouped, CLASSES, SETTINGS).castings
    assert (found.defective, found.good, found.missed, found.refused) == (2, 2, 1, 1)


def test_a_defect_at_one_half_counts_as_found():
    assert score(make_predictions(("defect", 0.5, "reject")), CLASSES, SETTINGS).missed_defects == 0
    assert score(make_predictions(("good", 0.5, "reject")), CLASSES, SETTINGS).false_rejects == 1


def test_the_defect_is_the_class_that_the_settings_name():
    swapped = Classes(defect=CLASSES.good, good=CLASSES.defect)
    found = score(HAND, swapped, SETTINGS)
    assert (found.defects, found.good) == (5, 4)


def test_what_cannot_be_computed_is_none():
    nothing = score([], CLASSES, SETTINGS)
    assert (nothing.images, nothing.accuracy, nothing.loss, nothing.auc, nothing.escape_rate) == (
        0,
        None,
        None,
        None,
        None,
    )
    good_alone = score(HAND[4:], CLASSES, SETTINGS)
    assert (good_alone.escape_rate, good_alone.escape_rate_interval, good_alone.auc) == (None, None, None)
    assert good_alone.false_reject_rate == 0.2
    defects_alone = score(HAND[:4], CLASSES, SETTINGS)
    assert (defects_alone.false_reject_rate, defects_alone.false_reject_rate_interval) == (None, None)


def test_a_sure_mistake_has_a_finite_loss():
    found = score(make_predictions(("defect", 0.0, "pass"), ("good", 1.0, "reject")), CLASSES, SETTINGS)
    assert found.loss == pytest.approx(-math.log(1e-15))
    assert log_loss(np.array([True]), np.array([1.0])) == 0


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0, 0.1, 0.5, 0.9, 1])), max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order_and_ties_count_half(parts):
    defects = [chance for defect, chance in parts if defect]
    good = [chance for defect, chance in parts if not defect]
    found = auc(np.array([defect for defect, _ in parts], bool), np.array([chance for _, chance in parts], float))
    if not defects or not good:
        assert found is None
        return
    wins = sum(1.0 if one > other else 0.5 if one == other else 0.0 for one in defects for other in good)
    assert found == pytest.approx(wins / (len(defects) * len(good)))
