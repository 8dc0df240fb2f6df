"""Metrics: counts, rates and costs of a table of predictions, with exact intervals. Sums come first, one division last."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tasks.evaluation.bootstrap import casting_intervals
from tasks.evaluation.costs import mean_costs, threshold
from tasks.records.results import Interval, Score
from tasks.records.rows import Cause, Prediction
from tasks.settings.settings import Classes, EvaluationSettings

COSTLY = ("escapes", "rejects", "reviews")  # decisions


def score(predictions: Sequence[Prediction], classes: Classes, settings: EvaluationSettings) -> Score:
    """Compute counts and rates at the most likely class, and of the decisions. A figure that cannot be computed is None."""
    defect = np.array([prediction.label == classes.defect for prediction in predictions], bool)
    probability = np.array([prediction.defect_probability for prediction in predictions], float)
    is_missed, is_refused = defect & (probability < 0.5), ~defect & (probability >= 0.5)  # at the most likely class
    missed, refused = int(is_missed.sum()), int(is_refused.sum())
    images, defects, good = len(defect), int(defect.sum()), int((~defect).sum())
    decided = decided_counts(predictions, classes)
    limit = threshold(settings)
    return Score(
        images=images,
        loss=float(np.mean(log_loss(defect, probability))) if images else None,
        accuracy=1 - (missed + refused) / images if images else None,
        defects=defects,
        missed_defects=missed,
        good=good,
        false_rejects=refused,
        escape_rate=missed / defects if defects else None,
        escape_rate_interval=exact_interval(missed, defects, settings.confidence),
        false_reject_rate=refused / good if good else None,
        false_reject_rate_interval=exact_interval(refused, good, settings.confidence),
        auc=auc(defect, probability),
        **{f"{name}_decided": count for name, count in decided.items()},
        missed_at_threshold=int(np.sum(defect & (probability < limit))),
        rejects_at_threshold=int(np.sum(~defect & (probability >= limit))),
        costs=mean_costs(settings, defects=defects, good=good, **{name: decided[name] for name in COSTLY}),
        castings=casting_intervals(
            [image.group for image in predictions], defect, is_missed, is_refused, settings=settings
        ),
    )


def decided_counts(predictions: Sequence[Prediction], classes: Classes) -> dict[str, int]:
    """Count the decisions: defects passed, good parts rejected, and images that pass, are rejected and go to a person."""
    counts = Counter((prediction.label == classes.defect, prediction.decision) for prediction in predictions)
    return {
        "escapes": counts[True, "pass"],
        "rejects": counts[False, "reject"],
        "passed": counts[True, "pass"] + counts[False, "pass"],
        "rejected": counts[True, "reject"] + counts[False, "reject"],
        "reviews": counts[True, "review"] + counts[False, "review"],
    }


def review_causes(predictions: Sequence[Prediction]) -> dict[Cause, int]:
    """Count the images that go to a person, by cause, the most common first."""
    counts = Counter(prediction.cause for prediction in predictions if prediction.decision == "review")
    return dict(counts.most_common())


def log_loss(defect: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Compute the negative log of the probability given to the true class, in nat; never infinite."""
    return -np.log(np.clip(np.where(defect, probability, 1 - probability), 1e-15, 1))


def exact_interval(count: int, total: int, confidence: float) -> Interval | None:
    """Return the Clopper-Pearson interval of a share (exact binomial); None where the total is 0."""
    if not total:
        return None
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    low, high = stats.binomtest(count, total).proportion_ci(confidence_level=confidence, method="exact")
    return Interval(low=float(low), high=float(high))


def auc(defect: np.ndarray, probability: np.ndarray) -> float | None:
    """Compute the chance that a defective part gets a higher probability than a good one; ties count half (Mann-Whitney).

    None where a class is missing.
    """
    positives, negatives = int(defect.sum()), int((~defect).sum())
    if not positives or not negatives:
        return None
    from scipy import stats

    rank_sum = stats.mannwhitneyu(probability[defect], probability[~defect], method="asymptotic").statistic
    return float(rank_sum / (positives * negatives))
