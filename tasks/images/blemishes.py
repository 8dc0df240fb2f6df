"""Blemishes: draw blemishes into the detail of good parts, so that a network learns what is not normal without any defect.

Drawn blemishes in place of defects come from CutPaste (Li et al., 2021) and DRAEM (Zavrtanik et al., 2021).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tasks.images.detail import NEAR, NOTHING, QUIET, STEP, Box, planes_of
from tasks.images.marks import DEFECT, SOUND
from tasks.storage.parallel import map_chunks_in_threads

SINGLE, MOST = 0.8, 3  # share of the pictures with one blemish; the others have up to three
LINES = 0.4  # share of the blemishes that are lines; the others are spots
RADII = 1.5, 0.08  # least radius of a spot in pixels, and greatest as a share of the shorter side of the picture
LENGTHS = 8.0, 0.5  # likewise of a line's length
WIDTHS = 1, 4  # pixels: of a line
STRENGTHS = 3.0, 12.0  # how far a tone lies from the surface, in deviations of its detail
CORNERS, BENDS = 12, 6  # of the outline of a spot, and of a line
SEEN = 0.25  # share of a pixel that a blemish covers at least, where it is marked
Filling: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def draw_blemishes(
    pictures: np.ndarray, numbers: np.ndarray, seeds: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of pictures with blemishes, uint8 (copies, rows, columns, 2), and their marks, uint8 (copies, rows, columns).

    `pictures` uint8 (pictures, rows, columns, 2) are as `detail` makes them; `numbers` int (copies,) says of which each copy is.
    Marks are as in `tasks.images.marks`. The result depends on these arguments alone.
    """
    copies = np.empty((len(numbers), *pictures.shape[1:]), np.uint8)
    marks = np.empty(copies.shape[:3], np.uint8)

    def fill(places: Sequence[int]) -> list[None]:
        for place in places:
            random = np.random.default_rng((*seeds, place))
            foreign = pictures[random.integers(len(pictures))]
            copies[place], marks[place] = blemish(pictures[numbers[place]], foreign, random)
        return []

    map_chunks_in_threads(fill, range(len(numbers)))
    return copies, marks


def blemish(picture: np.ndarray, foreign: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture with one to three blemishes, and its marks; some blemishes show detail of the `foreign` picture.

    Its levels move by what the blemishes change. To draw all of it anew from its rounded first plane would move the second plane
    everywhere, and a network could tell copies from originals without seeing a blemish.
    """
    box = filled_box(picture)
    while True:  # what falls beside the picture, or shows what was there, is no blemish
        changed, marks = draw_some(picture, foreign, box, random)
        if marks.any():
            return changed, marks


def draw_some(
    picture: np.ndarray, foreign: np.ndarray, box: Box, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture, which fills the box, as `blemish` does; without marks where nothing changed."""
    difference, other = ((levels[box.slices][..., 0] - float(NOTHING)) / STEP for levels in (picture, foreign))
    before, marked = planes_of(difference).astype(int), np.zeros(difference.shape, bool)
    for _ in range(1 if random.random() < SINGLE else int(random.integers(2, MOST, endpoint=True))):
        cover = draw_cover((box.height, box.width), random)
        difference = FILLINGS[random.integers(len(FILLINGS))](difference, other, cover, random)
        marked |= cover >= SEEN
    changed, marks = np.full_like(picture, NOTHING), np.full(picture.shape[:2], SOUND, np.uint8)
    changed[box.slices] = (picture[box.slices] + (planes_of(difference) - before)).clip(0, 255)
    marks[box.slices] = np.where(marked, DEFECT, SOUND)
    marks[(changed == picture).all(axis=-1)] = SOUND
    return changed, marks


def filled_box(picture: np.ndarray) -> Box:
    """Return the box of the frame that a picture fills; all of the frame where nothing is seen in it."""
    seen = (picture != NOTHING).any(axis=-1)
    if not seen.any():
        return Box(0, 0, *seen.shape)
    (top, bottom), (left, right) = (np.flatnonzero(seen.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0))
    return Box(top, left, bottom - top + 1, right - left + 1)


def draw_cover(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Draw the shape of a blemish at a random place: float32 (rows, columns), how much of each pixel it covers, 0 to 1."""
    image = Image.new("L", shape[::-1])
    middle = random.random(2) * shape[::-1]
    if random.random() < LINES:
        points = middle + bent_line(min(shape), random)
        width = int(random.integers(*WIDTHS, endpoint=True))
        ImageDraw.Draw(image).line(points.flatten().tolist(), fill=255, width=width, joint="curve")
    else:
        points = middle + outline_of_spot(min(shape), random)
        ImageDraw.Draw(image).polygon(points.flatten().tolist(), fill=255)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.5))), np.float32) / 255


def bent_line(side: int, random: np.random.Generator) -> np.ndarray:
    """Draw the points of a bent line about the origin, float (points, 2), in a picture with this shorter side."""
    length = log_uniform(LENGTHS[0], max(LENGTHS[0], LENGTHS[1] * side), random)
    turns = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, 0.35, BENDS))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / BENDS
    return np.cumsum(steps, axis=0) - steps.sum(axis=0) / 2


def outline_of_spot(side: int, random: np.random.Generator) -> np.ndarray:
    """Draw the corners of an uneven spot about the origin, float (corners, 2), in a picture with this shorter side."""
    radius = log_uniform(RADII[0], max(RADII[0], RADII[1] * side), random)
    angles, turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False), random.uniform(0, 2 * np.pi)
    radii = radius * np.exp(random.normal(0, 0.3, CORNERS))
    along, across = random.uniform(1, 2.5) * radii * np.cos(angles), radii * np.sin(angles)
    return np.stack(
        [along * np.cos(turn) - across * np.sin(turn), along * np.sin(turn) + across * np.cos(turn)], axis=1
    )


def log_uniform(least: float, most: float, random: np.random.Generator) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(least), np.log(most))))


def change_tone(
    difference: np.ndarray, other: np.ndarray, cover: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return the detail with a darker or lighter tone under the cover."""
    from scipy import ndimage  # late: other networks do without it

    deviation = max(QUIET, float(difference.std()))
    tone = cover * random.choice([-1, 1]) * log_uniform(*STRENGTHS, random) * deviation
    return difference + tone - ndimage.uniform_filter(tone, NEAR, mode="reflect")


def replace_detail(
    difference: np.ndarray, other: np.ndarray, cover: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return the detail with that of another place, stronger, under the cover; `other` may have another size."""
    pattern = np.rot90(other, 2 * int(random.integers(2)))
    rows, columns = (
        random.integers(length) + np.arange(side) for length, side in zip(other.shape, cover.shape, strict=True)
    )
    strange = pattern.take(rows, axis=0, mode="wrap").take(columns, axis=1, mode="wrap")
    return difference + cover * (random.uniform(1, 2.5) * strange - difference)


FILLINGS: tuple[Filling, ...] = (change_tone, change_tone, replace_detail)
