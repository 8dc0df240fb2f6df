"""Parts: draw pump impellers from above, each with its own proportions, tool marks and harmless blemishes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from tasks.sources.synthetic.surface import CANVAS, RIM, Field, Outline, Surface, grid, local, noise


def draw_casting(rng: np.random.Generator) -> Surface:
    """Draw a good casting. The next call with the same generator draws another one."""
    usual = np.array([0.215, 0.29, 0.585, 0.655, 0.69])  # as on the submersible pumps of the published set
    outline = Outline(*(usual * rng.uniform(0.97, 1.03) * rng.uniform(0.99, 1.01, 5)).tolist())
    radius = grid().radius + 0.002 * noise(rng, cell=60)  # no casting is perfectly round
    albedo = skin(outline, radius) * machining(rng, radius) * blemishes(rng)
    polish = np.interp(
        radius, [outline.hub, outline.cavity, outline.ring, outline.groove, 0.97, 1], [0.3, 0, 0.3, 1, 1, 0.4]
    )
    cover = np.clip((1 - radius) * RIM + 0.5, 0, 1) * np.clip((radius - outline.bore) * RIM + 0.5, 0, 1)
    return Surface(
        albedo=(albedo + vanes(rng, outline, radius)).astype(np.float32),
        polish=polish.astype(np.float32),
        height=relief(outline, radius).astype(np.float32) + 0.06 * noise(rng, cell=2),
        cover=cover.astype(np.float32),
        defect=np.zeros_like(radius),
        outline=outline,
    )


def step_function(edges: list[float], levels: list[float]) -> Callable[[Field], Field]:
    """Return a function of the radius that takes each of `levels` in turn and changes at `edges` within two pixels."""
    half = 1 / RIM
    knots = [side for edge in edges for side in (edge - half, edge + half)]
    values = [levels[0], *(level for level in levels[1:-1] for _ in range(2)), levels[-1]]
    return lambda radius: np.interp(radius, knots, values).astype(np.float32)


def skin(outline: Outline, radius: Field) -> Field:
    """Return the albedo without any marks: bright where machined, nearly black down in the cavity."""
    edges = [outline.hub, outline.cavity, outline.ring, outline.groove, 0.988]
    return step_function(edges, [0.78, 0.055, 0.80, 0.62, 0.80, 0.42])(radius)


def relief(outline: Outline, radius: Field) -> Field:
    """Return the height in pixels: hub and ring stand out, the cavity lies deep, the face falls towards the rim."""
    steps = step_function([outline.hub, outline.cavity, outline.ring, outline.groove], [4, -6, 4, -1, 0])
    return steps(radius) - 8 * np.clip(radius - outline.groove, 0, None) ** 2


def machining(rng: np.random.Generator, radius: Field) -> Field:
    """Return a factor about 1: the rings that the lathe left, broken along the turn, over the mottle of the cast metal."""
    rings = ndimage.gaussian_filter1d(rng.normal(size=400), sigma=1.0) * 0.035
    brushed = ndimage.gaussian_filter(
        rng.standard_normal((200, 512), dtype=np.float32), sigma=(0.7, 12), mode=("nearest", "wrap")
    )
    arcs = brushed[(radius * 140).astype(np.int16).clip(0, 199), (grid().turn * 512).astype(np.int16)]
    # the stains, which are the first three, are unlike those of all other castings
    mottle = sum(strength * noise(rng, cell) for strength, cell in ((0.03, 28), (0.045, 14), (0.03, 7), (0.014, 1.6)))
    return 1 + np.interp(radius, np.linspace(0, 1.1, 400), rings) + 0.20 * arcs + mottle


def vanes(rng: np.random.Generator, outline: Outline, radius: Field) -> Field:
    """Return the albedo that the edges of the curved vanes add to the dark cavity."""
    depth = np.clip((radius - outline.hub) / (outline.cavity - outline.hub), 0, 1)
    behind = (6 * (grid().turn + rng.uniform()) + 2.6 * depth) % 1  # six vanes, each swept back
    inside = np.clip(8 * depth * np.sqrt(1 - depth) - 1, 0, 1)
    glint = np.clip(0.5 + 0.8 * noise(rng, cell=22), 0, 2.5)  # raw metal, and dirt on it
    return inside * glint * (0.11 * np.exp(-behind / 0.10) + 0.05 * np.exp(-behind / 0.4))


class Blemish(NamedTuple):
    """A kind of mark that no inspector minds, because it is faint or has soft edges. A casting has any number of them."""

    mean_number: float
    across: tuple[float, float]
    """Half width in pixels, least and most; then along the turn."""
    along: tuple[float, float]
    tint: tuple[float, float]
    """Darkest and lightest, as a share of the albedo."""


STAIN = Blemish(mean_number=3, across=(2, 4), along=(2, 8), tint=(-0.14, 0.06))
SCUFF = Blemish(mean_number=2, across=(0.8, 1.2), along=(5, 22), tint=(-0.10, 0.12))
SPECK = Blemish(mean_number=4, across=(0.8, 1.4), along=(0.8, 1.4), tint=(-0.22, 0.25))


def blemishes(rng: np.random.Generator) -> Field:
    """Return a factor about 1 with all harmless marks."""
    factor = np.ones((CANVAS, CANVAS), dtype=np.float32)
    for blemish in (STAIN, SCUFF, SPECK):
        for _ in range(rng.poisson(blemish.mean_number)):
            outward, along = local(rng.uniform(0.6, 0.98), rng.uniform())
            bump = np.exp(-((outward / rng.uniform(*blemish.across)) ** 2) - (along / rng.uniform(*blemish.along)) ** 2)
            factor *= 1 + rng.uniform(*blemish.tint) * bump
    return factor
