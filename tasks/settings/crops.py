"""Crops: where in a picture the network looks, as the settings and the models say it."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator

PART, MASK = "part", "mask"
NARROWEST = 0.01  # share of a side: a narrower box shows no part
EXPECTED = (
    f"{PART} (the part's outline), {MASK} (where the masks of the training images mark defects), or a box LEFT,TOP,RIGHT,BOTTOM "
    "such as 0.1,0.2,0.9,0.8: shares of the width and the height from 0 to 1, from the upper left corner"
)


class Shares(NamedTuple):
    """The sides of a box, as shares of the width or the height of a picture, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def narrower(self) -> float:
        """Return the smaller of the box's two shares of the picture."""
        return min(self.right - self.left, self.bottom - self.top)


WHOLE = Shares(0.0, 0.0, 1.0, 1.0)


def box_text(box: Sequence[float]) -> str:
    """Return a box as settings and models write it. Equal boxes give equal text."""
    return ",".join(f"{share:.4f}".rstrip("0").rstrip(".") for share in box)


def box_shares(text: str) -> Shares:
    """Return the box that a text gives. Raises ValueError where it gives none, or none within a picture."""
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if len(numbers) != len(Shares._fields):
        raise ValueError(f"crop is {text!r}: expected {EXPECTED}")
    box = Shares(*numbers)
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in box):
        pixels = "; divide pixels by the width and the height of the pictures" if max(box) > 1 else ""
        raise ValueError(f"crop is {text!r}, of which not all are shares from 0 to 1: expected {EXPECTED}{pixels}")
    if box.narrower < NARROWEST - 1e-9:
        raise ValueError(
            f"crop is {text!r}, but its right side must lie right of its left one, and its bottom below its top, by {NARROWEST} at least: "
            f"expected {EXPECTED}"
        )
    return box


def join_numbers(value: object) -> object:
    """Return a list of numbers as a text with commas, as a file of settings may give a box; another value as it is."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def require_crop(text: str) -> str:
    """Return where the network looks, in one form. Raises ValueError where the text does not say it."""
    if text in (PART, MASK):
        return text
    rounded = box_text(box_shares(text))
    box_shares(rounded)
    return rounded


Crop = Annotated[str, BeforeValidator(join_numbers), AfterValidator(require_crop)]
"""`part`, `mask`, or a box as `box_text` writes it. What is stored with a network is never `mask`, but the box that was found."""
