"""Decision: pass, review or reject a part by what its photograph shows, and say why."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.images.appearance import remark
from tasks.inference.calibration import probability
from tasks.inference.out_of_distribution import FeatureGaussian, distances
from tasks.records.results import Guarantee, Normality
from tasks.records.rows import CAUSES, Cause, DecisionName
from tasks.settings.crops import Crop
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import InputSize, ViewName
from tasks.settings.settings import Classes

DECIDED_BY_PROBABILITY: frozenset[Cause] = frozenset({"below_limit", "between_limits", "above_limit"})  # alone


class Evidence(NamedTuple):
    """The numbers that decide about an image."""

    margin: float
    """Logit of defect less that of good."""
    features: np.ndarray
    """float64 (n,), the features that the network computes."""
    appearance: np.ndarray
    """float64 (11,), as `appearance` returns it."""
    residual: float
    """Of its ring, as in `NetworkInput`; NaN where the view shows nothing."""


class ImageDecision(NamedTuple):
    """The decision about one image, with its cause."""

    name: DecisionName
    cause: Cause
    reason: str
    """What there is to say about this image, as people read it."""
    probability: float | None = None
    """Of a defect; None where the network could not see the part."""


def review(cause: Cause, detail: str = "", probability: float | None = None) -> ImageDecision:
    """Send an image to a person; `detail` says what is special about this one."""
    return ImageDecision("review", cause, f"{CAUSES[cause]}: {detail}" if detail else CAUSES[cause], probability)


class DecisionRule(BaseModel):
    """`decision.json`: all that prediction needs besides the network itself."""

    model_config = ConfigDict(frozen=True)
    classes: Classes
    model: str
    network_sha256: str
    view: ViewName
    image_size: InputSize
    """Side of the square that the network sees, or height and width, in pixels."""
    crop: Crop | None = Field(None, exclude_if=lambda crop: crop is None)
    """Where in a picture the network looks; None: everywhere. Left out of the file then: so models keep their digests."""
    threshold: float = 0.5
    """Parts at least this probably defective are rejected."""
    temperature: float = 1.0
    """Divisor of margins, so that probabilities mean what they say."""
    offset: float = Field(0.0, exclude_if=lambda offset: not offset)
    """Margin at which a defect is as likely as none. Left out of the file where it is 0: so models keep their digests."""
    normal: Normality | None = Field(None, exclude_if=lambda normal: normal is None)
    """Set only for `--model normal`: where the limits come from. Its probabilities are anomaly scores."""
    review_band: tuple[float, float] | None = None
    """Probabilities between these go to a person; None: no such band is known."""
    appearance: FeatureGaussian | None = None
    """Of the statistics of all training pictures; None where there are too few castings."""
    appearances: tuple[FeatureGaussian, ...] = ()
    """Of the statistics of each origin's pictures. A picture is unlike them where it is unlike those of every origin. Models that
    were stored before have none: there `appearance` decides."""
    features: FeatureGaussian | None = None
    """Of the features of the training images; None where there are too few castings."""
    max_residual: float | None = None
    """A ring that fits worse than this share of its radius is not judged; None where there are no rings."""
    guarantee: Guarantee | None = Field(None, exclude_if=lambda guarantee: guarantee is None)
    """What the lower limit of the review band promises. Left out of the file where nothing is: so models keep their digests."""

    @property
    def picture_clouds(self) -> tuple[FeatureGaussian, ...]:
        """Return the clouds of known pictures, of which a picture must be near one."""
        return self.appearances or ((self.appearance,) if self.appearance else ())

    def judge(self, images: Sequence[Evidence]) -> list[ImageDecision]:
        """Pass, review or reject each image. A person reviews a part that is not seen well or is unlike the training images."""
        if not images:
            return []
        with np.errstate(invalid="ignore"):  # a person reviews what is no number
            margins = np.array([evidence.margin for evidence in images]) - self.offset
            chances = probability(margins, self.temperature)
            differences = self.differences(images, chances)
        return [self.decide(*facts) for facts in zip(images, chances.tolist(), differences, strict=True)]

    def decide(self, evidence: Evidence, chance: float, difference: str | None) -> ImageDecision:
        """Pass, review or reject one image, given its probability of a defect and how it differs from the training images, or None."""
        if np.isnan(evidence.residual):
            return review("no_ring")
        if not np.isfinite(chance):
            return review("no_number")
        if self.max_residual is not None and evidence.residual > self.max_residual:
            deviation = f"its rim is {evidence.residual:.2%} off an ellipse, and {self.max_residual:.2%} is the most"
            return review("poor_ring", deviation)
        return review("unlike_training", difference, chance) if difference else self.decide_by_probability(chance)

    def differences(self, images: Sequence[Evidence], chances: np.ndarray) -> list[str | None]:
        """Say how each image differs from the training images; None where it does not. Appearance comes before features.

        An image that the score of `--model normal` rejects, one of `chances` (images,), is not sent to a person for its features.
        """
        remarks: list[str | None] = [None] * len(images)
        if gaussian := self.features:
            lengths = distances(gaussian, np.stack([evidence.features for evidence in images]))
            strange = ~(lengths <= gaussian.limit)  # NaN counts as far away
            for number in np.flatnonzero(strange & ~(chances > self.threshold) if self.normal else strange):
                remarks[number] = (
                    f"what the network sees in it is {lengths[number]:.1f} from what it knows, and {gaussian.limit:.1f} is the most"
                )
        if clouds := self.picture_clouds:
            statistics = np.stack([evidence.appearance for evidence in images])
            least = np.finfo(float).tiny  # a limit of 0, that of equal pictures, divides nothing
            lengths = np.stack([distances(cloud, statistics) / max(cloud.limit, least) for cloud in clouds])
            for number in np.flatnonzero(~(lengths.min(axis=0) <= 1)):
                nearest = clouds[lengths[:, number].argmin()]
                remarks[number] = remark(statistics[number], np.array(nearest.usual), np.array(nearest.spread))
        return remarks

    def decide_by_probability(self, chance: float) -> ImageDecision:
        """Pass, review or reject by the probability of a defect alone, with the reason."""
        chance_text = f"{'anomaly score' if self.normal else 'defect probability'} {format_chance(chance)}"
        low, high = self.review_band or (self.threshold, self.threshold)
        if self.review_band and low <= chance <= high:
            return review(
                "between_limits", f"{chance_text} lies between {format_chance(low)} and {format_chance(high)}", chance
            )
        if chance >= self.threshold:
            return ImageDecision(
                "reject", "above_limit", f"{chance_text} is at least the limit of {format_chance(high)}", chance
            )
        return ImageDecision("pass", "below_limit", f"{chance_text} is below the limit of {format_chance(low)}", chance)

    def most_likely(self, chance: float) -> tuple[str, float]:
        """Return the likelier class and its probability, given the probability of a defect."""
        return (self.classes.defect, chance) if chance >= 0.5 else (self.classes.good, 1 - chance)


def format_chance(chance: float) -> str:
    """Return a probability in percent with one decimal, or with two digits where that would be 0.0: a guarantee can need so low a limit."""
    return f"{chance:.1%}" if chance >= 0.0005 or not chance else f"{100 * chance:.2g}%"


def read(path: Path) -> DecisionRule:
    """Read a `decision.json`. Raises BadInput when the file is not a decision."""
    try:
        return DecisionRule.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path} is damaged: {error.errors()[0]['msg']}") from error
