"""Drift: how photographs that arrived differ from those that the model in use learnt from, and what it would decide about them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.images.appearance import BRIGHTNESS, SHARPNESS
from tasks.images.loading import Readable
from tasks.inference.decision import Evidence, Verdict
from tasks.inference.out_of_distribution import FeatureGaussian, distances
from tasks.inference.predictor import CHUNK, Predictor


class Shift(BaseModel):
    """A quantity of whole pictures, in grey levels."""

    model_config = ConfigDict(frozen=True)
    usual: float
    """Mean of the known images."""
    spread: float
    """Their standard deviation."""
    found: float
    """Median of the new ones."""


class Drift(BaseModel):
    """What is to be said of the new images of one origin."""

    model_config = ConfigDict(frozen=True)
    origin: str
    by_class: dict[str, int]
    unreadable: int
    sizes: dict[str, int]
    """Images by `WIDTH x HEIGHT`, the most common first."""
    brightness: Shift | None
    sharpness: Shift | None
    distance: float | None
    """Median distance of what the network sees from what it knows, as a share of the most that counts as known; None: not learnt."""
    decisions: dict[str, int]
    """Images that the model in use would pass, send to a person, reject."""
    reasons: dict[str, int]
    """Of those for a person, the most common first."""
    escapes: int
    """Defects, by their labels, that it would pass."""
    refusals: int
    """Good parts that it would reject."""

    @property
    def review_share(self) -> float:
        """Of the images, those for a person."""
        return self.decisions.get("review", 0) / max(1, sum(self.decisions.values()))


class JudgedImage(NamedTuple):
    """An image as the model in use sees it; without evidence it cannot be read."""

    verdict: Verdict
    evidence: Evidence | None
    size: tuple[int, int] | None


def examine(paths: Sequence[Path], model: Predictor) -> list[JudgedImage]:
    """Each image, in order; few are in memory at a time."""
    judged: list[JudgedImage] = []
    for start in range(0, len(paths), CHUNK):
        seen = model.see(paths[start : start + CHUNK])
        evidence = model.evidence([one for one in seen if isinstance(one, Readable)])
        told = iter(zip(model.decision.judge(evidence), evidence, strict=True))
        judged += [
            JudgedImage(*next(told), one.size)
            if isinstance(one, Readable)
            else JudgedImage(Verdict("review", one.reason), None, None)
            for one in seen
        ]
    return judged


def drift(origin: str, labels: Sequence[str], judged: Sequence[JudgedImage], model: Predictor) -> Drift:
    """The images of one origin, with their labels."""
    known, said = model.decision, list(zip(labels, (one.verdict.decision for one in judged), strict=True))
    evidence = [one.evidence for one in judged if one.evidence]
    looks = np.array([one.appearance for one in evidence])
    reasons = Counter(one.verdict.reason.partition(":")[0] for one in judged if one.verdict.decision == "review")
    return Drift(
        origin=origin,
        by_class=dict(sorted(Counter(labels).items())),
        unreadable=len(judged) - len(evidence),
        sizes=dict(Counter("{} x {}".format(*one.size) for one in judged if one.size).most_common()),
        brightness=shift(known.appearance, looks, BRIGHTNESS),
        sharpness=shift(known.appearance, looks, SHARPNESS),
        distance=median_distance(known.features, [one.features for one in evidence if not np.isnan(one.residual)]),
        decisions=dict(Counter(decision for _, decision in said)),
        reasons=dict(reasons.most_common()),
        escapes=said.count((known.classes.defect, "pass")),
        refusals=said.count((known.classes.good, "reject")),
    )


def shift(known: FeatureGaussian | None, looks: np.ndarray, statistic: int) -> Shift | None:
    """None where nothing is known, or there is no image."""
    if known is None or not len(looks):
        return None
    found = round(float(np.median(looks[:, statistic])), 1)
    return Shift(usual=round(known.usual[statistic], 1), spread=round(known.spread[statistic], 1), found=found)


def median_distance(known: FeatureGaussian | None, features: Sequence[np.ndarray]) -> float | None:
    if known is None or not features:
        return None
    return round(float(np.median(distances(known, np.stack(features)))) / known.limit, 2)
