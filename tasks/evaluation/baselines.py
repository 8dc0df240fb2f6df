"""Baselines: what it takes to score on a test without judging a casting.

A look-up recognises the castings that trained; a shortcut goes by the light and the camera. What a network scores above them
is what it may have learnt about defects.
"""

from collections.abc import Sequence

import numpy as np

from tasks.dataset.near_duplicates import blocks
from tasks.evaluation.metrics import auc
from tasks.records.results import Probe
from tasks.records.rows import Row, is_defect
from tasks.settings.settings import Classes

SIDE = 32  # pixels: defects of 10 px in 300 are gone, the casting is still known
KNOWN, ASKED = 4_096, 512  # thumbnails compared at once, in 8 poses: some 100 MB, whatever the sizes
QUANTITIES = {
    "brightness": ["brightness"],
    "border": ["border"],
    "sharpness": ["sharpness"],
    "together": ["brightness", "border", "sharpness"],
}
STRENGTH = 1e-3  # L2 penalty on weights of standardised features: keeps them finite where classes part cleanly


def lookup(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The label of the most alike known thumbnail for each asked one, int (asked,).

    Thumbnails uint8 (n, side, side), the side a multiple of 32; labels int (known,). Alike: correlation of 32 x 32 means,
    the greatest of the eight flips and quarter turns; that of an even thumbnail is 0. Of equally alike ones the first.
    """
    found = np.zeros(len(asked), labels.dtype)
    best = np.full(len(asked), -np.inf, np.float32)
    patterns = standardize(asked)
    for start in range(0, len(known), KNOWN):
        columns = standardize(known[start : start + KNOWN]).reshape(-1, SIDE * SIDE).T
        for rows in blocks(len(asked), ASKED):
            alike = correlations(patterns[rows], columns)
            first = alike.argmax(axis=1)
            greatest = alike[np.arange(len(first)), first]
            better = greatest > best[rows]
            found[rows][better] = labels[start + first[better]]
            best[rows][better] = greatest[better]
    return found


def correlations(patterns: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float32 (patterns, columns): of each pattern (32, 32) with each column (32 * 32,), the greatest over its eight poses."""
    poses = [np.rot90(one, turns, axes=(1, 2)) for one in (patterns, patterns[:, ::-1]) for turns in range(4)]
    product = np.stack(poses).reshape(-1, SIDE * SIDE) @ columns
    return product.reshape(len(poses), len(patterns), -1).max(axis=0)


def standardize(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (images, 32, 32) of mean 0 and norm 1, so that a product is a correlation; zeros for an even thumbnail."""
    factor = thumbnails.shape[1] // SIDE
    small = thumbnails.reshape(-1, SIDE, factor, SIDE, factor).mean(axis=(2, 4), dtype=np.float32)
    small -= small.mean(axis=(1, 2), keepdims=True)
    norm = np.linalg.norm(small, axis=(1, 2), keepdims=True)
    return np.divide(small, norm, out=np.zeros_like(small), where=norm > 0)


def shortcuts(train: Sequence[Row], test: Sequence[Row], classes: Classes) -> dict[str, Probe]:
    """How well brightness, border brightness and sharpness tell the classes of `test` apart, each alone and all together.

    Each is a logistic regression that `train` fits: an AUC above 0.5 is a rule that holds on both.
    """
    return {name: probe(train, test, quantities, classes) for name, quantities in QUANTITIES.items()}


def probe(train: Sequence[Row], test: Sequence[Row], quantities: Sequence[str], classes: Classes) -> Probe:
    """What the quantities alone get right on `test`, at a probability of 0.5 and by order."""
    learnt, judged = (np.array([[getattr(row, name) for name in quantities] for row in rows]) for rows in (train, test))
    mean, deviation = learnt.mean(axis=0), learnt.std(axis=0)
    deviation[deviation == 0] = 1  # the same in all images: says nothing
    defect = defects(train, classes)
    weights = logistic(quadratic_features((learnt - mean) / deviation), defect)
    logit = quadratic_features((judged - mean) / deviation) @ weights
    truth = defects(test, classes)
    return Probe(accuracy=float(np.mean((logit >= 0) == truth)), auc=auc(truth, logit))


def defects(rows: Sequence[Row], classes: Classes) -> np.ndarray:
    """bool (rows,)"""
    return np.array([is_defect(row, classes) for row in rows], bool)


def quadratic_features(features: np.ndarray) -> np.ndarray:
    """Constant, features, and their squares and products: a class may be the middling one."""
    one, other = np.triu_indices(features.shape[1])
    return np.column_stack([np.ones(len(features)), features, features[:, one] * features[:, other]])


def logistic(features: np.ndarray, defect: np.ndarray) -> np.ndarray:
    """Weights of the most likely logistic model; the first feature is the constant, and goes free of the penalty."""
    from scipy.optimize import minimize  # late: a run in which nothing changed has no use for it

    sign = np.where(defect, 1.0, -1.0)
    penalty = STRENGTH * (np.arange(features.shape[1]) > 0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (features @ weights)
        surprise = np.exp(-np.logaddexp(0, margin))  # probability of the wrong class
        value = np.logaddexp(0, -margin).mean() + penalty @ weights**2 / 2
        return value, penalty * weights - features.T @ (sign * surprise) / len(sign)

    return minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
