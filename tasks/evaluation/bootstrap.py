"""Bootstrap: how far an AUC, a cost or a difference would move with other castings, drawn again and again from those at hand.

Not for rates: where no casting fails, no draw fails either, and the interval is a point. `intervals` has those.
"""

from collections.abc import Iterator

import numpy as np

from tasks.records.results import Interval
from tasks.settings.settings import EvaluationSettings

CHUNK = 50  # draws in memory at a time, with a weight for each image


def draw_castings(castings: int, settings: EvaluationSettings) -> np.ndarray:
    """Return how often each casting is drawn: int (resamples, castings). Each resample draws as many castings as there are."""
    shares = np.full(castings, 1 / castings)
    return np.random.default_rng(settings.seed).multinomial(castings, shares, size=settings.resamples)


def mean_interval(draws: np.ndarray, sums: np.ndarray, totals: np.ndarray, confidence: float) -> Interval | None:
    """Return the interval of a mean over images; None where `totals` sum to zero, or where no draw differs from another.

    Args:
        draws: int (resamples, castings). Draws that hit no casting with a total are left out.
        sums: (castings,) sum over the images of each casting.
        totals: (castings,) images of each casting.
        confidence: Share of the resampled means that the interval holds, the middle ones.
    """
    if not totals.sum():
        return None
    weights = draws @ totals
    return middle_interval((draws @ sums)[weights > 0] / weights[weights > 0], confidence)


def auc_interval(
    draws: np.ndarray, casting: np.ndarray, defect: np.ndarray, probability: np.ndarray, confidence: float
) -> Interval | None:
    """Return the interval of the AUC; None where no draw has both classes, or where no draw differs from another.

    Args:
        draws: int (resamples, castings).
        casting: int (images,) number of the casting of each image.
        defect: bool (images,).
        probability: float (images,) of a defect.
        confidence: Share of the resampled AUCs that the interval holds, the middle ones.
    """
    return middle_interval(np.concatenate([*resampled_aucs(draws, casting, defect, probability)]), confidence)


def resampled_aucs(
    draws: np.ndarray, casting: np.ndarray, defect: np.ndarray, probability: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the AUCs of the draws that have both classes, some draws at a time. Ties count half (Mann-Whitney)."""
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.diff(probability[order], prepend=-np.inf))  # of the images of each distinct probability
    for start in range(0, len(draws), CHUNK):
        weights = draws[start : start + CHUNK, casting[order]].astype(float)
        defects = np.add.reduceat(weights * defect[order], starts, axis=1)
        goods = np.add.reduceat(weights * ~defect[order], starts, axis=1)
        wins = np.sum(defects * (np.cumsum(goods, axis=1) - goods / 2), axis=1)
        pairs = defects.sum(axis=1) * goods.sum(axis=1)
        yield wins[pairs > 0] / pairs[pairs > 0]


def middle_interval(values: np.ndarray, confidence: float) -> Interval | None:
    """Return the interval that holds the middle share, `confidence`, of the values; None where all are equal, which shows nothing."""
    if not len(values) or np.ptp(values) < 1e-12:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))
