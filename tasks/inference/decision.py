"""Decisions: what is done with a part, given what its photograph shows, and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.images.appearance import remark
from tasks.images.views import NO_RING
from tasks.inference.calibration import probability
from tasks.inference.out_of_distribution import FeatureGaussian, distances
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import ViewName
from tasks.settings.settings import Classes

DecisionName = Literal["pass", "review", "reject"]
POOR_RING = "its ring is found poorly"
UNLIKE = "unlike the training images"
UNSURE = "the network is not sure"


class Evidence(NamedTuple):
    """What decides about an image."""

    margin: float
    """Logit of defect less that of good."""
    features: np.ndarray
    """float64 (n,), the network's own."""
    appearance: np.ndarray
    """float64 (11,), as of `appearance`."""
    residual: float
    """Of its ring, as of `pixels.Sights`: NaN where the view shows nothing."""


class Verdict(NamedTuple):
    decision: DecisionName
    reason: str
    """The cause, and after a colon what there is to say about this image."""
    probability: float | None = None
    """Of a defect; None where the network could not see the part."""


class Decision(BaseModel):
    """`decision.json`: all that prediction needs beside the network itself."""

    model_config = ConfigDict(frozen=True)
    classes: Classes
    model: str
    network_sha256: str
    view: ViewName
    image_size: int
    """Side of the network's input, in pixels."""
    threshold: float = 0.5
    """Parts at least this probably defective are rejected."""
    temperature: float = 1.0
    """Divisor of margins, so that probabilities mean what they say."""
    review_band: tuple[float, float] | None = None
    """Probabilities between these go to a person; None: no such band is known."""
    appearance: FeatureGaussian | None = None
    """How the known pictures look; None where too few castings are known."""
    features: FeatureGaussian | None = None
    """What the network sees in the known images."""
    max_residual: float | None = None
    """A ring that fits worse than this share of its radius is not judged; None where there are no rings."""

    def judge(self, found: Sequence[Evidence]) -> list[Verdict]:
        """Pass, review or reject for each image. A part that was not seen well, or is unlike those known, is for a person."""
        if not found:
            return []
        with np.errstate(invalid="ignore"):  # what is no number goes to a person
            chances = probability(np.array([one.margin for one in found]), self.temperature).tolist()
            strange = self.strange(found)
        return [self.verdict(one, *said) for one, *said in zip(found, chances, strange, strict=True)]

    def verdict(self, found: Evidence, chance: float, strange: str | None) -> Verdict:
        """The same for one, given the probability of a defect and in what it is unlike the known images."""
        if np.isnan(found.residual):
            return Verdict("review", NO_RING)
        if not np.isfinite(chance):
            return Verdict("review", f"{UNSURE}: it gives no number")
        if self.max_residual is not None and found.residual > self.max_residual:
            how = f"its rim is {found.residual:.2%} off an ellipse, and {self.max_residual:.2%} is the most"
            return Verdict("review", f"{POOR_RING}: {how}")
        return Verdict("review", f"{UNLIKE}: {strange}", chance) if strange else self.decide(chance)

    def strange(self, found: Sequence[Evidence]) -> list[str | None]:
        """In what each image is unlike the known ones, or None."""
        told: list[str | None] = [None] * len(found)
        if known := self.features:
            far = distances(known, np.stack([one.features for one in found]))
            for number in np.flatnonzero(~(far <= known.limit)):  # what is no number is not near
                told[number] = (
                    f"what the network sees in it is {far[number]:.1f} from what it knows, and {known.limit:.1f} is the most"
                )
        if known := self.appearance:
            looks = np.stack([one.appearance for one in found])
            for number in np.flatnonzero(~(distances(known, looks) <= known.limit)):
                told[number] = remark(looks[number], np.array(known.usual), np.array(known.spread))
        return told

    def decide(self, chance: float) -> Verdict:
        """Pass, review or reject for a probability of a defect, and why."""
        said = f"defect probability {chance:.1%}"
        if self.review_band and self.review_band[0] <= chance <= self.review_band[1]:
            low, high = self.review_band
            return Verdict("review", f"{UNSURE}: {said} lies between {low:.1%} and {high:.1%}", chance)
        low, high = self.review_band or (self.threshold, self.threshold)
        if chance >= self.threshold:
            return Verdict("reject", f"{said} is at least the limit of {high:.1%}", chance)
        return Verdict("pass", f"{said} is below the limit of {low:.1%}", chance)

    def most_likely(self, chance: float) -> tuple[str, float]:
        """The likelier class and its probability."""
        return (self.classes.defect, chance) if chance >= 0.5 else (self.classes.good, 1 - chance)


def read(path: Path) -> Decision:
    """Raises BadInput when the file is no decision."""
    try:
        return Decision.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path} is damaged: {error.errors()[0]['msg']}") from error
