"""Drift: how photographs that arrived differ from those that the model in use learned from, and what it would decide about them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.images.appearance import BRIGHTNESS, SHARPNESS
from tasks.images.loading import Readable
from tasks.inference.decision import Evidence, ImageDecision
from tasks.inference.out_of_distribution import FeatureGaussian, distances
from tasks.inference.predictor import CHUNK, Predictor
from tasks.records.rows import Cause


class Shift(BaseModel):
    """A quantity of whole pictures, in gray levels."""

    model_config = ConfigDict(frozen=True)
    usual: float
    """Mean of the known images."""
    spread: float
    """Their standard deviation."""
    found: float
    """Median of the new ones."""


class Drift(BaseModel):
    """The differences between the new images of one origin and the known ones, and the decisions about the new ones."""

    model_config = ConfigDict(frozen=True)
    origin: str
    by_class: dict[str, int]
    unreadable: int
    sizes: dict[str, int]
    """Images by `WIDTH x HEIGHT`, the most common first."""
    brightness: Shift | None
    sharpness: Shift | None
    distance: float | None
    """Median distance of what the network sees from what it knows, as a share of the most that counts as known; None: not learned."""
    decisions: dict[str, int]
    """Images that the model in use would pass, send to a person, reject."""
    causes: dict[Cause, int]
    """Of those for a person, the most common first."""
    escapes: int
    """Defects, by their labels, that it would pass."""
    refusals: int
    """Good parts that it would reject."""


class JudgedImage(NamedTuple):
    """An image as the model in use sees it; without evidence it cannot be read."""

    decision: ImageDecision
    evidence: Evidence | None
    size: tuple[int, int] | None


def judge_files(paths: Sequence[Path], model: Predictor) -> list[JudgedImage]:
    """Return each image as the model in use sees it, in order. Few are in memory at a time."""
    judged: list[JudgedImage] = []
    for start in range(0, len(paths), CHUNK):
        images = model.load(paths[start : start + CHUNK])
        judged += [
            JudgedImage(decision, evidence, image.size if isinstance(image, Readable) else None)
            for image, (decision, evidence) in zip(images, model.decisions(images), strict=True)
        ]
    return judged


def drift(origin: str, labels: Sequence[str], judged: Sequence[JudgedImage], model: Predictor) -> Drift:
    """Return the drift of the images of one origin, with their labels."""
    rule = model.rule
    decisions = list(zip(labels, (image.decision.name for image in judged), strict=True))
    evidence = [image.evidence for image in judged if image.evidence]
    appearances = np.array([image.appearance for image in evidence])
    causes = Counter(image.decision.cause for image in judged if image.decision.name == "review")
    return Drift(
        origin=origin,
        by_class=dict(sorted(Counter(labels).items())),
        unreadable=len(judged) - len(evidence),
        sizes=dict(Counter("{} x {}".format(*image.size) for image in judged if image.size).most_common()),
        brightness=shift(rule.appearance, appearances, BRIGHTNESS),
        sharpness=shift(rule.appearance, appearances, SHARPNESS),
        distance=median_distance(rule.features, [image.features for image in evidence if not np.isnan(image.residual)]),
        decisions=dict(Counter(decision for _, decision in decisions)),
        causes=dict(causes.most_common()),
        escapes=decisions.count((rule.classes.defect, "pass")),
        refusals=decisions.count((rule.classes.good, "reject")),
    )


def shift(gaussian: FeatureGaussian | None, appearances: np.ndarray, statistic: int) -> Shift | None:
    """Return how far a statistic of the images moved; None where nothing is known, or where there is no image."""
    return (
        Shift(
            usual=round(gaussian.usual[statistic], 1),
            spread=round(gaussian.spread[statistic], 1),
            found=round(float(np.median(appearances[:, statistic])), 1),
        )
        if gaussian and len(appearances)
        else None
    )


def median_distance(gaussian: FeatureGaussian | None, features: Sequence[np.ndarray]) -> float | None:
    """Return the median distance of the features, as a share of the most that counts as known.

    Return None where nothing is known, or where there is no image.
    """
    return (
        round(float(np.median(distances(gaussian, np.stack(features)))) / gaussian.limit, 2)
        if gaussian and features
        else None
    )
