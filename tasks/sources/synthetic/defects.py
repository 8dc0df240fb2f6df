"""Defects: draw the damage of foundry and handling on a casting, from obvious to barely visible."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np

from tasks.sources.synthetic.surface import RIM, Field, Surface, grid, local, noise

Kind = Literal["blow_hole", "pinholes", "scratch", "chipped_edge", "flash", "missing_metal"]
Difficulty = Literal["easy", "medium", "hard"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES: dict[Difficulty, tuple[float, float]] = {"easy": (28, 46), "medium": (18, 28), "hard": (8, 14)}
"""Extent in pixels of the drawing; a photograph shows it an eighth smaller."""


class Defect(NamedTuple):
    """The kind of a part's defect, and how hard it is to see."""

    kind: str
    """A key of the product's shapes."""
    difficulty: Difficulty


class Finish(NamedTuple):
    """The look of metal in a defect."""

    depth: float
    """Height that the defect adds, in pixels."""
    albedo: float
    """Of the metal in the defect, 0 to 1."""
    mottle: float
    """Deviation of the albedo, as a share of it."""


FINISHES: dict[str, Finish] = {
    "blow_hole": Finish(depth=-5, albedo=0.10, mottle=0.7),
    "pinholes": Finish(depth=-3, albedo=0.06, mottle=0.1),
    "scratch": Finish(depth=-2, albedo=0.14, mottle=0.4),
    "chipped_edge": Finish(depth=-4, albedo=0.13, mottle=0.7),
    "flash": Finish(depth=2, albedo=0.16, mottle=0.9),
    "missing_metal": Finish(depth=-6, albedo=0.07, mottle=0.7),
}


def spoil(surface: Surface, defect: Defect, rng: np.random.Generator) -> Surface:
    """Return a copy of `surface` with the defect."""
    size = rng.uniform(*SIZES[defect.difficulty])
    # nothing of it in the cavity: a defect in the dark would not be visible
    shape = SHAPES[defect.kind](surface, size, rng) * (grid().radius > surface.outline.cavity)
    finish = FINISHES[defect.kind]
    grain = 0.8 * noise(rng, cell=7) + 0.6 * noise(rng, cell=2.5)
    rough = finish.albedo * np.clip(1 + finish.mottle * grain, 0.2, 4)
    return replace(
        surface,
        albedo=surface.albedo + shape * (rough - surface.albedo),
        polish=surface.polish * (1 - shape),
        height=surface.height + shape * (finish.depth + grain),
        cover=changed_cover(surface, defect.kind, shape),
        defect=shape,
    )


def changed_cover(surface: Surface, kind: str, shape: Field) -> Field:
    """Return the cover, enlarged by a flash or reduced by a chipped edge. Of the chip, a dark facet of the break stays covered."""
    if kind == "flash":
        return np.maximum(surface.cover, shape)
    if kind == "chipped_edge":
        return surface.cover * (1 - shape * np.clip((grid().radius - 0.975) * RIM / 3, 0, 1))
    return surface.cover


def blob(outward: Field, along: Field, size: float, rng: np.random.Generator) -> Field:
    """Draw a ragged spot about `size` pixels wide around the point where both distances are 0."""
    stretch = rng.uniform(0.75, 1.3)
    distance = np.hypot(outward * stretch, along / stretch) / (size / 2)
    ragged = distance + 0.22 * noise(rng, cell=max(3, size / 3)) + 0.06 * noise(rng, cell=3)
    return np.clip((1 - ragged) * size / 3 + 0.5, 0, 1) * (distance < 1.6)


def blow_hole(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw a gas bubble that the tool has cut open: a ragged pit with a smaller pit beside it."""
    # on the face, on the face near the rim, on the ring
    places = (rng.uniform(0.72, 0.96), rng.uniform(0.86, 0.96), surface.outline.ring - 0.03)
    outward, along = local(places[rng.integers(len(places))], rng.uniform())
    small_pit = blob(outward - rng.uniform(-0.6, 0.6) * size, along - rng.uniform(-0.8, 0.8) * size, 0.45 * size, rng)
    return np.maximum(blob(outward, along, 0.8 * size, rng), small_pit)


def pinholes(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw a swarm of small round holes."""
    outward, along = local(rng.uniform(0.76, 0.94), rng.uniform())
    nearest = np.full_like(outward, np.inf)  # squared distance to the nearest hole, in its radii
    for _ in range(3 + round(size / 4)):
        hole_outward, hole_along = rng.normal(0, size / 5, 2).tolist()
        nearest = np.minimum(
            nearest, ((outward - hole_outward) ** 2 + (along - hole_along) ** 2) / rng.uniform(1.7, 3.2) ** 2
        )
    return np.clip(2.3 - 1.8 * np.sqrt(nearest), 0, 1)


def scratch(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw a curved furrow that crosses the tool marks."""
    outward, along = local(rng.uniform(0.78, 0.92), rng.uniform())
    # radians off the circle: along the circle it would look like a tool mark
    tilt = math.copysign(rng.uniform(0.5, 1.4), rng.uniform(-1, 1))
    forward = along * math.cos(tilt) + outward * math.sin(tilt)
    sideways = outward * math.cos(tilt) - along * math.sin(tilt) - rng.uniform(-0.004, 0.004) * forward**2
    width = rng.uniform(1.5, 2.4) * np.clip(1.2 - np.abs(forward) / size, 0, 1)  # half width, thinner towards the ends
    return (
        np.clip(width - np.abs(sideways) + 0.5, 0, 1)
        * np.clip(0.9 * size - np.abs(forward), 0, 1)
        * (grid().radius < 1)
    )


def chipped_edge(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw a piece that is broken out of the rim."""
    outward, along = local(rng.uniform(0.97, 1.0), rng.uniform())
    return blob(outward, along / 1.3, size, rng) * (surface.cover > 0)


def flash(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw thin extra metal that ran out between the halves of the mold, in ragged tongues along the rim."""
    tongues = np.zeros_like(surface.cover)
    start = rng.uniform()
    for number in range(1 + round(size / 8)):
        outward, along = local(1.0, start + number * rng.uniform(0.03, 0.12))
        reach = rng.uniform(0.15, 0.3) * size * np.clip(1 - (along / rng.uniform(0.5, 1.0) / size) ** 2, 0, 1)
        edge = reach * (1 + 0.4 * noise(rng, cell=8)) + 1
        tongues = np.maximum(tongues, np.clip(edge - outward, 0, 1) * np.clip(outward + 2, 0, 1) * (reach > 0))
    return tongues


def missing_metal(surface: Surface, size: float, rng: np.random.Generator) -> Field:
    """Draw a stretch of the raised ring that the melt did not fill."""
    outward, along = local(surface.outline.ring - 0.01, rng.uniform())
    return blob(outward * 1.4, along / 1.5, size, rng)


SHAPES: dict[str, Callable[[Surface, float, np.random.Generator], Field]] = {
    "blow_hole": blow_hole,
    "pinholes": pinholes,
    "scratch": scratch,
    "chipped_edge": chipped_edge,
    "flash": flash,
    "missing_metal": missing_metal,
}
"""The function that draws the shape of each kind, 0 to 1, for an extent in pixels."""
