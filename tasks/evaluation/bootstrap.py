"""Bootstrap: how far a figure would move with other castings, since images of a casting are right or wrong together."""

from collections.abc import Sequence

import numpy as np

from tasks.records.results import Castings, Interval
from tasks.settings.settings import EvaluationSettings


def casting_intervals(
    groups: Sequence[str], defect: np.ndarray, missed: np.ndarray, refused: np.ndarray, *, settings: EvaluationSettings
) -> Castings | None:
    """Return the number of castings behind each count, and the intervals; None where castings are not known.

    Args:
        groups: Casting of each image.
        defect: bool (images,): the image shows a defect.
        missed: bool (images,): a defect that is called good.
        refused: bool (images,): a good part that is called defective.
        settings: Confidence, resamples and seed.
    """
    if not all(groups) or not len(groups):
        return None
    names, member = np.unique(np.array(groups), return_inverse=True)
    columns = (np.ones(len(defect)), defect, ~defect, missed, refused)
    images, defects, good, misses, refusals = (np.bincount(member, column, len(names)) for column in columns)
    draws = resample(len(names), settings)
    return Castings(
        defective=int(np.sum(defects > 0)),
        good=int(np.sum(good > 0)),
        missed=int(np.sum(misses > 0)),
        refused=int(np.sum(refusals > 0)),
        accuracy_interval=interval(draws, images - misses - refusals, images, settings.confidence),
        escape_rate_interval=interval(draws, misses, defects, settings.confidence),
        false_reject_rate_interval=interval(draws, refusals, good, settings.confidence),
    )


def resample(castings: int, settings: EvaluationSettings) -> np.ndarray:
    """Return how often each casting is drawn: int (resamples, castings). Each resample draws as many castings as there are."""
    shares = np.full(castings, 1 / castings)
    return np.random.default_rng(settings.seed).multinomial(castings, shares, size=settings.resamples)


def interval(draws: np.ndarray, counts: np.ndarray, totals: np.ndarray, confidence: float) -> Interval | None:
    """Return the interval that holds the middle share, `confidence`, of the resampled rates; None where `totals` sum to zero.

    Draws are (resamples, castings); counts and totals (castings,). Draws that hit no casting with a total are left out.
    """
    if not totals.sum():
        return None
    sums = draws @ totals
    rates = (draws @ counts)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))
