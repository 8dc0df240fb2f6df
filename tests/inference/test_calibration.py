"""Calibration: one temperature is fitted, right where the truth is known, and sane where nothing was wrong."""

import math

import numpy as np
import pytest
from scipy.special import expit

from tasks.inference.calibration import (
    BOUNDS,
    PRIOR,
    USUAL,
    WRONG_LABELS,
    probability,
    temperature,
    temperature_interval,
)


def draw_margins(images: int, true: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Margins that are too sure by the factor `true`, and labels, as many of them wrong as the fit allows for."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, images)
    return true * logits, (rng.random(images) < expit(logits)) != (rng.random(images) < WRONG_LABELS)


def each_its_own(margins: np.ndarray) -> list[str]:
    """A part for each image."""
    return [f"part {number}" for number in range(len(margins))]


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(true):
    margins, defect = draw_margins(5_000, true)
    assert temperature(margins, defect, each_its_own(margins)) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_of_many_parts_each_image_counts_as_it_is_labeled(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 5_000)
    assert temperature(true * logits, rng.random(5_000) < expit(logits)) == pytest.approx(true, rel=0.1)


def test_few_images_hardly_move_it():
    margins, defect = draw_margins(5, 0.3)
    assert temperature(margins, defect, each_its_own(margins)) == pytest.approx(USUAL, rel=0.25)


def test_many_photographs_of_few_parts_hardly_move_it():
    margins, defect = draw_margins(5_000, 4.0)
    assert temperature(margins, defect, ["a", "b"] * 2_500) < 1.5 * USUAL


def test_a_part_with_wrong_labels_moves_it_as_little_as_its_images_are_many():
    margins, defect = draw_margins(400, 1.0)
    parts = each_its_own(margins)
    several = temperature(np.append(margins, [-4.0] * 100), np.append(defect, [True] * 100), [*parts, *["wrong"] * 100])
    one = temperature(np.append(margins, -4.0), np.append(defect, True), [*parts, "wrong"])
    assert several == pytest.approx(one, rel=1e-4)


def test_a_few_wrong_labels_hardly_move_it():
    margins = np.array([6.0] * 100 + [-6.0] * 100)
    defect = margins > 0
    defect[:2] = False
    right, wrong = (temperature(margins, labels, each_its_own(margins)) for labels in (margins > 0, defect))
    assert wrong < 1.25 * right


def test_without_a_mistake_it_stays_well_above_0():
    margins = np.array([6.0] * 300 + [-6.0] * 300)
    assert 0.2 < temperature(margins, margins > 0, each_its_own(margins)) < USUAL


def test_a_network_that_is_always_wrong_stops_at_the_bound():
    margins = np.array([5.0, -5.0] * 100)
    assert temperature(margins, margins < 0, each_its_own(margins)) == pytest.approx(BOUNDS[1], rel=0.01)


def test_without_validation_the_usual_temperature_holds():
    assert temperature(np.empty(0), np.empty(0, bool), []) == USUAL


def test_probabilities_are_those_of_the_softmax_and_never_overflow():
    logits = np.array([1.5, -0.5])
    softmax = math.exp(-0.5) / (math.exp(1.5) + math.exp(-0.5))
    assert probability(logits[1] - logits[0], 1.0) == pytest.approx(softmax)
    assert probability(np.array([-1e6, 0.0, 1e6]), 0.5).tolist() == [0, 0.5, 1]


def test_no_temperature_changes_the_likelier_class():
    margins = np.linspace(-3, 3, 7)
    for warmth in BOUNDS:
        assert ((probability(margins, warmth) >= 0.5) == (margins >= 0)).all()


def test_a_probability_has_full_precision_whatever_the_margins_have():
    assert probability(np.array([3.0], np.float32), 2.0).dtype == np.float64


def test_the_prior_is_a_normal_one_of_the_logarithm():
    margins = np.array([6.0] * 300 + [-6.0] * 300)

    def loss(logarithm: float) -> float:
        likelihood = WRONG_LABELS + (1 - 2 * WRONG_LABELS) * expit(6 / math.exp(logarithm))
        return -600 * math.log(likelihood) + ((logarithm - math.log(USUAL)) / PRIOR) ** 2 / 2

    found = math.log(temperature(margins, margins > 0, each_its_own(margins)))
    assert loss(found) < min(loss(found - 0.01), loss(found + 0.01))


def test_the_interval_holds_the_right_temperature_about_nine_times_in_ten():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        true = USUAL * math.exp(PRIOR * rng.normal())  # as the prior says
        logits = rng.normal(0, 2, 60)
        margins, defect = true * logits, rng.random(60) < expit(logits)
        low, high = temperature_interval(temperature(margins, defect), margins, defect)
        held += low <= true <= high
    assert 165 <= held <= 195


def test_more_parts_make_the_interval_narrower():
    widths = []
    for images in (10, 100, 1_000):
        margins, defect = draw_margins(images, 1.0)
        parts = each_its_own(margins)
        low, high = temperature_interval(temperature(margins, defect, parts), margins, defect, parts)
        widths.append(math.log(high / low))
    assert widths[0] > 1.2 * widths[1] > 1.44 * widths[2]


def test_without_images_the_interval_is_that_of_the_prior():
    low, high = temperature_interval(USUAL, np.array([]), np.array([], bool), [])
    assert math.log(high / low) == pytest.approx(2 * 1.645 * PRIOR, rel=0.01)
