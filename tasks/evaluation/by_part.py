"""By part: how many parts stand behind the counts of judged images, and what those counts show about other parts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.bootstrap import auc_interval, draw_castings, mean_interval
from tasks.evaluation.intervals import effective_parts, rate_bound, rate_interval
from tasks.records.results import Castings, Decided, Interval, Rate
from tasks.records.rows import Prediction
from tasks.settings.settings import EvaluationSettings


class Parts(NamedTuple):
    """Which images show one part."""

    member: np.ndarray
    """int (images,) number of the part of each image."""
    number: int
    known: bool
    """Whether images are grouped by part; otherwise each is a part of its own."""

    def sums(self, column: np.ndarray) -> np.ndarray:
        """Return the sums of a column, (images,), over the images of each part: float (parts,)."""
        return np.bincount(self.member, column, self.number)


def parts_of(predictions: Sequence[Prediction]) -> Parts:
    """Return the parts that the images show. Parts are known where each image has a group."""
    known = bool(predictions) and all(image.group for image in predictions)
    keys = [image.group if known else f"{number}" for number, image in enumerate(predictions)]
    names, member = np.unique(keys, return_inverse=True)
    return Parts(member.astype(int), len(names), known)


def rate(parts: Parts, possible: np.ndarray, happened: np.ndarray, confidence: float) -> Rate:
    """Return how often something happened among the images where it was possible, bool (images,) each, by part."""
    totals, counts = parts.sums(possible), parts.sums(happened)
    counts, totals = counts[totals > 0], totals[totals > 0]
    return Rate(
        count=int(counts.sum()),
        total=int(totals.sum()),
        parts=len(totals),
        parts_with=int(np.sum(counts > 0)),
        effective_parts=effective_parts(counts, totals) if len(totals) else 0.0,
        rate=float(counts.sum() / totals.sum()) if len(totals) else None,
        interval=rate_interval(counts, totals, confidence),
        bound=rate_bound(counts, totals, confidence),
        confidence=confidence,
    )


def decided(parts: Parts, predictions: Sequence[Prediction], defect: np.ndarray, confidence: float) -> Decided:
    """Return what was decided, by part; `defect`, bool (images,), says which images show a defect."""
    decisions = np.array([image.decision for image in predictions], str)
    return Decided(
        escape=rate(parts, defect, defect & (decisions == "pass"), confidence),
        false_reject=rate(parts, ~defect, ~defect & (decisions == "reject"), confidence),
        review=rate(parts, np.ones(len(defect), bool), decisions == "review", confidence),
        by_part=parts.known,
    )


def castings(
    parts: Parts,
    missed: Rate,
    refused: Rate,
    defect: np.ndarray,
    probability: np.ndarray,
    spent: np.ndarray,
    settings: EvaluationSettings,
) -> Castings | None:
    """Return the castings behind the counts at the most likely class, with intervals; None where castings are not known.

    `missed` and `refused` are rates at the most likely class. Columns are (images,): `defect` is bool, `probability` is of a defect, and
    `spent` is the cost of the decision.
    """
    if not parts.known:
        return None
    right = rate(parts, defect | True, defect == (probability >= 0.5), settings.confidence)
    return Castings(
        defective=missed.parts,
        good=refused.parts,
        missed=missed.parts_with,
        refused=refused.parts_with,
        accuracy_interval=right.interval,
        escape_rate_interval=missed.interval,
        false_reject_rate_interval=refused.interval,
        **resampled_intervals(parts, defect, probability, spent, settings),
    )


def resampled_intervals(
    parts: Parts, defect: np.ndarray, probability: np.ndarray, spent: np.ndarray, settings: EvaluationSettings
) -> dict[str, Interval | None]:
    """Return the intervals of the AUC and of the mean cost, by castings that are drawn again and again. Columns as for `castings`."""
    draws = draw_castings(parts.number, settings)
    return {
        "auc_interval": auc_interval(draws, parts.member, defect, probability, settings.confidence),
        "cost_interval": mean_interval(draws, parts.sums(spent), parts.sums(defect | True), settings.confidence),
    }
