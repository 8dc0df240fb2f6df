"""Views: what a network sees of an image. `raw` is the whole picture; a view of the part alone finds its place here."""

from collections.abc import Callable

import numpy as np
from PIL import Image

View = Callable[[np.ndarray, int], np.ndarray]


def raw(pixels: np.ndarray, size: int) -> np.ndarray:
    """Grey levels uint8 (height, width) as uint8 (size, size); averaged when smaller, aspect ratio not kept."""
    if pixels.shape == (size, size):
        return pixels
    return np.asarray(
        Image.fromarray(pixels).resize(
            (size, size), Image.Resampling.BOX if min(pixels.shape) >= size else Image.Resampling.BILINEAR
        )
    )


VIEWS: dict[str, View] = {"raw": raw}
