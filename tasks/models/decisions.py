"""Decisions: what is done with a part, given the probability of a defect."""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.images.views import ViewName
from tasks.runs.config import Classes
from tasks.runs.errors import BadInput

Answer = Literal["pass", "review", "reject"]


class Verdict(NamedTuple):
    decision: Answer
    reason: str


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
    temperature: float | None = None
    """Not calibrated yet: the probabilities are the network's own."""
    review_band: tuple[float, float] | None = None
    """Probabilities between these go to a person; None: no such band is known."""

    def decide(self, probability: float) -> Verdict:
        """Pass, review or reject for a probability of a defect, and why."""
        if self.review_band and self.review_band[0] <= probability <= self.review_band[1]:
            low, high = self.review_band
            return Verdict("review", f"defect probability {probability:.1%} lies between {low:.1%} and {high:.1%}")
        if probability >= self.threshold:
            return Verdict(
                "reject", f"defect probability {probability:.1%} is at least the threshold {self.threshold:.1%}"
            )
        return Verdict("pass", f"defect probability {probability:.1%} is below the threshold {self.threshold:.1%}")

    def most_likely(self, probability: float) -> tuple[str, float]:
        """The likelier class and its probability."""
        if probability >= 0.5:
            return self.classes.defect, probability
        return self.classes.good, 1 - probability


def read(path: Path) -> Decision:
    """Raises BadInput when the file is no decision."""
    try:
        return Decision.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path} is damaged: {error.errors()[0]['msg']}") from error
