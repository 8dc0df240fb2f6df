"""Views: what a network sees of an image. `raw` is the whole picture; `ring` is the ring of a round part, found and unwrapped."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tasks.settings.model_specs import ViewName

NO_RING = "no ring of a round part is found in it"
RING_SHAPE = (96, 512, 2)  # of `rings.detail`
GLANCE = 75  # pixels a side of the whole picture, whatever the network sees


class NetworkInput(NamedTuple):
    """An image as a network sees it."""

    levels: np.ndarray
    """uint8 (height, width, planes), as `shape` says."""
    residual: float = 0.0
    """Of the rim's ellipse, as a share of its radius; 0 of a view that looks for no ring."""


class View(NamedTuple):
    """How an image is turned into what a network sees."""

    see: Callable[[np.ndarray, int], NetworkInput | None]
    """Takes gray levels uint8 (height, width) and a size; returns None where the image does not show what the view needs."""
    shape: Callable[[int], tuple[int, int, int]]
    """Returns height, width and planes for a size."""
    words: Callable[[int], str]
    """Returns what the network sees, in words, for a size."""
    needs_ring: bool = False


def shape(view: ViewName, size: int) -> tuple[int, int, int]:
    """Return height, width and planes of a view."""
    return VIEWS[view].shape(size)


def describe(view: ViewName, size: int) -> str:
    """Return what a network sees, in words, as after `the network sees`."""
    return VIEWS[view].words(size)


def raw(pixels: np.ndarray, size: int) -> NetworkInput:
    """Grey levels uint8 (height, width) as one plane (size, size, 1)."""
    return NetworkInput(square(pixels, size)[..., None])


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """Grey levels uint8 (height, width) as (size, size); averaged when smaller, aspect ratio not kept."""
    if pixels.shape == (size, size):
        return pixels
    smaller = min(pixels.shape) >= size
    filtered = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((size, size), filtered))


def ring(pixels: np.ndarray, size: int) -> NetworkInput | None:
    """The detail of the ring in grey levels uint8 (height, width), unwrapped: (96, 512, 2); None where none is found."""
    from tasks.images import rings  # late: it needs SciPy, and `raw` does not

    found = rings.find(pixels)
    return NetworkInput(rings.detail(rings.unwrap(pixels, found)[None])[0], found.residual) if found else None


VIEWS: dict[ViewName, View] = {
    "raw": View(raw, lambda size: (size, size, 1), lambda size: f"{size} x {size} pixels"),
    "ring": View(ring, lambda size: RING_SHAPE, lambda size: "the ring of the part, unwrapped", needs_ring=True),
}
