"""Fitted baselines: what simple means make of the images that a network learns from. A network must beat the best of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.picture_features import Features
from tasks.dataset.registration import blocks
from tasks.evaluation.baselines import TEST_BLOCK, correlations, standardize
from tasks.training.stopwatch import Elapsed

TREES = 500
INVERSE_PENALTY = 1e-3  # of logistic regression: some 1,000 images have 8,100 standardized features

# From the features of the training images, whether each shows a defect, the features of the test images, and a seed: scores of the
# test images, float (test,). From 0.5 on an image is called defective.
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


class Baseline(NamedTuple):
    """What a baseline sees, as keys of `picture_features.FEATURES`, and what it makes of it."""

    features: tuple[str, ...]
    fit: Fit


class Scores(NamedTuple):
    """What a method says of the test images, and the CPU time behind it."""

    values: np.ndarray
    """float (test,); from 0.5 on a defect is likelier than none."""
    cpu_seconds: float


def score_baseline(
    baseline: Baseline,
    measured: Mapping[str, Features],
    defect: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> Scores:
    """Fit the baseline in each fold, and return its scores of all images that are judged, in the order of the images.

    Args:
        baseline: Which one.
        measured: Its features of all images.
        defect: bool (images,).
        folds: For each fold which images train and which are judged: two of bool (images,). No image is judged twice.
        seed: Of what is drawn at random.
    """
    seen = [measured[name] for name in baseline.features]
    columns = [features.values.reshape(len(defect), -1) for features in seen] or [np.zeros((len(defect), 0))]
    values = np.concatenate(columns, axis=1)
    scores, began = np.full(len(defect), np.nan), Elapsed.now()
    for trains, judged in folds:
        scores[judged] = baseline.fit(values[trains], defect[trains], values[judged], seed)
    spent = (Elapsed.now() - began).cpu + sum(features.cpu_seconds for features in seen)
    return Scores(scores[~np.isnan(scores)], spent)


def majority(train: np.ndarray, defect: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the more frequent class of the training images for all: 1 where it is the defect."""
    return np.full(len(test), float(defect.mean() >= 0.5))


def look_up(train: np.ndarray, defect: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return how much more alike the most alike defective training image is than the most alike good one.

    Images are alike as in `tasks.evaluation.baselines.lookup`, so that its label is the defect above 0.5: half of the difference of the two
    correlations, plus 0.5.
    """
    side = int(np.sqrt(train.shape[1]))
    patterns, known = (standardize(pictures.reshape(-1, side, side)) for pictures in (test, train))
    columns = known.reshape(len(known), -1).T
    scores = np.empty(len(test))
    for rows in blocks(len(test), TEST_BLOCK):
        alike = correlations(patterns[rows], columns)
        scores[rows] = (1 + alike[:, defect].max(axis=1) - alike[:, ~defect].max(axis=1)) / 2
    return scores


def logistic(train: np.ndarray, defect: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the probabilities of a logistic regression on standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=2_000))
    return model.fit(train, defect).predict_proba(test)[:, 1]


def trees(train: np.ndarray, defect: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean probabilities of extremely randomized trees (Geurts, Ernst and Wehenkel, 2006)."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(TREES, random_state=seed)
    return model.fit(train, defect).predict_proba(test)[:, 1]


BASELINES: dict[str, Baseline] = {
    "majority": Baseline((), majority),
    "lookup": Baseline(("thumbnails",), look_up),
    "logistic_hog": Baseline(("hog",), logistic),
    "trees_filters": Baseline(("filters",), trees),
    "trees_filters_hog": Baseline(("filters", "hog"), trees),
}
