"""Views: what a network sees of an image. `raw` is the whole picture; `ring` is the ring of a round part, found and unwrapped."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

ViewName = Literal["raw", "ring"]
NO_RING = "no ring of a round part is found in it"
RING_SHAPE = (96, 512, 2)  # of `rings.detail`
GLANCE = 75  # pixels a side of the whole picture, whatever the network sees


class Sight(NamedTuple):
    """An image as a network sees it."""

    levels: np.ndarray
    """uint8 (height, width, planes), as `shape` says."""
    residual: float = 0.0
    """Of the rim's ellipse, as a share of its radius; 0 of a view that looks for no ring."""


View = Callable[[np.ndarray, int], Sight | None]


def shape(view: ViewName, size: int) -> tuple[int, int, int]:
    """Height, width and planes of a view; a ring is unwrapped to the same size always."""
    return RING_SHAPE if view == "ring" else (size, size, 1)


def raw(pixels: np.ndarray, size: int) -> Sight:
    """Grey levels uint8 (height, width) as one plane (size, size, 1)."""
    return Sight(square(pixels, size)[..., None])


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """Grey levels uint8 (height, width) as (size, size); averaged when smaller, aspect ratio not kept."""
    if pixels.shape == (size, size):
        return pixels
    smaller = min(pixels.shape) >= size
    filtered = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((size, size), filtered))


def ring(pixels: np.ndarray, size: int) -> Sight | None:
    """The detail of the ring in grey levels uint8 (height, width), unwrapped: (96, 512, 2); None where none is found."""
    from tasks.images import rings  # late: it needs SciPy, and `raw` does not

    found = rings.find(pixels)
    return Sight(rings.detail(rings.unwrap(pixels, found)[None])[0], found.residual) if found else None


VIEWS: dict[ViewName, View] = {"raw": raw, "ring": ring}
