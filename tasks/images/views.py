"""Views: what a network sees of an image.

`raw` is the whole picture, `detail` the fine detail of it, with its aspect ratio, and `ring` the unwrapped ring of a round part.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tasks.images.detail import content_box, detail, letterbox, resize
from tasks.settings.frames import in_pixels, sides
from tasks.settings.model_specs import InputSize, ViewName

RING_SHAPE = (96, 512, 2)  # of `rings.detail`
SMALL_SIDE = 75  # pixels a side of the whole picture, whatever the network sees


class NetworkInput(NamedTuple):
    """An image as a network sees it."""

    levels: np.ndarray
    """uint8 (height, width, planes), as `shape` says."""
    residual: float = 0.0
    """Residual of the rim's ellipse, as a share of its radius; 0 in a view that needs no ring."""


class View(NamedTuple):
    """The functions that turn an image into what a network sees, and describe it."""

    make_input: Callable[[np.ndarray, InputSize], NetworkInput | None]
    """Takes gray levels uint8 (height, width) and a size; returns None where the image does not show what the view needs."""
    shape: Callable[[InputSize], tuple[int, int, int]]
    """Returns height, width and planes for a size."""
    words: Callable[[InputSize], str]
    """Returns what the network sees, in words, for a size."""
    needs_ring: bool = False


def shape(view: ViewName, size: InputSize) -> tuple[int, int, int]:
    """Return height, width and planes of a view at a size."""
    return VIEWS[view].shape(size)


def describe(view: ViewName, size: InputSize) -> str:
    """Return what a network sees, in words, as after `the network sees`."""
    return VIEWS[view].words(size)


def raw(pixels: np.ndarray, size: InputSize) -> NetworkInput:
    """Return gray levels, uint8 (height, width), as one plane, uint8 (rows, columns, 1); the aspect ratio is not kept."""
    return NetworkInput(resize(pixels, sides(size))[..., None])


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize gray levels, uint8 (height, width), to (size, size): averaged when reduced, aspect ratio not kept."""
    return resize(pixels, (size, size))


def whole_detail(pixels: np.ndarray, size: InputSize) -> NetworkInput:
    """Return the detail of gray levels, uint8 (height, width), as two planes, uint8 (rows, columns, 2), the aspect ratio kept."""
    frame = sides(size)
    return NetworkInput(detail(letterbox(pixels, frame), content_box(pixels.shape, frame)))


def ring(pixels: np.ndarray, size: InputSize) -> NetworkInput | None:
    """Return the detail of the unwrapped ring in gray levels uint8 (height, width): uint8 (96, 512, 2). None where no ring is found."""
    from tasks.images import ring_search, rings  # late: they need SciPy, and `raw` does not

    if not (part_ring := ring_search.find(pixels)):
        return None
    return NetworkInput(rings.detail(rings.unwrap(pixels, part_ring)[None])[0], part_ring.residual)


VIEWS: dict[ViewName, View] = {
    "raw": View(raw, lambda size: (*sides(size), 1), in_pixels),
    "detail": View(whole_detail, lambda size: (*sides(size), 2), lambda size: f"the fine detail of {in_pixels(size)}"),
    "ring": View(ring, lambda size: RING_SHAPE, lambda size: "the ring of the part, unwrapped", needs_ring=True),
}
