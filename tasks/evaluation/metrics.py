"""Metrics: what a table of predictions says, with exact intervals. Sums first, one division last."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.bootstrap import casting_intervals
from tasks.evaluation.costs import mean_costs, threshold
from tasks.records.results import Interval, Score
from tasks.settings.settings import Classes, EvaluationSettings


class Prediction(NamedTuple):
    """How one image was judged."""

    path: str
    sha256: str
    split: str
    origin: str
    label: str
    group: str
    """sha256 of the casting's first image; empty where castings are not known."""
    defect_probability: float
    """Calibrated; 0.5 where the network could not see the part."""
    decision: str
    reason: str
    """The cause, and after a colon what there is to say about this image."""


class DecidedCounts(NamedTuple):
    """Predictions as columns, bool (images,)."""

    defect: np.ndarray
    missed: np.ndarray
    """Defects that the most likely class calls good."""
    refused: np.ndarray
    """Good parts that it calls defective."""


def score(predictions: Sequence[Prediction], classes: Classes, settings: EvaluationSettings) -> Score:
    """Counts and rates at the most likely class, beside the counts of the decisions; what cannot be computed is None."""
    defect = np.array([one.label == classes.defect for one in predictions], bool)
    probability = np.array([one.defect_probability for one in predictions], float)
    judged = DecidedCounts(defect, defect & (probability < 0.5), ~defect & (probability >= 0.5))
    missed, rejected = int(judged.missed.sum()), int(judged.refused.sum())
    images, defects, good = len(defect), int(defect.sum()), int((~defect).sum())
    spent = decided_counts(predictions, classes)
    decided = Counter(one.decision for one in predictions)
    limit = threshold(settings)
    return Score(
        images=images,
        loss=float(np.mean(log_loss(defect, probability))) if images else None,
        accuracy=1 - (missed + rejected) / images if images else None,
        defects=defects,
        missed_defects=missed,
        good=good,
        false_rejects=rejected,
        escape_rate=missed / defects if defects else None,
        escape_rate_interval=exact_interval(missed, defects, settings.confidence),
        false_reject_rate=rejected / good if good else None,
        false_reject_rate_interval=exact_interval(rejected, good, settings.confidence),
        auc=auc(defect, probability),
        escapes_decided=spent["escapes"],
        rejects_decided=spent["rejects"],
        passed_decided=decided["pass"],
        rejected_decided=decided["reject"],
        reviews_decided=decided["review"],
        missed_at_threshold=int(np.sum(defect & (probability < limit))),
        rejects_at_threshold=int(np.sum(~defect & (probability >= limit))),
        costs=mean_costs(settings, defects=defects, good=good, **spent),
        castings=casting_intervals([one.group for one in predictions], *judged, settings=settings),
    )


def decided_counts(predictions: Sequence[Prediction], classes: Classes) -> dict[str, int]:
    """What the decisions cost something for: defects passed, good parts rejected, images that go to a person."""
    found = Counter((one.label == classes.defect, one.decision) for one in predictions)
    return {
        "escapes": found[True, "pass"],
        "rejects": found[False, "reject"],
        "reviews": found[True, "review"] + found[False, "review"],
    }


def review_reasons(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Images that go to a person, by cause, the most common first."""
    found = Counter(one.reason.partition(":")[0] for one in predictions if one.decision == "review")
    return dict(found.most_common())


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
