"""By part: parts are counted as by hand, and a part of many photographs counts once."""

import numpy as np
import pytest
from gates import make_prediction

from tasks.evaluation.by_part import castings, decided, parts_of, rate
from tasks.records.rows import Prediction
from tasks.settings.settings import EvaluationSettings

SETTINGS = EvaluationSettings()


def judge(*images: tuple[str, str, str]) -> list[Prediction]:
    """Predictions of (part, label, decision)."""
    return [make_prediction(decision, label, part) for part, label, decision in images]


IMAGES = judge(
    ("a", "def_front", "pass"), ("a", "def_front", "reject"), ("b", "def_front", "reject"),
    ("c", "ok_front", "reject"), ("c", "ok_front", "review"), ("d", "ok_front", "pass"),
)  # fmt: skip
DEFECT = np.array([image.label == "def_front" for image in IMAGES])


def test_what_was_decided_is_counted_by_image_and_by_part():
    found = decided(parts_of(IMAGES), IMAGES, DEFECT, 0.95)
    assert found.by_part
    assert [(one.count, one.total, one.parts_with, one.parts) for one in (found.escape, found.false_reject, found.review)] == [
        (1, 3, 1, 2), (1, 3, 1, 2), (1, 6, 1, 4)
    ]  # fmt: skip
    assert found.escape.rate == pytest.approx(1 / 3)
    assert found.escape.interval.low < 1 / 3 < found.escape.bound < found.escape.interval.high


def test_images_without_a_part_are_parts_of_their_own():
    without = [image._replace(group="") for image in IMAGES]
    found = decided(parts_of(without), without, DEFECT, 0.95)
    assert not found.by_part
    assert (found.escape.parts, found.escape.parts_with, found.escape.effective_parts) == (3, 1, 3)
    parts = parts_of(without)
    nothing = rate(parts, DEFECT, DEFECT & False, 0.95)
    assert castings(parts, nothing, nothing, DEFECT, np.zeros(6), np.zeros(6), SETTINGS) is None


def test_no_image_is_no_rate():
    found = decided(parts_of([]), [], np.zeros(0, bool), 0.95)
    assert (found.escape.parts, found.escape.rate, found.escape.interval, found.escape.bound) == (0, None, None, None)


def test_castings_stand_behind_each_count():
    parts, probability = parts_of(IMAGES), np.array([0.1, 0.9, 0.9, 0.8, 0.2, 0.1])
    missed = rate(parts, DEFECT, DEFECT & (probability < 0.5), 0.95)
    refused = rate(parts, ~DEFECT, ~DEFECT & (probability >= 0.5), 0.95)
    found = castings(parts, missed, refused, DEFECT, probability, np.array([10, 0, 0, 1, 0.2, 0]), SETTINGS)
    assert (found.defective, found.missed, found.good, found.refused) == (2, 1, 2, 1)
    assert found.escape_rate_interval == missed.interval
    assert found.accuracy_interval.low < 4 / 6 < found.accuracy_interval.high
    assert found.auc_interval.low < 1
    assert found.cost_interval.low < 11.2 / 6 < found.cost_interval.high
