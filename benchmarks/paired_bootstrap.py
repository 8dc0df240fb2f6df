"""Paired bootstrap: does one method tell defective from good parts better than another, beyond the parts that happened to be judged?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.bootstrap import draw_castings, middle_interval, resampled_aucs
from tasks.evaluation.metrics import auc
from tasks.settings.settings import EvaluationSettings


class JudgedParts(NamedTuple):
    """The images that both methods judged for one seed."""

    part: np.ndarray
    """str (images,), the name of the part that an image shows."""
    defect: np.ndarray
    """bool (images,)."""


def compare_aucs(
    tests: Sequence[JudgedParts],
    scores: Sequence[np.ndarray],
    other_scores: Sequence[np.ndarray],
    settings: EvaluationSettings,
) -> dict:
    """Return the mean difference in AUC over the seeds, its interval, and whether it shows that the first method is better.

    Parts are drawn, not images, since photographs of one part are no new evidence. A part is drawn equally often for both methods and for
    all seeds. The interval is about other parts; it takes the trainings as they are.

    Args:
        tests: What was judged, for each seed.
        scores: float (images,) of the first method, for each seed; the greater, the likelier a defect.
        other_scores: The same of the other method.
        settings: How many draws, from which seed, and the confidence.
    """
    names = np.unique(np.concatenate([test.part for test in tests]))
    draws = draw_castings(len(names), settings)
    differences = np.stack([
        drawn_aucs(draws, np.searchsorted(names, test.part), test.defect, first)
        - drawn_aucs(draws, np.searchsorted(names, test.part), test.defect, second)
        for test, first, second in zip(tests, scores, other_scores, strict=True)
    ])  # fmt: skip
    drawn = differences[:, ~np.isnan(differences).all(axis=0)]
    interval = middle_interval(np.nanmean(drawn, axis=0), settings.confidence)
    return {
        "difference": mean_auc(tests, scores) - mean_auc(tests, other_scores),
        "interval": [interval.low, interval.high] if interval else None,
        "parts": len(names),
        "shown": bool(interval and interval.low > 0),
    }


def drawn_aucs(draws: np.ndarray, part: np.ndarray, defect: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the AUC of each draw, float (draws,); NaN where a draw lacks a class.

    `draws` int (draws, parts) is how often each part is drawn, `part` int (images,) the number of the part of each image.
    """
    both = ((draws[:, part[defect]] > 0).any(axis=1)) & ((draws[:, part[~defect]] > 0).any(axis=1))
    aucs = np.full(len(draws), np.nan)
    aucs[both] = np.concatenate([*resampled_aucs(draws[both], part, defect, score)]) if both.any() else []
    return aucs


def mean_auc(tests: Sequence[JudgedParts], scores: Sequence[np.ndarray]) -> float:
    """Return the mean AUC over the seeds."""
    return float(np.mean([known_auc(test.defect, values) for test, values in zip(tests, scores, strict=True)]))


def known_auc(defect: np.ndarray, score: np.ndarray) -> float:
    """Return the AUC. Raises ValueError where a class is missing, since there is none then."""
    value = auc(defect, score)
    if value is None:
        raise ValueError("a test without defective or without good parts has no AUC")
    return value
