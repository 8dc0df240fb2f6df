"""Metrics: counts, rates and costs of a table of predictions, with intervals by part. Sums come first, one division last."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tasks.evaluation import by_part
from tasks.evaluation.costs import cost, mean_costs, threshold
from tasks.records.results import Score
from tasks.records.rows import Cause, Prediction
from tasks.settings.settings import Classes, EvaluationSettings

COSTLY = ("escapes", "rejects", "reviews")  # decisions


def score(
    predictions: Sequence[Prediction], classes: Classes, settings: EvaluationSettings, limit: float | None = None
) -> Score:
    """Compute counts and rates at the most likely class, and of the decisions. A figure that cannot be computed is None.

    `limit` is the probability from which on parts would be rejected if nobody looked; None: as costs say.
    """
    defect = np.array([prediction.label == classes.defect for prediction in predictions], bool)
    probability = np.array([prediction.defect_probability for prediction in predictions], float)
    images, defects, good, parts = len(defect), int(defect.sum()), int((~defect).sum()), by_part.parts_of(predictions)
    missed = by_part.rate(parts, defect, defect & (probability < 0.5), settings.confidence)  # at the most likely class
    refused = by_part.rate(parts, ~defect, ~defect & (probability >= 0.5), settings.confidence)
    decided = decided_counts(predictions, classes)
    limit = threshold(settings) if limit is None else limit
    spent = np.array([cost(prediction, classes, settings) for prediction in predictions], float)
    return Score(
        images=images,
        loss=float(np.mean(log_loss(defect, probability))) if images else None,
        accuracy=1 - (missed.count + refused.count) / images if images else None,
        defects=defects,
        missed_defects=missed.count,
        good=good,
        false_rejects=refused.count,
        escape_rate=missed.rate,
        escape_rate_interval=missed.interval,
        false_reject_rate=refused.rate,
        false_reject_rate_interval=refused.interval,
        auc=auc(defect, probability),
        **{f"{name}_decided": count for name, count in decided.items()},
        missed_at_threshold=int(np.sum(defect & (probability < limit))),
        rejects_at_threshold=int(np.sum(~defect & (probability >= limit))),
        costs=mean_costs(settings, defects=defects, good=good, **{name: decided[name] for name in COSTLY}),
        castings=by_part.castings(parts, missed, refused, defect, probability, spent, settings),
        decided=by_part.decided(parts, predictions, defect, settings.confidence),
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
