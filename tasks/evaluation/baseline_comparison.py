"""Baseline comparison: compares the model with simple rules, on parts of which no image trained it or them.

A model often judges all photographs of one part alike, so a part counts once.
"""

from collections.abc import Callable, Collection, Sequence
from math import comb
from typing import NamedTuple

import numpy as np

from tasks.evaluation.baselines import QUANTITIES, defects, lookup, probe_logits
from tasks.evaluation.by_part import Parts, parts_of
from tasks.evaluation.costs import mean_costs
from tasks.evaluation.metrics import COSTLY, decided_counts
from tasks.records.results import BaselineComparison, EvidenceKind, PairedParts, RankedParts
from tasks.records.rows import Prediction, Row
from tasks.settings.settings import Classes, EvaluationSettings

MIN_PARTS = 6  # with fewer, even a model that is right on all of them shows next to nothing
ENOUGH_TESTED = 10  # parts of each class: from so many on, the test speaks alone
ALL_ORDERS = 10_000  # so many orders of the parts are all tried; of more, the distribution is known well enough
SUREST = 1e-9  # probabilities nearer to 0 or 1 count as this one, so that no logit is infinite


class Trial(NamedTuple):
    """What a baseline learns from, and what the model says about other parts; the columns are of all rows."""

    learned: np.ndarray
    """bool (rows,), the rows that a baseline learns from."""
    asked: np.ndarray
    """bool (rows,), rows of other parts."""
    judged: list[Prediction]
    """What the model says about these, in order."""


def compare_with_baselines(
    rows: Sequence[Row],
    predictions: Sequence[Prediction],
    out_of_fold: Sequence[Prediction],
    load_thumbnails: Callable[[Sequence[Row]], np.ndarray],
    classes: Classes,
    settings: EvaluationSettings,
) -> BaselineComparison:
    """Compare the model with the majority, the look-up and shortcuts, where parts are known and there are enough of them.

    Args:
        rows: All rows of the run, grouped by part.
        predictions: Of the images that validate and test.
        out_of_fold: Of all rows, in their order; empty where no folds were asked for.
        load_thumbnails: Returns uint8 (rows, side, side), the side a multiple of 32.
        classes: The two class names.
        settings: Costs of the decisions.
    """
    evidence, trials = choose_trials(rows, predictions, out_of_fold, classes)
    judged = [prediction for trial in trials for prediction in trial.judged]
    parts, defect = parts_of(judged), np.array([image.label == classes.defect for image in judged], bool)
    defective_parts, good_parts = (int(np.sum(parts.sums(of_class) > 0)) for of_class in (defect, ~defect))
    counted = BaselineComparison(
        evidence=evidence, parts=parts.number, defective_parts=defective_parts, good_parts=good_parts
    )
    if parts.number < MIN_PARTS or not defective_parts or not good_parts:
        return counted
    probability = np.array([image.defect_probability for image in judged])
    wrong = (probability >= 0.5) != defect
    lookup_answers, shortcut_answers = answer_by_baselines(rows, load_thumbnails(rows), trials, classes)
    return counted.model_copy(
        update={
            "majority": rank_parts(parts, defect, probability, judged, classes, settings),
            "lookup": pair_parts(parts, wrong, lookup_answers != defect),
            "shortcuts": pair_parts(parts, wrong, shortcut_answers != defect),
        }
    )


def choose_trials(
    rows: Sequence[Row], predictions: Sequence[Prediction], out_of_fold: Sequence[Prediction], classes: Classes
) -> tuple[EvidenceKind, list[Trial]]:
    """Return the images that tell most about new parts, and where they come from.

    These are the test, where enough of its parts neither train nor validate; else all parts out of fold; else the parts that
    validate or test and do not train.
    """
    judged = {(image.origin, image.path): image for image in predictions}
    learned = np.array([row.split == "train" for row in rows], bool)

    def trial(asked: np.ndarray) -> Trial:
        return Trial(
            learned,
            asked,
            [judged[row.origin, row.path] for row, is_asked in zip(rows, asked, strict=True) if is_asked],
        )

    tested = unseen(rows, ("test",))
    parts = [
        {row.group for row, is_tested in zip(rows, tested, strict=True) if is_tested and row.label == label}
        for label in (classes.defect, classes.good)
    ]
    if min(map(len, parts)) >= ENOUGH_TESTED:
        return "test", [trial(tested)]
    if out_of_fold:
        return "out of fold", fold_trials(rows, out_of_fold)
    return "validation and test", [trial(unseen(rows, ("validation", "test")))]


