"""Calibration: one temperature is fitted, right where the truth is known, and sane where nothing was wrong."""

import math

import numpy as np
import pytest
from scipy.special import expit

from tasks.inference.calibration import BOUNDS, PRIOR, probability, temperature


def draw_margins(images: int, true: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Margins that are too sure by the factor `true`, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, images)
    return true * logits, rng.random(images) < expit(logits)


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(true):
    assert temperature(*draw_margins(5_000, true)) == pytest.approx(true, rel=0.1)


def test_few_images_hardly_move_it():
    assert 0.8 < temperature(*draw_margins(5, 0.3)) < 1.25


def test_without_a_mistake_it_stays_well_above_0():
    margins = np.array([6.0] * 300 + [-6.0] * 300)
    assert 0.4 < temperature(margins, margins > 0) < 1


def test_a_network_that_is_always_wrong_stops_at_the_bound():
    margins = np.array([500.0, -500.0] * 100)
    assert temperature(margins, margins < 0) == pytest.approx(BOUNDS[1], rel=0.01)


def test_without_validation_the_networks_own_probabilities_hold():
    assert temperature(np.empty(0), np.empty(0, bool)) == 1


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
        return 600 * np.logaddexp(0, -6 / math.exp(logarithm)) + (logarithm / PRIOR) ** 2 / 2

    found = math.log(temperature(margins, margins > 0))
    assert loss(found) < min(loss(found - 0.01), loss(found + 0.01))
