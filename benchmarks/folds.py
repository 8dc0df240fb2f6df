"""Folds: score folds of castings, each judged by a network that never saw them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tasks.evaluation.bootstrap import middle_interval
from tasks.evaluation.by_part import parts_of, rate
from tasks.evaluation.crossfit_score import list_part_errors
from tasks.evaluation.metrics import auc
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes

RESAMPLES = 1_000  # for an interval
CONFIDENCE = 0.95


def score_predictions(tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes) -> dict:
    """Return scores and counts at the most likely class, and the counts of the decisions.

    `castings` names the casting of each content.
    """
    defect = np.array([prediction.label == classes.defect for prediction in tested], bool)
    probability = np.array([prediction.defect_probability for prediction in tested], float)
    return {
        "accuracy": accuracy(defect, probability),
        "auc": auc(defect, probability),
        "images": len(tested),
        "castings": len({castings[prediction.sha256] for prediction in tested}),
        "defects": int(defect.sum()),
        "missed_defects": int(np.sum(defect & (probability < 0.5))),
        "good": int((~defect).sum()),
        "false_rejects": int(np.sum(~defect & (probability >= 0.5))),
        "passed_defects": sum(
            prediction.label == classes.defect and prediction.decision == "pass" for prediction in tested
        ),
        "rejected_good": sum(
            prediction.label != classes.defect and prediction.decision == "reject" for prediction in tested
        ),
        "reviews": sum(prediction.decision == "review" for prediction in tested),
    }


def list_errors(tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes) -> list[dict]:
    """Return the castings with an image at the wrong most likely class, those with the most errors first."""
    grouped = [prediction._replace(group=castings[prediction.sha256]) for prediction in tested]
    return [
        {"casting": part.part[:12], **part.model_dump(exclude={"part"})} for part in list_part_errors(grouped, classes)
    ]


def average_folds(folds: Sequence[dict]) -> dict:
    """Return accuracy and AUC as means over the folds, and counts as sums."""
    aucs = [fold["auc"] for fold in folds if fold["auc"] is not None]
    added = ("images", "castings", "missed_defects", "false_rejects", "passed_defects", "rejected_good", "reviews")
    return {
        "accuracy": float(np.mean([fold["accuracy"] for fold in folds])),
        "auc": float(np.mean(aucs)) if aucs else None,
        **{name: sum(fold[name] for fold in folds) for name in added},
    }


def casting_intervals(
    folds: Sequence[Sequence[Prediction]], castings: Mapping[str, str], classes: Classes, seed: int
) -> dict[str, list[float]]:
    """Return intervals at 95 % over all folds: of the accuracy, of the two rates of errors, and of the mean AUC.

    Those of rates are exact over an effective number of castings. For that of the AUC the castings of each fold and label are drawn anew,
    `RESAMPLES` times; it is left out where no draw differs from another.
    """
    tested = [prediction for fold in folds for prediction in fold]
    parts = parts_of([prediction._replace(group=castings[prediction.sha256]) for prediction in tested])
    defect = np.array([prediction.label == classes.defect for prediction in tested], bool)
    right = defect == (np.array([prediction.defect_probability for prediction in tested]) >= 0.5)
    rates = {
        "accuracy": (defect | True, right),
        "escape_rate": (defect, defect & ~right),
        "false_reject_rate": (~defect, ~defect & ~right),
    }
    exact = {f"{name}_interval": rate(parts, *columns, CONFIDENCE).interval for name, columns in rates.items()}
    return {
        **{name: [*interval] for name, interval in exact.items() if interval},
        **auc_interval([prediction_arrays(fold, castings, classes) for fold in folds], seed),
    }


def auc_interval(
    parts: Sequence[tuple[np.ndarray, np.ndarray, dict[bool, list[np.ndarray]]]], seed: int
) -> dict[str, list[float]]:
    """Return the interval of the mean AUC over the folds, each given by its `prediction_arrays`; nothing where no draw differs."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES):
        drawn = [
            (defect[numbers], probability[numbers])
            for defect, probability, units in parts
            for numbers in [resample(units, rng)]
        ]
        values = [value for sample in drawn if (value := auc(*sample)) is not None]
        means += [float(np.mean(values))] if values else []
    interval = middle_interval(np.array(means), CONFIDENCE)
    return {"auc_interval": [*interval]} if interval else {}


def prediction_arrays(
    tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes
) -> tuple[np.ndarray, np.ndarray, dict[bool, list[np.ndarray]]]:
    """Return for each image whether it shows a defect and its probability of one, and by label the numbers of each casting's images.

    bool and float (images,); by label, one int array for each casting.
    """
    units: dict[bool, dict[str, list[int]]] = {True: defaultdict(list), False: defaultdict(list)}
    for number, prediction in enumerate(tested):
        units[prediction.label == classes.defect][castings[prediction.sha256]].append(number)
    defect = np.array([prediction.label == classes.defect for prediction in tested], bool)
    probability = np.array([prediction.defect_probability for prediction in tested], float)
    return defect, probability, {label: [np.array(unit) for unit in group.values()] for label, group in units.items()}


def resample(units: Mapping[bool, Sequence[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of the images of as many castings of each label as there are, drawn with replacement."""
    drawn = [
        castings[number]
        for castings in units.values()
        if castings
        for number in rng.integers(len(castings), size=len(castings))
    ]
    return np.concatenate(drawn)


def accuracy(defect: np.ndarray, probability: np.ndarray) -> float:
    """Return the share of images whose most likely class is their label."""
    return float(np.mean((probability >= 0.5) == defect))