def unseen(rows: Sequence[Row], splits: Collection[str]) -> np.ndarray:
    """Return which rows are in these splits, and show a part of which no image trains or validates outside them: bool (rows,)."""
    seen = {row.group for row in rows if row.split in ("train", "validation") and row.split not in splits}
    return np.array([row.split in splits and row.group not in seen for row in rows], bool)


def fold_trials(rows: Sequence[Row], out_of_fold: Sequence[Prediction]) -> list[Trial]:
    """Return a trial for each fold: a baseline learns from the parts of all others."""
    folds = np.array([image.split for image in out_of_fold], str)
    return [
        Trial(folds != fold, folds == fold, [image for image in out_of_fold if image.split == fold])
        for fold in dict.fromkeys(folds.tolist())
    ]


def answer_by_baselines(
    rows: Sequence[Row], thumbnails: np.ndarray, trials: Sequence[Trial], classes: Classes
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the look-up and the shortcuts call each image of the trials defective, in order: bool (images,) each."""
    truth, looked_up, guessed = defects(rows, classes), [], []
    for trial in trials:
        learned, asked = (
            [row for row, is_chosen in zip(rows, chosen, strict=True) if is_chosen]
            for chosen in (trial.learned, trial.asked)
        )
        looked_up.append(lookup(thumbnails[trial.learned], truth[trial.learned], thumbnails[trial.asked]))
        guessed.append(probe_logits(learned, asked, QUANTITIES["together"], classes) >= 0)
    return np.concatenate(looked_up), np.concatenate(guessed)


def pair_parts(parts: Parts, wrong: np.ndarray, baseline_wrong: np.ndarray) -> PairedParts:
    """Count for whom each part speaks: for the side that calls fewer of its images wrongly. Columns are bool (images,)."""
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    spared = parts.sums(baseline_wrong) - parts.sums(wrong)
    better, worse = int(np.sum(spared > 0)), int(np.sum(spared < 0))
    p = stats.binomtest(better, better + worse, alternative="greater").pvalue if better + worse else 1.0
    return PairedParts(better=better, worse=worse, p=float(p))


def rank_parts(
    parts: Parts,
    defect: np.ndarray,
    probability: np.ndarray,
    judged: Sequence[Prediction],
    classes: Classes,
    settings: EvaluationSettings,
) -> RankedParts:
    """Compare the model with answers that are the same for every image: by the order of the parts, and by cost.

    Columns are (images,): `defect` is bool, `probability` is of a defect. A part with images of both classes has a rank in each.
    """
    chance = np.clip(probability, SUREST, 1 - SUREST)
    logit = np.log(chance / (1 - chance))
    means = []
    for of_class in (defect, ~defect):
        images = parts.sums(of_class)
        means.append(parts.sums(of_class * logit)[images > 0] / images[images > 0])
    counts = decided_counts(judged, classes)
    costs = mean_costs(
        settings, defects=int(defect.sum()), good=int((~defect).sum()), **{name: counts[name] for name in COSTLY}
    )
    assert costs, "there are images"
    constant_cost = min(costs.passing_all, costs.rejecting_all, costs.reviewing_all)
    return RankedParts(p=rank_p(*means), cost=costs.decided, constant_cost=constant_cost)


def rank_p(defective: np.ndarray, good: np.ndarray) -> float:
    """Return p of the Mann-Whitney test that the first values are greater; exact, also with ties, where all orders can be tried."""
    from scipy import stats  # late, as above

    orders = comb(len(defective) + len(good), len(good))
    method = stats.PermutationMethod(n_resamples=ALL_ORDERS) if orders <= ALL_ORDERS else "auto"
    return float(stats.mannwhitneyu(defective, good, alternative="greater", method=method).pvalue)
