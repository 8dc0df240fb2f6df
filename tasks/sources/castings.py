"""Castings: pump impellers as seen from above, each drawn once, as a surface that a camera can light from any side."""

from collections.abc import Callable
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
    """Where each pixel lies: distance from the centre in shares of the rim, angle clockwise from the right in turns, its cosine and sine."""

    radius: Field
    turn: Field
    cos: Field
    sin: Field


@dataclass(frozen=True)
class Surface:
    """What light meets on one casting, fields of CANVAS x CANVAS."""

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
    bore: float
    """Radius of the central hole."""
    ring: float
    """Outer radius of the raised ring around the cavity."""

    @cached_property
    def slopes(self) -> tuple[Field, Field]:
        """Rise of the height to the right and downwards, -1 to 1."""
        smooth = ndimage.gaussian_filter(self.height, sigma=0.8)
        down, right = np.gradient(smooth)
        return np.clip(right, -1, 1), np.clip(down, -1, 1)


class Outline(NamedTuple):
    """Radii at which an impeller steps, from the centre outwards."""

    bore: float
    hub: float
    cavity: float
    ring: float
    groove: float


@cache
def grid() -> Grid:
    """The one grid of all drawings."""
    offset = (np.arange(CANVAS, dtype=np.float32) - (CANVAS - 1) / 2) / RIM
    x, y = np.meshgrid(offset, offset)
    radius = np.hypot(x, y)
    return Grid(radius, np.arctan2(y, x) / (2 * np.pi) % 1, x / radius, y / radius)


def local(radius: float, turn: float) -> tuple[Field, Field]:
    """Distances in pixels from the point at `radius` and `turn`: outwards, and along the circle through it."""
    around = (grid().turn - turn + 0.5) % 1 - 0.5
    return (grid().radius - radius) * RIM, around * (2 * np.pi * radius * RIM)


def noise(rng: np.random.Generator, cell: float) -> Field:
    """Smooth noise of deviation about 1 whose bumps are about `cell` pixels wide."""
    side = max(4, round(CANVAS / cell))
    coarse = Image.fromarray(rng.standard_normal((side, side), dtype=np.float32))
    return np.asarray(coarse.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))


def draw_casting(rng: np.random.Generator) -> Surface:
    """A good casting: its own proportions, tool marks, cast skin and harmless blemishes."""
    usual = np.array([0.215, 0.29, 0.585, 0.655, 0.69])
    outline = Outline(*(usual * rng.uniform(0.97, 1.03) * rng.uniform(0.99, 1.01, 5)).tolist())
    radius = grid().radius + 0.002 * noise(rng, cell=60)  # no casting is quite round
    albedo = skin(outline, radius) * machining(rng, radius) * blemishes(rng)
    polish = np.interp(radius, [outline.hub, outline.cavity, outline.ring, outline.groove, 0.97, 1], [0.3, 0, 0.3, 1, 1, 0.4])
    cover = np.clip((1 - radius) * RIM + 0.5, 0, 1) * np.clip((radius - outline.bore) * RIM + 0.5, 0, 1)
    return Surface(
        albedo=(albedo + vanes(rng, outline, radius)).astype(np.float32),
        polish=polish.astype(np.float32),
        height=relief(outline, radius).astype(np.float32) + 0.06 * noise(rng, cell=2),
        cover=cover.astype(np.float32),
        defect=np.zeros_like(radius),
        bore=outline.bore,
        ring=outline.ring,
    )


def steps(edges: list[float], levels: list[float]) -> Callable[[Field], Field]:
    """A function of the radius that has each of `levels` in turn and changes at `edges` within two pixels."""
    half = 1 / RIM
    knots = [side for edge in edges for side in (edge - half, edge + half)]
    values = [levels[0], *(level for level in levels[1:-1] for _ in range(2)), levels[-1]]
    return lambda radius: np.interp(radius, knots, values).astype(np.float32)


def skin(outline: Outline, radius: Field) -> Field:
    """Albedo without any marks: bright where machined, nearly black down in the cavity."""
    edges = [outline.hub, outline.cavity, outline.ring, outline.groove, 0.988]
    return steps(edges, [0.78, 0.045, 0.80, 0.62, 0.80, 0.45])(radius)


def relief(outline: Outline, radius: Field) -> Field:
    """Height in pixels: hub and ring stand out, the cavity lies deep, the face falls towards the rim."""
    steep = steps([outline.hub, outline.cavity, outline.ring, outline.groove], [4, -6, 4, -1, 0])(radius)
    return steep - 8 * np.clip(radius - outline.groove, 0, None) ** 2


def machining(rng: np.random.Generator, radius: Field) -> Field:
    """Factor about 1: rings that the lathe left, broken along the turn, over the mottle of the cast metal."""
    rings = ndimage.gaussian_filter1d(rng.normal(size=400), sigma=1.0) * 0.035
    brushed = ndimage.gaussian_filter(rng.standard_normal((200, 512), dtype=np.float32), sigma=(0.7, 12), mode=("nearest", "wrap"))
    arcs = brushed[(radius * 140).astype(np.int16).clip(0, 199), (grid().turn * 512).astype(np.int16)]
    mottle = 0.025 * noise(rng, cell=28) + 0.012 * noise(rng, cell=7) + 0.014 * noise(rng, cell=1.6)
    return 1 + np.interp(radius, np.linspace(0, 1.1, 400), rings) + 0.20 * arcs + mottle


def vanes(rng: np.random.Generator, outline: Outline, radius: Field) -> Field:
    """Albedo that the edges of the curved vanes add to the dark of the cavity."""
    depth = np.clip((radius - outline.hub) / (outline.cavity - outline.hub), 0, 1)
    behind = (6 * (grid().turn + rng.uniform()) + 2.6 * depth) % 1  # six vanes, each swept back
    inside = np.clip(8 * depth * np.sqrt(1 - depth) - 1, 0, 1)
    glint = np.clip(0.5 + 0.8 * noise(rng, cell=22), 0, 2.5)  # raw metal, and dirt on it
    return inside * glint * (0.11 * np.exp(-behind / 0.10) + 0.05 * np.exp(-behind / 0.4))


def blemishes(rng: np.random.Generator) -> Field:
    """Factor about 1 of what no inspector minds: stains, scuffs and specks, faint or soft-edged."""
    factor = np.ones((CANVAS, CANVAS), dtype=np.float32)
    for _ in range(rng.poisson(3)):  # stains
        outward, along = local(rng.uniform(0.6, 0.97), rng.uniform())
        reach = rng.uniform(4, 14) ** 2
        factor *= 1 - rng.uniform(-0.06, 0.14) * np.exp(-(outward**2 + (along / rng.uniform(1, 2.5)) ** 2) / reach)
    for _ in range(rng.poisson(2)):  # scuffs along the turn
        outward, along = local(rng.uniform(0.7, 0.97), rng.uniform())
        factor *= 1 + rng.uniform(-0.10, 0.12) * np.exp(-(outward**2) / 1.5 - (along / rng.uniform(6, 25)) ** 2)
    for _ in range(rng.poisson(4)):  # specks
        outward, along = local(rng.uniform(0.58, 1.0), rng.uniform())
        factor *= 1 + rng.uniform(-0.22, 0.25) * np.exp(-(outward**2 + along**2) / rng.uniform(1.2, 3))
    return factor
