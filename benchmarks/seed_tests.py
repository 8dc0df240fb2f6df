"""Seed tests: draw what trains and tests for a seed, and let networks and baselines learn from the same images and judge the same ones."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import training
from benchmarks.crossfitting import cross_fit, decide
from benchmarks.fitted_baselines import BASELINES, Scores, score_baseline
from benchmarks.isolation import run_isolated
from benchmarks.mask_peaks import count_peaks
from benchmarks.paired_bootstrap import JudgedParts
from benchmarks.picture_features import Features
from benchmarks.preparation import PreparedImages
from tasks.dataset.folds import assign_folds, split_by_fold
from tasks.dataset.group_split import assign, refuse_one_sided
from tasks.records.results import Model
from tasks.records.rows import OutOfFoldRow, Prediction, Row
from tasks.settings.settings import CrossfitSettings, SplitSettings, TrainingSettings
from tasks.storage.tables import read_table


class SeedTest(NamedTuple):
    """What trains and what tests for a seed."""

    folds: list[list[Row]]
    """All images with their split, once for each fold. No image tests in two folds."""
    judged: np.ndarray
    """bool (images,), which images test in any fold."""
    parts: JudgedParts
    """The images that test, in the order of all images."""


class JudgedSeed(NamedTuple):
    """What a method says of the images that test for a seed."""

    scores: Scores
    peaks: dict[str, int]
    """As `count_peaks` returns them; empty of a baseline, and where the images that test have no masks."""


def draw_test(data: PreparedImages, folds: int, seed: int) -> SeedTest:
    """Draw what trains, validates and tests for a seed, in one split or in so many folds.

    Raises BadInput where a class is missing from a split.
    """
    splitting = SplitSettings(protocol="grouped", seed=seed)
    if folds:
        divided = [
            split_by_fold(data.rows, groups, splitting.validation_fraction, seed)
            for groups in assign_folds(data.rows, folds, seed)
        ]
    else:
        divided = [assign(data.rows, data.copies, splitting)]
    for rows in divided:
        refuse_one_sided(rows, data.classes, "parts" if data.parts_by else "images")
    judged = np.any([are_in(rows, "test") for rows in divided], axis=0)
    part = np.array([row.group for row in data.rows])
    return SeedTest(divided, judged, JudgedParts(part[judged], defects_of(data)[judged]))


def are_in(rows: Sequence[Row], *splits: str) -> np.ndarray:
    """Return which rows are in one of the splits, bool (rows,)."""
    return np.array([row.split in splits for row in rows], bool)


def defects_of(data: PreparedImages) -> np.ndarray:
    """Return which images show a defect, bool (images,)."""
    return np.array([row.label == data.classes.defect for row in data.rows], bool)


def judge_by_baseline(
    data: PreparedImages, test: SeedTest, features: Mapping[str, Features], name: str, seed: int
) -> JudgedSeed:
    """Fit a baseline to the images that train or validate, and judge those that test."""
    folds = [(are_in(rows, "train", "validation"), are_in(rows, "test")) for rows in test.folds]
    return JudgedSeed(score_baseline(BASELINES[name], features, defects_of(data), folds, seed), {})


def judge_by_network(data: PreparedImages, test: SeedTest, settings: TrainingSettings, folds: int) -> JudgedSeed:
    """Train a network, or one for each fold, and judge the images that test."""
    judges = train_folds(data, settings, folds) if folds else [train_once(data, test.folds[0], settings)]
    chances = {(image.origin, image.path): image.defect_probability for _, tested in judges for image in tested}
    rows = [row for row, judged in zip(data.rows, test.judged, strict=True) if judged]
    values = np.array([chances[row.origin, row.path] for row in rows])
    scores = Scores(values, sum(model.cpu_seconds for model, _ in judges))
    if not any(row.mask for row in rows):
        return JudgedSeed(scores, {})
    counts = [count_peaks(model, tested, data.rows, data.classes, data.places) for model, tested in judges]
    return JudgedSeed(scores, add_counts(counts))


def train_once(data: PreparedImages, rows: list[Row], settings: TrainingSettings) -> tuple[Model, list[Prediction]]:
    """Return a network that learned from the rows, and its predictions about those that test."""
    trained = run_isolated(training.train_and_evaluate, rows, data.classes, settings, data.places)
    return trained.model, trained.tested


def train_folds(data: PreparedImages, settings: TrainingSettings, folds: int) -> list[tuple[Model, list[Prediction]]]:
    """Return the network of each fold, and its predictions about the parts of the fold."""
    recipe = training.recipe_for(data.rows, data.classes, settings, data.places)
    out_of_fold = cross_fit(data, CrossfitSettings(folds=folds, seed=settings.seed), recipe)
    rows = read_table(out_of_fold.judged.path(data.places), OutOfFoldRow)
    return [
        (fold.model, decide([row for row in rows if row.fold == number], data, recipe, out_of_fold))
        for number, fold in enumerate(out_of_fold.folds, start=1)
    ]


def add_counts(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of each count."""
    return {name: sum(count[name] for count in counts) for name in counts[0]}
