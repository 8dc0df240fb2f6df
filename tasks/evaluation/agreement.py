"""Agreement: how far people agree with each other, with themselves and with the model about the same photographs.

Kappa is agreement beyond chance: 1 where all agree, 0 where they agree as often as by chance. Cohen (1960) defines it for two lists of
answers, Fleiss (1971) for several people. Photographs of one part are answered alike, so intervals are over parts: exact for shares, by
the bootstrap for kappas. How wide an interval may be follows from the limits of AIAG, Measurement Systems Analysis, 4th edition (2010).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.bootstrap import draw_castings, middle_interval
from tasks.evaluation.by_part import Parts, rate
from tasks.evaluation.intervals import rate_interval
from tasks.records.results import Interval, Rate
from tasks.settings.settings import EvaluationSettings

GOOD, DEFECT, UNDECIDED = range(
    3
)  # what a person says, as columns of a table of counts; undecided: cannot tell, or exclude
NO_MAJORITY, TOO_FEW = -1, -2
LEAST_LOOKS = 2  # people, before what most of them say counts
POOR_KAPPA, GOOD_KAPPA = 0.40, 0.75  # AIAG: below the first is poor, above the second good to excellent
KAPPA_WIDTH = GOOD_KAPPA - POOR_KAPPA  # a wider interval holds poor and good agreement
RATE_WIDTH = 0.25  # of 50 parts that agree to 80 %, AIAG's border to unacceptable, the interval is 0.24 wide


class Estimate(NamedTuple):
    """A number about these parts, and what it shows about other ones."""

    value: float | None
    """None where it is not defined: nobody answered twice, or all answers are one class."""
    interval: Interval | None
    more_parts: int = 0
    """So many parts more, answered like these, would make the interval narrow enough to say something; 0: it is."""


class Agreement(NamedTuple):
    """How far answers about the same photographs agree."""

    photographs: int
    """With at least two answers."""
    parts: int
    observed: Estimate
    """Share of the pairs of answers that agree."""
    kappa: Estimate


class ModelComparison(NamedTuple):
    """The model's decisions beside what most people say."""

    agreement: Agreement
    """Where most people say good or defect, and the model passes or rejects."""
    misses: Rate
    """The model passes, and most people say defect."""
    false_alarms: Rate
    """The model rejects, and most people say good."""
    reviews: int
    """Photographs on which most people agree, and which the model leaves to a person."""
    ties: int
    """Photographs on which most people say neither."""
    too_few: int
    """Photographs at which fewer than two people looked."""


def cohen_agreement(first: np.ndarray, second: np.ndarray, part: np.ndarray, settings: EvaluationSettings) -> Agreement:
    """Return how far two lists of answers agree, int (photographs,) each: of two people, or of one person at two times.

    `part`, (photographs,), names the part that each photograph shows.
    """
    member, number = parts_from(part)
    classes = int(max(first.max(), second.max())) + 1 if len(first) else 1
    tables = np.zeros((number, classes, classes))
    np.add.at(tables, (member, first, second), 1)
    disagreements = tables.sum(axis=(1, 2)) - np.trace(tables, axis1=1, axis2=2)
    return summarize(tables, cohen_kappa, disagreements, tables.sum(axis=(1, 2)), settings)


