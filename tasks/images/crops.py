"""Crops: cut a picture to where the network looks. What lies outside decides nothing.

The same function crops for training and for prediction. It depends on the picture and the setting alone.
"""

import math

import numpy as np

from tasks.images.detail import Box
from tasks.images.levels import Least
from tasks.settings.crops import PART, WHOLE, Crop, Shares, box_shares

ROUNDING = 6  # decimals: 0.7 x 10 pixels are 7, and not 7.000000000000001


def crop_levels(pixels: np.ndarray, crop: Crop | None) -> np.ndarray:
    """Return the part of gray levels uint8 (height, width) in which the network looks."""
    return cut(pixels, find_shares(pixels, crop)) if crop else pixels


def find_shares(pixels: np.ndarray, crop: Crop | None) -> Shares:
    """Return where the network looks in gray levels uint8 (height, width)."""
    if crop is None:
        return WHOLE
    if crop != PART:
        return box_shares(crop)
    from tasks.images.outline import find_part  # late: it needs SciPy

    return find_part(pixels)


def cut(pixels: np.ndarray, shares: Shares) -> np.ndarray:
    """Return the pixels (height, width) within the shares."""
    return pixels[pixel_box(shares, (pixels.shape[0], pixels.shape[1])).slices]


def pixel_box(shares: Shares, shape: tuple[int, int]) -> Box:
    """Return the shares of a picture of `shape`, (height, width), in whole pixels: those that they touch, one at least."""
    (top, bottom), (left, right) = (
        touched(first, last, side)
        for first, last, side in zip((shares.top, shares.left), (shares.bottom, shares.right), shape, strict=True)
    )
    return Box(top, left, bottom - top, right - left)


def touched(first: float, last: float, side: int) -> tuple[int, int]:
    """Return the first pixel of a side that lies between two shares of it, and the one after the last."""
    begin = min(math.floor(round(first * side, ROUNDING)), side - 1)
    return begin, max(math.ceil(round(last * side, ROUNDING)), begin + 1)


def least_of_crop(least: Least, crop: Crop | None) -> Least:
    """Return how far a whole picture may be reduced so that its crop is as large as `least` says.

    The outline of a part is looked for in the picture as it is: nobody knows before how small the part is in it.
    """
    if crop is None or least.pixels is None:
        return least
    return Least() if crop == PART else Least(math.ceil(least.pixels / box_shares(crop).narrower))


def crop_kind(crop: Crop | None) -> str:
    """Return the end of the name under which results are cached that depend on a crop."""
    return f" within {crop}" if crop else ""


def describe_crop(crop: Crop | None) -> str:
    """Return a sentence that says where in a photograph the network looks; nothing where it sees the whole."""
    if crop is None:
        return ""
    if crop == PART:
        return "Of each photograph it sees the part alone, found by its outline, with a margin."
    left, top, right, bottom = (f"{share:.1%}".replace(".0%", "%") for share in box_shares(crop))
    return f"Of each photograph it sees the box from {left} to {right} of the width and from {top} to {bottom} of the height."
