"""Workload: fewer looks go where they save most, and the table says what they would cost."""

import numpy as np
import pytest
from gates import make_prediction

from tasks.inference.decision import DecisionRule
from tasks.inference.rule_fitting import weigh_calibration
from tasks.inference.workload import count_decisions, with_capacity, workloads
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings

CLASSES, SETTINGS = Classes(), EvaluationSettings()
RULE = DecisionRule(
    classes=CLASSES, model="compact", network_sha256="", view="raw", image_size=75, threshold=1 / 11, review_band=(0.02, 0.8)
)  # fmt: skip


def judged(images: int, seed: int = 0, strange: int = 0) -> list[Prediction]:
    """Images with calibrated probabilities of a defect, decided by the rule; some go to a person whatever theirs is."""
    rng = np.random.default_rng(seed)
    chances = rng.beta(0.5, 0.8, images)
    labels = np.where(rng.random(images) < chances, CLASSES.defect, CLASSES.good)
    predictions = []
    for number, (chance, label) in enumerate(zip(chances.tolist(), labels.tolist(), strict=True)):
        decision = RULE.decide_by_probability(chance)
        name, cause = ("review", "unlike_training") if number < strange else (decision.name, decision.cause)
        predictions.append(
            make_prediction(name, label, f"part {number}")._replace(defect_probability=chance, cause=cause)
        )
    return predictions


@pytest.mark.parametrize("strange", [0, 30])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_no_more_images_go_to_a_person_than_the_share(share, strange):
    unseen = judged(300, strange=strange)
    rule = with_capacity(RULE, unseen, share, SETTINGS)
    assert count_decisions(rule, unseen, share).reviews <= max(share * 300, strange)


def test_the_table_ends_where_costs_alone_decide():
    unseen, test = judged(400, 1), judged(400, 2)
    rows = list(workloads(RULE, unseen, test, SETTINGS))
    free = count_decisions(RULE, test, 1.0)
    assert [row.share for row in rows] == [share for share in (0.0, 0.05, 0.1, 0.25, 0.5) if share < free.reviews / 400]
    assert [row.reviews for row in rows] == sorted(row.reviews for row in rows)
    wrong = [row.escapes * SETTINGS.escape_cost + row.rejects for row in rows]
    assert wrong[0] > wrong[-1], "looks spare mistakes"


def test_the_counts_are_those_of_the_rule_that_is_in_use():
    test = judged(200, 3, strange=20)
    counted = count_decisions(RULE, test, 1.0)
    assert counted.reviews == sum(image.decision == "review" for image in test)
    assert counted.escapes == sum(image.decision == "pass" and image.label == CLASSES.defect for image in test)
    assert counted.rejects == sum(image.decision == "reject" and image.label == CLASSES.good for image in test)


def test_the_fewer_parts_the_temperature_rests_on_the_more_it_may_change():
    test = judged(400, 4)
    few, many = (weigh_calibration(RULE, judged(images, 5), test, count_parts=True) for images in (10, 1_000))
    assert (few.parts, many.parts) == (10, 1_000)
    assert few.high / few.low > many.high / many.low
    assert few.changed > many.changed > 0


def test_certain_probabilities_have_a_temperature_too():
    unseen = [
        image._replace(defect_probability=chance, decision=RULE.decide_by_probability(chance).name)
        for image in judged(20, 6)
        for chance in [float(image.label == CLASSES.defect)]
    ]
    weighed = weigh_calibration(RULE, unseen, unseen, count_parts=True)
    assert 0 < weighed.low < weighed.high < np.inf and weighed.changed == 0
