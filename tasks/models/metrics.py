"""Metrics: what a table of predictions says, with exact intervals. Sums first, one division last."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.runs.config import Classes
from tasks.runs.records import Interval, Score


class Prediction(NamedTuple):
    """How one image was judged."""

    path: str
    sha256: str
    split: str
    origin: str
    label: str
    defect_probability: float
    decision: str


def score(predictions: Sequence[Prediction], classes: Classes, confidence: float) -> Score:
    """Counts and rates at the most likely class, beside the counts of the decisions; what cannot be computed is None."""
    defect = np.array([one.label == classes.defect for one in predictions], bool)
    probability = np.array([one.defect_probability for one in predictions], float)
    decided = np.array([one.decision for one in predictions])
    called = probability >= 0.5
    missed, rejected = int(np.sum(defect & ~called)), int(np.sum(~defect & called))
    images, defects, good = len(defect), int(defect.sum()), int((~defect).sum())
    return Score(
        images=images,
        loss=float(np.mean(log_loss(defect, probability))) if images else None,
        accuracy=1 - (missed + rejected) / images if images else None,
        defects=defects,
        missed_defects=missed,
        good=good,
        false_rejects=rejected,
        escape_rate=missed / defects if defects else None,
        escape_rate_interval=exact_interval(missed, defects, confidence),
        false_reject_rate=rejected / good if good else None,
        false_reject_rate_interval=exact_interval(rejected, good, confidence),
        auc=auc(defect, probability),
        escapes_decided=int(np.sum(defect & (decided == "pass"))),
        rejects_decided=int(np.sum(~defect & (decided == "reject"))),
        reviews_decided=int(np.sum(decided == "review")),
    )


def log_loss(defect: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Negative log of the probability given to the true class, nat; never infinite."""
    return -np.log(np.clip(np.where(defect, probability, 1 - probability), 1e-15, 1))


def exact_interval(count: int, total: int, confidence: float) -> Interval | None:
    """The Clopper-Pearson interval of a share (exact binomial)."""
    if not total:
        return None
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    low, high = stats.binomtest(count, total).proportion_ci(confidence_level=confidence, method="exact")
    return Interval(low=float(low), high=float(high))


def auc(defect: np.ndarray, probability: np.ndarray) -> float | None:
    """Chance that a defective part gets a higher probability than a good one; ties count half (Mann-Whitney)."""
    positives, negatives = int(defect.sum()), int((~defect).sum())
    if not positives or not negatives:
        return None
    from scipy import stats

    rank_sum = stats.mannwhitneyu(probability[defect], probability[~defect], method="asymptotic")
    return float(rank_sum.statistic / (positives * negatives))
