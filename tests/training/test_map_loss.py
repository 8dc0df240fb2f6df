"""Map loss: places with a defect should have a high logit, sound ones a low one, and unknown ones cost nothing."""

import numpy as np
import pytest

from tasks.images.marks import DEFECT, UNKNOWN

pytestmark = pytest.mark.usefixtures("tensorflow")


def loss(marks: np.ndarray, local: np.ndarray) -> np.ndarray:
    from tasks.training.map_loss import map_loss

    return np.asarray(map_loss(marks.astype(np.float32)[None], local.astype(np.float32)[None]))


def test_a_map_that_agrees_with_the_marks_costs_least():
    marks, local = np.zeros((16, 24)), np.full((2, 3), -5.0)
    marks[3, 9] = DEFECT  # a single pixel marks its place
    local[0, 1] = 5
    right = loss(marks, local)
    for place in ((0, 1), (1, 2)):
        wrong = local.copy()
        wrong[place] *= -1
        assert loss(marks, wrong) > right + 0.5


def test_a_place_of_a_defect_counts_as_five_sound_ones():
    marks, even = np.zeros((16, 24)), np.zeros((2, 3))
    sound = loss(marks, even)
    marks[:8, :8] = DEFECT
    assert loss(marks, even) / sound == pytest.approx((5 + 5) / 6, rel=1e-5)


def test_what_is_not_known_costs_nothing():
    local = np.random.default_rng(0).normal(size=(2, 3))
    assert loss(np.full((16, 24), UNKNOWN), local) == 0


def test_each_image_has_its_own_loss():
    from tasks.training.map_loss import map_loss

    marks = np.stack([np.zeros((16, 24)), np.full((16, 24), DEFECT)]).astype(np.float32)
    costs = np.asarray(map_loss(marks, np.full((2, 2, 3), 4.0, np.float32)))
    assert costs.shape == (2,)
    assert costs[0] > costs[1]