def cohen_kappa(tables: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa (1960) of tables of counts, float (..., classes, classes); NaN where all answers are one class."""
    total = tables.sum(axis=(-2, -1))
    by_chance = np.sum(tables.sum(axis=-1) * tables.sum(axis=-2), axis=-1)
    return beyond_chance(np.trace(tables, axis1=-2, axis2=-1), by_chance, total)


def fleiss_agreement(counts: np.ndarray, part: np.ndarray, settings: EvaluationSettings) -> Agreement:
    """Return how far several people agree.

    Each photograph counts once, however many people looked at it; one with fewer than two answers is left out. With equal numbers of
    answers the kappa is that of Fleiss (1971).

    Args:
        counts: int (photographs, classes), how many people gave each answer.
        part: (photographs,) names of the parts.
        settings: Level of the intervals and draws of the bootstrap.
    """
    answers = counts.sum(axis=1)
    counts, part, answers = counts[answers > 1], part[answers > 1], answers[answers > 1]
    agreeing = np.sum(counts * (counts - 1), axis=1) / (answers * (answers - 1))
    columns = np.column_stack([np.ones(len(counts)), agreeing, counts / answers[:, None]])
    member, number = parts_from(part)
    sums = np.zeros((number, columns.shape[1]))
    np.add.at(sums, member, columns)
    return summarize(sums, fleiss_kappa, sums[:, 0] - sums[:, 1], sums[:, 0], settings)


def fleiss_kappa(sums: np.ndarray) -> np.ndarray:
    """Return Fleiss' kappa of sums over photographs, float (..., 2 + classes); NaN where all answers are one class.

    The sums are the number of photographs, of the shares of pairs of answers that agree, and of the share of answers in each class.
    """
    return beyond_chance(sums[..., 1], np.sum(sums[..., 2:] ** 2, axis=-1), sums[..., 0])


def beyond_chance(agreeing: np.ndarray, by_chance: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return (observed - expected) / (1 - expected), NaN where it is not defined. `by_chance` is in units of the total squared."""
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = by_chance / total**2
        return np.where(1 - expected > 1e-9, (agreeing / total - expected) / (1 - expected), np.nan)


def summarize(
    sums: np.ndarray,
    kappa: Callable[[np.ndarray], np.ndarray],
    disagreements: np.ndarray,
    photographs: np.ndarray,
    settings: EvaluationSettings,
) -> Agreement:
    """Return share and kappa with intervals. `sums` are (parts, ...), the others (parts,) sums over the photographs of a part."""
    parts, total = len(photographs), int(photographs.sum())
    if not parts:
        return Agreement(0, 0, Estimate(None, None), Estimate(None, None))
    share = float(1 - disagreements.sum() / total)
    wrong = rate_interval(disagreements, photographs, settings.confidence)
    right = Interval(1 - wrong.high, 1 - wrong.low) if wrong else None
    value = float(kappa(sums.sum(axis=0)))
    draws = kappa(np.tensordot(draw_castings(parts, settings), sums, axes=1))
    moved = middle_interval(draws[np.isfinite(draws)], settings.confidence) if math.isfinite(value) else None
    return Agreement(
        photographs=total,
        parts=parts,
        observed=Estimate(share, right, parts_missing(right, parts, RATE_WIDTH)),
        kappa=Estimate(value if math.isfinite(value) else None, moved, parts_missing(moved, parts, KAPPA_WIDTH)),
    )


def parts_missing(interval: Interval | None, parts: int, width: float) -> int:
    """Return how many parts more would narrow an interval to this width: it shrinks by the root of their number."""
    return max(0, math.ceil(parts * (((interval.high - interval.low) / width) ** 2 - 1))) if interval else 0


def parts_from(names: np.ndarray | Sequence[str]) -> tuple[np.ndarray, int]:
    """Return the number of each photograph's part, int (photographs,), and how many parts there are."""
    unique, member = np.unique(np.asarray(names), return_inverse=True)
    return member.reshape(-1).astype(int), len(unique)


def majorities(counts: np.ndarray) -> np.ndarray:
    """Return what more than half of the people say of each photograph, int (photographs,): GOOD, DEFECT, NO_MAJORITY or TOO_FEW."""
    answers, most = counts.sum(axis=1), counts.argmax(axis=1)
    agreed = (2 * counts.max(axis=1) > answers) & (most != UNDECIDED)
    return np.where(answers < LEAST_LOOKS, TOO_FEW, np.where(agreed, most, NO_MAJORITY))


def compare_model(
    counts: np.ndarray, decisions: np.ndarray, part: np.ndarray, settings: EvaluationSettings
) -> ModelComparison:
    """Return how the model's decisions, str (photographs,), agree with what most people say. The rest is as for `fleiss_agreement`."""
    people, model = majorities(counts), np.where(decisions == "pass", GOOD, np.where(decisions == "reject", DEFECT, -1))
    member, number = parts_from(part)
    parts, agreed = Parts(member, number, True), people >= 0
    both = agreed & (model >= 0)
    defect, good = people == DEFECT, people == GOOD
    return ModelComparison(
        agreement=cohen_agreement(people[both], model[both], np.asarray(part)[both], settings),
        misses=rate(parts, defect, defect & (model == GOOD), settings.confidence),
        false_alarms=rate(parts, good, good & (model == DEFECT), settings.confidence),
        reviews=int(np.sum(agreed & (model < 0))),
        ties=int(np.sum(people == NO_MAJORITY)),
        too_few=int(np.sum(people == TOO_FEW)),
    )
