"""Baselines: how well a test can be solved without judging a casting.

A look-up recognizes the castings that trained; a shortcut uses only the light and the camera. Whatever a network scores above them
is what it may have learned about defects.
"""

from collections.abc import Sequence

import numpy as np

from tasks.dataset.registration import blocks
from tasks.evaluation.metrics import auc
from tasks.records.results import Probe
from tasks.records.rows import Row, is_defect
from tasks.settings.settings import Classes

SIDE = 32  # pixels: defects of 10 px in 300 are gone, the casting can still be recognized
TRAIN_BLOCK, TEST_BLOCK = 4_096, 512  # thumbnails compared at once, in 8 poses: some 100 MB, whatever the sizes
QUANTITIES = {
    "brightness": ["brightness"],
    "border": ["border"],
    "sharpness": ["sharpness"],
    "together": ["brightness", "border", "sharpness"],
}
STRENGTH = 1e-3  # L2 penalty on weights of standardized features: keeps them finite where the features separate the classes fully


def lookup(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return for each test thumbnail the label of the most similar training thumbnail: int (test,).

    Thumbnails are uint8 (n, side, side), the side a multiple of 32; labels int (train,). Two are as alike as the correlation of their
    32 x 32 means, the greatest of the eight flips and quarter turns; that of a uniform thumbnail is 0. Of equals the first counts.
    """
    answers = np.zeros(len(test), labels.dtype)
    best = np.full(len(test), -np.inf, np.float32)
    patterns = standardize(test)
    for start in range(0, len(train), TRAIN_BLOCK):
        columns = standardize(train[start : start + TRAIN_BLOCK]).reshape(-1, SIDE * SIDE).T
        for rows in blocks(len(test), TEST_BLOCK):
            alike = correlations(patterns[rows], columns)
            nearest = alike.argmax(axis=1)
            greatest = alike[np.arange(len(nearest)), nearest]
            better = greatest > best[rows]
            answers[rows][better] = labels[start + nearest[better]]
            best[rows][better] = greatest[better]
    return answers


def correlations(patterns: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Compute the correlation of each pattern (32, 32) with each column (32 * 32,): float32 (patterns, columns).

    Each is the greatest over the eight poses of the pattern.
    """
    poses = [np.rot90(side_up, turns, axes=(1, 2)) for side_up in (patterns, patterns[:, ::-1]) for turns in range(4)]
    products = np.stack(poses).reshape(-1, SIDE * SIDE) @ columns
    return products.reshape(len(poses), len(patterns), -1).max(axis=0)


def standardize(thumbnails: np.ndarray) -> np.ndarray:
    """Return the thumbnails at 32 x 32, of mean 0 and norm 1, so that a product is a correlation: float32 (images, 32, 32).

    A uniform thumbnail becomes zeros.
    """
    factor = thumbnails.shape[1] // SIDE
    small = thumbnails.reshape(-1, SIDE, factor, SIDE, factor).mean(axis=(2, 4), dtype=np.float32)
    small -= small.mean(axis=(1, 2), keepdims=True)
    norm = np.linalg.norm(small, axis=(1, 2), keepdims=True)
    return np.divide(small, norm, out=np.zeros_like(small), where=norm > 0)


def shortcuts(train: Sequence[Row], test: Sequence[Row], classes: Classes) -> dict[str, Probe]:
    """Return how well brightness, border brightness and sharpness tell the classes of `test` apart, each alone and all together.

    Each is a logistic regression that `train` fits: an AUC above 0.5 is a rule that holds on both.
    """
    return {name: probe(train, test, quantities, classes) for name, quantities in QUANTITIES.items()}


def probe(train: Sequence[Row], test: Sequence[Row], quantities: Sequence[str], classes: Classes) -> Probe:
    """Return the accuracy of the quantities alone on `test`, at a probability of 0.5, and their AUC."""
    logit, truth = probe_logits(train, test, quantities, classes), defects(test, classes)
    return Probe(accuracy=float(np.mean((logit >= 0) == truth)), auc=auc(truth, logit))


def probe_logits(train: Sequence[Row], test: Sequence[Row], quantities: Sequence[str], classes: Classes) -> np.ndarray:
    """Return the logit of a defect for each row of `test`, by a logistic regression of the quantities on `train`: float (test,)."""
    train_values, test_values = (
        np.array([[getattr(row, name) for name in quantities] for row in rows]) for rows in (train, test)
    )
    mean, deviation = train_values.mean(axis=0), train_values.std(axis=0)
    deviation[deviation == 0] = 1  # the same in all images, so it tells nothing
    weights = logistic(quadratic_features((train_values - mean) / deviation), defects(train, classes))
    return quadratic_features((test_values - mean) / deviation) @ weights


def defects(rows: Sequence[Row], classes: Classes) -> np.ndarray:
    """Return which rows show a defect: bool (rows,)."""
    return np.array([is_defect(row, classes) for row in rows], bool)


def quadratic_features(features: np.ndarray) -> np.ndarray:
    """Return a constant, the features, and their squares and products, because a class may lie in the middle of a feature."""
    first, second = np.triu_indices(features.shape[1])
    return np.column_stack([np.ones(len(features)), features, features[:, first] * features[:, second]])


def logistic(features: np.ndarray, defect: np.ndarray) -> np.ndarray:
    """Return the weights of the most likely logistic model. The first feature is the constant, which has no penalty."""
    from scipy.optimize import minimize  # late: a run in which nothing changed has no use for it

    sign = np.where(defect, 1.0, -1.0)
    penalty = STRENGTH * (np.arange(features.shape[1]) > 0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (features @ weights)
        surprise = np.exp(-np.logaddexp(0, margin))  # probability of the wrong class
        value = np.logaddexp(0, -margin).mean() + penalty @ weights**2 / 2
        return value, penalty * weights - features.T @ (sign * surprise) / len(sign)

    return minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
