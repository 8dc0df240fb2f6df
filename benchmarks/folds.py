"""Folds: castings dealt into parts that are each judged by a network that never saw them, and what that says."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tasks.dataset.group_split import draw, leaders, share, strata
from tasks.evaluation.metrics import auc
from tasks.records.rows import Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, SplitSettings

RESAMPLES = 1_000  # for an interval
CONFIDENCE = 0.95


def dealt(rows: Sequence[Row], number: int, seed: int) -> list[set[str]]:
    """The castings in so many folds. Of each label the largest come first, each to the fold that has the fewest images of it.

    Raises BadInput where a label has fewer castings than there are folds.
    """
    led, images = leaders(rows), defaultdict[str, int](int)
    for row in rows:
        images[row.group] += 1
    folds: list[set[str]] = [set() for _ in range(number)]
    for label in sorted({row.label for row in led.values()}):
        castings = [group for group, leader in led.items() if leader.label == label]
        if len(castings) < number:
            raise BadInput(
                f"{label} has {len(castings)} castings, {number} folds need as many: ask for fewer by --folds"
            )
        filled = [0] * number
        for group in sorted(castings, key=lambda group: (-images[group], share(group, "fold", seed))):
            least = filled.index(min(filled))
            folds[least].add(group)
            filled[least] += images[group]
    return folds


def sided(rows: Sequence[Row], judged: set[str], splitting: SplitSettings) -> list[Row]:
    """The rows, with the castings of `judged` as their test; of the others some validate, by the rule of `split`."""
    settled = ["test" if row.group in judged else "" for row in rows]
    drawn: dict[str, str] = {}
    for castings in strata(rows, settled).values():
        drawn |= draw(castings, {"validation": splitting.validation_fraction}, splitting.seed)
    return [row._replace(split=side or drawn[row.group]) for row, side in zip(rows, settled, strict=True)]


def counts(tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes) -> dict:
    """How images were judged at the most likely class, and what was decided; `castings` names the casting of each content."""
    defect = np.array([one.label == classes.defect for one in tested], bool)
    chance = np.array([one.defect_probability for one in tested], float)
    return {
        "accuracy": accuracy(defect, chance),
        "auc": auc(defect, chance),
        "images": len(tested),
        "castings": len({castings[one.sha256] for one in tested}),
        "defects": int(defect.sum()),
        "missed_defects": int(np.sum(defect & (chance < 0.5))),
        "good": int((~defect).sum()),
        "false_rejects": int(np.sum(~defect & (chance >= 0.5))),
        "passed_defects": sum(one.label == classes.defect and one.decision == "pass" for one in tested),
        "rejected_good": sum(one.label != classes.defect and one.decision == "reject" for one in tested),
        "reviews": sum(one.decision == "review" for one in tested),
    }


def errors(tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes) -> list[dict]:
    """Castings of which an image was judged wrongly, those with the most errors first."""
    seen: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for one in tested:
        seen[castings[one.sha256], one.label].append(one)
    found = []
    for (casting, label), images in seen.items():
        wrong = [one for one in images if (one.defect_probability >= 0.5) != (label == classes.defect)]
        if wrong:
            found.append({
                "casting": casting[:12], "label": label, "images": len(images), "errors": len(wrong), "first": wrong[0].path
            })  # fmt: skip
    return sorted(found, key=lambda one: (-one["errors"], one["casting"]))


def summary(folds: Sequence[dict]) -> dict:
    """Means over the folds of accuracy and AUC, and the errors in all."""
    aucs = [one["auc"] for one in folds if one["auc"] is not None]
    added = ("images", "castings", "missed_defects", "false_rejects", "passed_defects", "rejected_good", "reviews")
    return {
        "accuracy": float(np.mean([one["accuracy"] for one in folds])),
        "auc": float(np.mean(aucs)) if aucs else None,
        **{name: sum(one[name] for one in folds) for name in added},
    }


def intervals(
    folds: Sequence[Sequence[Prediction]], castings: Mapping[str, str], classes: Classes, seed: int
) -> dict[str, list[float]]:
    """Intervals at 95 % of the mean accuracy and AUC over the folds, had the castings of each fold and label been others."""
    rng = np.random.default_rng(seed)
    parts = [arrays(tested, castings, classes) for tested in folds]
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {"accuracy": accuracy, "auc": auc}
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(RESAMPLES):
        some = [
            (defect[chosen], chance[chosen]) for defect, chance, units in parts for chosen in [resampled(units, rng)]
        ]
        for name, measure in measures.items():
            found = [value for part in some if (value := measure(*part)) is not None]
            drawn[name] += [float(np.mean(found))] if found else []
    ends = [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)]  # percent
    return {f"{name}_interval": np.percentile(values, ends).tolist() for name, values in drawn.items() if values}


def arrays(
    tested: Sequence[Prediction], castings: Mapping[str, str], classes: Classes
) -> tuple[np.ndarray, np.ndarray, dict[bool, list[np.ndarray]]]:
    """Whether each image shows a defect, its probability of one, and by label the images of each casting."""
    units: dict[bool, dict[str, list[int]]] = {True: defaultdict(list), False: defaultdict(list)}
    for number, one in enumerate(tested):
        units[one.label == classes.defect][castings[one.sha256]].append(number)
    defect = np.array([one.label == classes.defect for one in tested], bool)
    chance = np.array([one.defect_probability for one in tested], float)
    return defect, chance, {label: [np.array(unit) for unit in one.values()] for label, one in units.items()}


def resampled(units: Mapping[bool, Sequence[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """Images of as many castings of each label as there are, drawn with replacement."""
    chosen = [some[number] for some in units.values() if some for number in rng.integers(len(some), size=len(some))]
    return np.concatenate(chosen)


def accuracy(defect: np.ndarray, chance: np.ndarray) -> float:
    return float(np.mean((chance >= 0.5) == defect))
