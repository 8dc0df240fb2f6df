"""Tile defects: draw blowholes and cracks on a tile, from obvious to barely visible."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np

from tasks.sources.synthetic.defects import Defect, Difficulty
from tasks.sources.synthetic.surface import Field, noise
from tasks.sources.synthetic.tile_surface import Shape, Tile, stroke, wander

TileKind = Literal["blowhole", "crack"]
TILE_KINDS: tuple[TileKind, ...] = get_args(TileKind)
MARGIN = 20
"""Pixels from the edge of a tile to the middle of a blowhole at least: no cut of a photograph loses it."""


class Grade(NamedTuple):
    """The measures of a defect of one difficulty: least and most."""

    hole: tuple[float, float]
    """Pixels across a blowhole."""
    crack: tuple[float, float]
    """Pixels along a crack."""
    width: tuple[float, float]
    """Pixels across a crack."""
    dark: tuple[float, float]
    """Share of the light that is lost in the defect."""


GRADES: dict[Difficulty, Grade] = {
    "easy": Grade(hole=(10, 14), crack=(90, 180), width=(2.3, 3), dark=(0.65, 0.8)),
    "medium": Grade(hole=(7, 10), crack=(55, 90), width=(1.9, 2.4), dark=(0.55, 0.7)),
    "hard": Grade(hole=(4.5, 7), crack=(30, 55), width=(1.5, 1.9), dark=(0.5, 0.65)),
}


def spoil_tile(tile: Tile, defect: Defect, rng: np.random.Generator) -> Tile:
    """Return a copy of `tile` with the defect."""
    grade = GRADES[defect.difficulty]
    shape = SHAPES[defect.kind](tile, grade, rng)
    mottled = np.clip(1 + 0.15 * noise(rng, 3, tile.shape), 0, 1.2)
    remains = 1 - rng.uniform(*grade.dark) * shape * mottled
    return replace(
        tile,
        albedo=tile.albedo * remains,
        gloss=tile.gloss * (1 - shape),
        height=tile.height - 1.5 * shape,
        defect=np.maximum(tile.defect, shape),
    )


def blowholes(tile: Tile, grade: Grade, rng: np.random.Generator) -> Field:
    """Draw one or two gas bubbles that the grinding has cut open: dark ragged ellipses."""
    holes = np.zeros_like(tile.defect)
    down, right = np.indices(tile.shape, dtype=np.float32)
    for _ in range(rng.integers(1, 3)):
        size, stretch, turn = rng.uniform(*grade.hole), rng.uniform(1, 1.3), rng.uniform(0, np.pi)
        middle = rng.uniform(MARGIN, np.subtract(tile.shape, MARGIN))
        down_away, right_away = down - middle[0], right - middle[1]
        along = right_away * np.cos(turn) + down_away * np.sin(turn)
        across = down_away * np.cos(turn) - right_away * np.sin(turn)
        distance = np.hypot(along / stretch, across * stretch) / (size / 2)
        ragged = distance + 0.12 * noise(rng, max(2.5, size / 3), tile.shape)
        holes = np.maximum(holes, np.clip((1 - ragged) * size / 2 + 0.5, 0, 1) * (distance < 1.5))
    return holes


def cracks(tile: Tile, grade: Grade, rng: np.random.Generator) -> Field:
    """Draw a jagged dark line that thins out at its ends; some have a branch."""
    length, width, heading = rng.uniform(*grade.crack), rng.uniform(*grade.width), rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(0.2, 0.8, 2) * tile.shape[::-1]
    start = middle - length / 2 * np.array([np.cos(heading), np.sin(heading)])
    path = crack_path(start, heading, length, rng)
    line = fissure(tile.shape, path, width)
    if rng.uniform() < 0.4:
        side = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1)
        branch = crack_path(path[len(path) // 2], side, length / 3, rng)
        line = np.maximum(line, fissure(tile.shape, branch, 0.8 * width))
    return line


def crack_path(start: np.ndarray, heading: float, length: float, rng: np.random.Generator) -> np.ndarray:
    """Return the path of a crack, (right, down) in pixels: float64 (points, 2)."""
    path = np.array(wander(start, heading, length, rng))
    return path + rng.normal(0, 0.7, path.shape)


def fissure(shape: Shape, path: np.ndarray, width: float) -> Field:
    """Draw a crack along `path`. It is `width` pixels wide and half of that at its ends."""
    points = np.arange(len(path))
    ends = np.clip(points * points[::-1] / len(points) / 2, 0.5, 1)
    return stroke(shape, path.tolist(), (width * ends).tolist(), soft=0.4)


SHAPES: dict[str, Callable[[Tile, Grade, np.random.Generator], Field]] = {"blowhole": blowholes, "crack": cracks}
"""The function that draws the shape of each kind, 0 to 1."""
