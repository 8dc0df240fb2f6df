"""Surface: the properties of a drawn casting that the light meets, and the canvas that all drawings share."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

CANVAS = 320
"""Side of a drawing in pixels."""
RIM = 140.0
"""Radius of a casting in pixels of the drawing; the radii below are shares of it."""

Field = np.ndarray
"""float32 (CANVAS, CANVAS)."""


class Grid(NamedTuple):
    """The polar coordinates of each pixel."""

    radius: Field
    """From the center, as a share of the rim."""
    turn: Field
    """Clockwise from the right, in turns, 0 to 1; then its cosine and sine."""
    cos: Field
    sin: Field


class Outline(NamedTuple):
    """The radii at which an impeller steps: the central hole, its hub, the cavity, the raised ring and the groove around it."""

    bore: float
    hub: float
    cavity: float
    ring: float
    groove: float


@dataclass(frozen=True)
class Surface:
    """The properties of one casting that the light meets, as fields of CANVAS x CANVAS."""

    albedo: Field
    """Share of the light that comes back, 0 to 1."""
    polish: Field
    """1 where a tool has cut and the metal glares in sectors, 0 where it is raw."""
    height: Field
    """In pixels of the drawing, above the machined face."""
    cover: Field
    """1 on metal, 0 where the table shows: outside the rim and in the bore."""
    defect: Field
    """1 where a defect is."""
    outline: Outline

    @cached_property
    def slopes(self) -> tuple[Field, Field]:
        """Return the rise of the height to the right and downwards, -1 to 1."""
        down, right = np.gradient(ndimage.gaussian_filter(self.height, sigma=0.8))
        return np.clip(right, -1, 1), np.clip(down, -1, 1)


@cache
def grid() -> Grid:
    """Return the grid that all drawings share."""
    offset = (np.arange(CANVAS, dtype=np.float32) - (CANVAS - 1) / 2) / RIM
    x, y = np.meshgrid(offset, offset)
    radius = np.hypot(x, y)
    return Grid(radius, np.arctan2(y, x) / (2 * np.pi) % 1, x / radius, y / radius)


def local(radius: float, turn: float) -> tuple[Field, Field]:
    """Return the distances in pixels from the point at `radius` and `turn`: outwards, and along the circle through it."""
    around = (grid().turn - turn + 0.5) % 1 - 0.5
    return (grid().radius - radius) * RIM, around * (2 * np.pi * radius * RIM)


def noise(
    rng: np.random.Generator, cell: float | tuple[float, float], shape: tuple[int, int] = (CANVAS, CANVAS)
) -> Field:
    """Return smooth noise of `shape`, with a deviation of about 1 and bumps of about `cell` pixels: a number, or down and right."""
    down, right = (max(4, round(side / size)) for side, size in zip(shape, np.broadcast_to(cell, 2), strict=True))
    coarse = Image.fromarray(rng.standard_normal((down, right), dtype=np.float32))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))
