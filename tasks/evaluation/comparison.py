"""Comparison: how two models compare by what their decisions cost on the same images, casting by casting."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.costs import cost
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings

FLIPS = 1_999  # of signs; with up to 10 castings all flips are tried


class Pair(NamedTuple):
    """Two judgments of the same image."""

    candidate: Prediction
    champion: Prediction


class PairedComparison(NamedTuple):
    """A comparison of two models by what their decisions cost on the same images."""

    images: int
    castings: int | None
    """Castings behind the images; None where castings are not known, and each image counts for itself."""
    cheaper: int
    """Castings, or images, on which the candidate costs less."""
    dearer: int
    candidate_cost: float
    """Mean of an image."""
    champion_cost: float
    p: float
    """Chance of a split at least as uneven if both were equally good (McNemar's exact test, two-sided)."""
    p_dearer: float
    """Chance of costing so much more in all if each casting's difference were as likely the other way (sign flips, one-sided)."""

    def summary(self) -> str:
        """Return the comparison in one line, as a report shows it."""
        unit = "images" if self.castings is None else "parts"
        dearer = f" (p = {self.p_dearer:.2g} of so much more)" if self.candidate_cost > self.champion_cost else ""
        return (
            f"costs less on {self.cheaper} {unit} and more on {self.dearer} (p = {self.p:.2g}), "
            f"{self.candidate_cost:.3f} an image instead of {self.champion_cost:.3f}{dearer}"
        )

    def better(self, significance: float) -> bool:
        """Return whether the candidate costs less, and on significantly more castings than it costs more."""
        return self.candidate_cost < self.champion_cost and self.cheaper > self.dearer and self.p < significance

    def worse(self, significance: float) -> bool:
        """Return whether the candidate costs significantly more: on more castings, or in all.

        A few escapes weigh more than many spared looks.
        """
        on_more_castings = self.dearer > self.cheaper and self.p < significance
        return self.candidate_cost > self.champion_cost and (on_more_castings or self.p_dearer < significance)


def compare(pairs: Sequence[Pair], classes: Classes, costs: EvaluationSettings) -> PairedComparison:
    """Compare the costs of two models on the same images.

    Images of a casting are no independent evidence. So a casting counts once, for the model that costs less on it.
    """
    spent = [tuple(cost(prediction, classes, costs) for prediction in pair) for pair in pairs]
    has_castings = all(pair.candidate.group for pair in pairs)
    saved: dict[object, float] = defaultdict(float)
    for number, (pair, (candidate, champion)) in enumerate(zip(pairs, spent, strict=True)):
        saved[pair.candidate.group if has_castings else number] += champion - candidate
    rounding = 1e-9  # sums of costs may differ by so much through rounding alone
    cheaper, dearer = (sum(sign * saving > rounding for saving in saved.values()) for sign in (1, -1))
    images = max(len(pairs), 1)
    return PairedComparison(
        images=len(pairs), castings=len(saved) if has_castings else None, cheaper=cheaper, dearer=dearer,
        candidate_cost=sum(candidate for candidate, _ in spent) / images,
        champion_cost=sum(champion for _, champion in spent) / images,
        p=exact_p(cheaper, dearer), p_dearer=flipped_p([-saving for saving in saved.values() if abs(saving) > rounding]),
    )  # fmt: skip


def exact_p(cheaper: int, dearer: int) -> float:
    """Return p of McNemar's exact test, two-sided, for two counts; 1 where both are 0."""
    if not cheaper + dearer:
        return 1.0
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    return float(stats.binomtest(cheaper, cheaper + dearer).pvalue)


def flipped_p(dearer: Sequence[float]) -> float:
    """Return the share of sign flips of these differences whose sum is at least theirs.

    All flips are tried, or 2,000 where there are more.
    """
    if len(dearer) < 2:  # one difference has two flips, which SciPy refuses
        return 0.5 if sum(dearer) > 0 else 1.0
    from scipy import stats  # late, as above

    return float(stats.permutation_test(
        (dearer,), np.sum, permutation_type="samples", alternative="greater", vectorized=True,
        n_resamples=FLIPS, batch=100, rng=0,
    ).pvalue)  # fmt: skip
