"""Bootstrap: intervals of the AUC and the cost move with the castings, and there is none where nothing can move."""

import numpy as np
import pytest

from tasks.evaluation.bootstrap import CHUNK, auc_interval, draw_castings, mean_interval, resampled_aucs
from tasks.evaluation.metrics import auc
from tasks.settings.settings import EvaluationSettings

SETTINGS = EvaluationSettings()


def test_costs_of_one_casting_move_the_mean_further_than_scattered_ones():
    draws, images = draw_castings(20, SETTINGS), np.full(20, 10)
    wide = mean_interval(draws, np.array([10.0] + [0.0] * 19), images, 0.95)
    narrow = mean_interval(draws, np.array([1.0, 0.0] * 10), images, 0.95)
    assert wide.low == 0 < narrow.low < 0.05 < narrow.high < wide.high


def test_where_no_draw_differs_there_is_no_interval():
    draws = draw_castings(8, SETTINGS)
    assert mean_interval(draws, np.zeros(8), np.full(8, 5), 0.95) is None
    assert mean_interval(draws, np.zeros(8), np.zeros(8), 0.95) is None
    defect = np.arange(8) < 4
    assert auc_interval(draws, np.arange(8), defect, defect * 0.9, 0.95) is None, "perfect in each draw shows nothing"
    assert auc_interval(draws, np.arange(8), np.ones(8, bool), defect * 0.9, 0.95) is None, "there is one class"


def test_a_resampled_auc_is_that_of_the_images_drawn():
    rng = np.random.default_rng(0)
    casting, defect = np.repeat(np.arange(10), 6), np.repeat(np.arange(10) % 2 == 0, 6)
    probability = np.round(rng.uniform(size=60), 1)
    draws = draw_castings(10, EvaluationSettings(resamples=CHUNK + 70))
    expected = [
        auc(defect[images], probability[images])
        for draw in draws
        for images in [
            np.concatenate([np.repeat(np.flatnonzero(casting == one), times) for one, times in enumerate(draw)])
        ]
    ]
    found = np.concatenate([*resampled_aucs(draws, casting, defect, probability)])
    assert found == pytest.approx([value for value in expected if value is not None])


def test_equal_seeds_draw_equal_castings():
    assert np.array_equal(draw_castings(10, SETTINGS), draw_castings(10, SETTINGS))
    assert not np.array_equal(draw_castings(10, SETTINGS), draw_castings(10, EvaluationSettings(seed=1)))
    assert (draw_castings(10, SETTINGS).sum(axis=1) == 10).all()
