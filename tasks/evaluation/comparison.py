"""Duels: how two models compare by what their decisions cost on the same images, casting by casting."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.evaluation.costs import cost
from tasks.evaluation.metrics import Prediction
from tasks.settings.settings import Classes, EvaluationSettings

if TYPE_CHECKING:
    import numpy as np

FLIPS = 1_999  # of signs: of up to 10 castings all are tried


class Pair(NamedTuple):
    """Two judgements of the same image."""

    candidate: Prediction
    champion: Prediction


class PairedComparison(NamedTuple):
    """How two models compare by what their decisions cost on the same images."""

    images: int
    castings: int | None
    """Behind the images; None where castings are not known, and each image counts for itself."""
    cheaper: int
    """Castings, or images, on which the candidate costs less."""
    dearer: int
    candidate_cost: float
    """Mean of an image."""
    champion_cost: float
    p: float
    """Chance of a split at least as uneven, were the two equally good (McNemar's exact test, two-sided)."""
    p_dearer: float
    """Chance of costing so much more in all, were each casting's difference as likely the other way (sign flips, one-sided)."""

    def told(self) -> str:
        unit = "images" if self.castings is None else "castings"
        dearer = f" (p = {self.p_dearer:.2g} of so much more)" if self.candidate_cost > self.champion_cost else ""
        return (
            f"costs less on {self.cheaper} {unit} and more on {self.dearer} (p = {self.p:.2g}), "
            f"{self.candidate_cost:.3f} an image instead of {self.champion_cost:.3f}{dearer}"
        )

    def better(self, significance: float) -> bool:
        return self.candidate_cost < self.champion_cost and self.cheaper > self.dearer and self.p < significance

    def worse(self, significance: float) -> bool:
        """By how many castings, or by how much: a few escapes are worse than many spared looks are good."""
        if self.candidate_cost <= self.champion_cost:
            return False
        return (self.dearer > self.cheaper and self.p < significance) or self.p_dearer < significance


def compare(pairs: Sequence[Pair], classes: Classes, costs: EvaluationSettings) -> PairedComparison:
    """Images of a casting are no independent evidence, so a casting counts once: for the model that cost less on it."""
    spent = [tuple(cost(one, classes, costs) for one in pair) for pair in pairs]
    known = all(pair.candidate.group for pair in pairs)
    saved: dict[object, float] = defaultdict(float)
    for number, (pair, (candidate, champion)) in enumerate(zip(pairs, spent, strict=True)):
        saved[pair.candidate.group if known else number] += champion - candidate
    least = 1e-9  # what sums of costs differ by rounding alone
    cheaper, dearer = (sum(sign * one > least for one in saved.values()) for sign in (1, -1))
    images = max(len(pairs), 1)
    return PairedComparison(
        images=len(pairs), castings=len(saved) if known else None, cheaper=cheaper, dearer=dearer,
        candidate_cost=sum(one for one, _ in spent) / images, champion_cost=sum(one for _, one in spent) / images,
        p=exact_p(cheaper, dearer), p_dearer=flipped_p([-one for one in saved.values() if abs(one) > least]),
    )  # fmt: skip


def exact_p(one: int, other: int) -> float:
    if not one + other:
        return 1.0
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    return float(stats.binomtest(one, one + other).pvalue)


def flipped_p(dearer: Sequence[float]) -> float:
    """The share of sign flips of these differences whose sum is at least theirs; of all flips, or of 2,000 where there are more."""
    if len(dearer) < 2:  # of one there are two flips, which SciPy does not take
        return 0.5 if sum(dearer) > 0 else 1.0
    from scipy import stats  # late, as above

    tested = stats.permutation_test(
        (dearer,), sum_along, permutation_type="samples", alternative="greater", vectorized=True,
        n_resamples=FLIPS, batch=100, rng=0,
    )  # fmt: skip
    return float(tested.pvalue)


def sum_along(values: "np.ndarray", axis: int) -> "np.ndarray":
    return values.sum(axis=axis)
