"""Tile surface: draw ground flat plates, each with its own grain, machining streaks, stains and harmless marks."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tasks.sources.synthetic.surface import Field, noise

HEIGHT, WIDTH = 340, 250
"""Usual sides of a tile in pixels. Each side of a tile differs by up to `TOLERANCE` of it."""
TOLERANCE = 0.07
SUPERSAMPLING = 4
"""Strokes are drawn this many times larger, so that their edges are smooth."""

Shape = tuple[int, int]
"""Height and width in pixels."""
Points = list[tuple[float, float]]
"""The corners of a stroke, (right, down) in pixels of the tile."""


@dataclass(frozen=True)
class Tile:
    """The properties of one tile that the light meets, as fields of its size."""

    albedo: Field
    """Share of the light that comes back in all directions, 0 to 1."""
    gloss: Field
    """Share of the light that streaks and grain mirror, 0 to 1."""
    height: Field
    """In pixels, above the ground face."""
    defect: Field
    """1 where a defect is."""

    @property
    def shape(self) -> Shape:
        """Return the size of the tile."""
        height, width = self.albedo.shape
        return height, width


def draw_tile(rng: np.random.Generator) -> Tile:
    """Draw a good tile. The next call with the same generator draws another one."""
    height, width = np.array([HEIGHT, WIDTH]) * rng.uniform(1 - TOLERANCE, 1 + TOLERANCE, 2)
    shape = round(height), round(width)
    albedo = rng.uniform(0.36, 0.5) * skin(rng, shape) * bevel(rng, shape) * stains(rng, shape) * scuffs(rng, shape)
    return Tile(
        albedo=albedo.astype(np.float32),
        gloss=glints(rng, shape),
        height=0.05 * noise(rng, 2, shape),
        defect=np.zeros(shape, np.float32),
    )


def skin(rng: np.random.Generator, shape: Shape) -> Field:
    """Return a factor about 1: wide bands and fine streaks of the grinding, and the grain of the material."""
    bands = rng.uniform(0.1, 0.25) * noise(rng, (400, 50), shape) + 0.04 * noise(rng, (200, 12), shape)
    streaks = rng.uniform(0.03, 0.07) * (noise(rng, (400, 1.6), shape) + noise(rng, (60, 1.3), shape))
    grain = rng.uniform(0.03, 0.06) * (noise(rng, 1, shape) + noise(rng, (5, 2), shape))
    return np.clip(1 + bands + streaks + grain, 0.3, 2)


def bevel(rng: np.random.Generator, shape: Shape) -> Field:
    """Return a factor about 1: two edges lean away from the face, and are darker or brighter."""
    right = np.arange(shape[1], dtype=np.float32)
    left_edge, right_edge = (
        np.clip((rng.uniform(3, 22) - away) / 3, 0, 1) * rng.uniform(-0.3, 0.25) for away in (right, right[::-1])
    )
    return 1 + left_edge + right_edge


def glints(rng: np.random.Generator, shape: Shape) -> Field:
    """Return the gloss: some lines of the grinding glare, and more so in some places."""
    lines = np.clip(noise(rng, (500, 1.4), shape) - rng.uniform(0.7, 1.4), 0, 2)
    broken = np.clip(0.7 + 0.6 * noise(rng, (25, 1.2), shape) + 0.4 * noise(rng, 1, shape), 0, 2)
    places = np.clip(0.6 + 0.7 * noise(rng, (130, 60), shape), 0.1, 2)
    return (rng.uniform(0.15, 0.4) * lines * broken * places).astype(np.float32)


def stains(rng: np.random.Generator, shape: Shape) -> Field:
    """Return a factor about 1: clouds, dried drops and smears with ragged edges."""
    factor = np.clip(1 + rng.uniform(0.12, 0.25) * noise(rng, 90, shape) + 0.04 * noise(rng, 24, shape), 0.4, 2)
    down, right = np.indices(shape, dtype=np.float32)
    for _ in range(rng.poisson(6)):
        middle, half = rng.uniform((0, 0), shape), rng.uniform((8, 5), (50, 25))
        distance = np.hypot((down - middle[0]) / half[0], (right - middle[1]) / half[1])
        ragged = distance + 0.3 * noise(rng, 14, shape) + 0.2 * noise(rng, 4, shape)
        drop = np.clip((1 - ragged) * rng.uniform(1.5, 5), 0, 1)
        factor *= 1 + rng.uniform(-0.3, 0.12) * drop * (1 + 0.3 * noise(rng, 3, shape))
    return factor


def scuffs(rng: np.random.Generator, shape: Shape) -> Field:
    """Return a factor about 1: faint scratches with soft edges, and specks that are smaller than any blowhole."""
    factor = np.ones(shape, np.float32)
    for _ in range(rng.poisson(4)):
        path = wander(rng.uniform((0, 0), shape[::-1]), rng.uniform(0, 2 * np.pi), rng.uniform(15, 70), rng)
        faint = stroke(shape, path, [rng.uniform(1, 2.2)] * len(path), soft=rng.uniform(1.2, 2.2))
        factor *= 1 + rng.uniform(-0.35, 0.35) * faint
    for right, down in rng.uniform((0, 0), shape[::-1], (rng.poisson(10), 2)):
        speck = stroke(shape, [(right, down), (right + rng.uniform(0.5, 2), down)], [rng.uniform(1, 2)], soft=0.7)
        factor *= 1 + rng.uniform(-0.6, 0.3) * speck
    return factor


def wander(start: np.ndarray, heading: float, length: float, rng: np.random.Generator) -> Points:
    """Return a path from `start` (right, down) in steps of 2 pixels that bends slowly."""
    angles = heading + np.cumsum(rng.normal(0, 0.05, max(2, round(length / 2))))
    path = start + np.cumsum(2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0)
    return [(right, down) for right, down in path.tolist()]


def stroke(shape: Shape, path: Points, widths: list[float], soft: float) -> Field:
    """Draw a path with a width in pixels for each of its steps, blurred by `soft` pixels: 0 to 1."""
    canvas = Image.new("L", (shape[1] * SUPERSAMPLING, shape[0] * SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    corners = [(SUPERSAMPLING * right, SUPERSAMPLING * down) for right, down in path]
    for start, stop, width in zip(corners, corners[1:], widths, strict=False):
        pen.line((start, stop), fill=255, width=max(1, round(SUPERSAMPLING * width)))
    return np.asarray(canvas.reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(soft))) / np.float32(255)
