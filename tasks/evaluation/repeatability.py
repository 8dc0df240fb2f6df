"""Repeatability: whether the model decides alike on several photographs of one part. A run's predictions say so, without any person."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tasks.evaluation.agreement import RATE_WIDTH, Estimate, parts_missing
from tasks.evaluation.intervals import rate_interval
from tasks.records.results import Interval
from tasks.records.rows import Prediction


class Repeatability(NamedTuple):
    """Parts with several photographs, and on how many of them the decision stays the same."""

    parts: int
    photographs: int
    same: int
    """Parts on whose photographs the decision is the same."""
    opposite: int
    """Parts of which one photograph passes and another one is rejected."""
    share: Estimate
    """Of parts with the same decision; the interval is exact, over parts."""


def decision_repeatability(predictions: Iterable[Prediction], confidence: float) -> Repeatability | None:
    """Return how the decision repeats over different photographs of one part; None where no part is known to have two."""
    decisions = defaultdict[str, dict[str, str]](dict)
    for row in predictions:
        if row.group:
            decisions[row.group][row.sha256] = row.decision
    several = [list(by_photograph.values()) for by_photograph in decisions.values() if len(by_photograph) > 1]
    if not several:
        return None
    changed = np.array([len(set(answers)) > 1 for answers in several])
    wrong = rate_interval(changed.astype(float), np.ones(len(several)), confidence)
    interval = Interval(1 - wrong.high, 1 - wrong.low) if wrong else None
    return Repeatability(
        parts=len(several),
        photographs=sum(map(len, several)),
        same=int(np.sum(~changed)),
        opposite=sum({"pass", "reject"} <= set(answers) for answers in several),
        share=Estimate(float(np.mean(~changed)), interval, parts_missing(interval, len(several), RATE_WIDTH)),
    )
