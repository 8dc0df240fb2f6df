"""Rings: where the ring of a round part lies in a photograph, and the strip that it is when it is unwrapped."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from tasks.images.ellipses import Ellipse

STRIP_RADII, STRIP_ANGLES = 96, 512
QUIET = 8.0  # gray levels: where detail deviates by less, it is not magnified to the same strength
DETAIL = 21  # columns of a strip, 1/24 of the turn: wider marks are glare
LONG = 15  # rows of a strip: a mark that is longer across the ring is the edge of a glare, or the beat of machining marks and pixels
FROM, TO = -0.18, 1.10  # the strip's reach, where 0 is the cavity's edge and 1 the rim


class Ring(NamedTuple):
    """Where the ring of a part lies in a photograph, in pixels."""

    cavity: Ellipse
    rim: Ellipse
    residual: float
    """Median distance of the rim's edge from its ellipse, as a share of its radius."""

    def moved(self, right: float, down: float) -> "Ring":
        """Return the ring so many pixels further right and down."""
        cavity, rim = (ellipse._replace(center=ellipse.center + (right, down)) for ellipse in self[:2])
        return Ring(cavity, rim, self.residual)


def unwrap(pixels: np.ndarray, ring: Ring) -> np.ndarray:
    """Unwrap a ring into a strip, uint8 (96, 512): rows from inside the cavity's edge to outside the rim, columns along the turn.

    Fill each gap where the ring leaves the picture by linear interpolation along the row, so that it shows nothing: the picture's
    edge, repeated, would end in marks that look like defects. A row that lies outside as a whole is 0.
    """
    columns = np.arange(STRIP_ANGLES)
    places = from_strip(ring, np.arange(STRIP_RADII), columns)
    levels, outside = sample(pixels, places), outside_picture(places, pixels.shape)
    levels[outside.all(axis=1)] = 0
    for row in np.flatnonzero(outside.any(axis=1) & ~outside.all(axis=1)):
        shown = ~outside[row]
        levels[row, outside[row]] = np.interp(
            columns[outside[row]], columns[shown], levels[row, shown], period=STRIP_ANGLES
        )
    return (levels + 0.5).astype(np.uint8)


def outside_picture(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which points (2, ...), x and y, lie outside a picture of this height and width, bool (...)."""
    (x, y), (height, width) = points, shape
    return (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)


def from_strip(ring: Ring, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return where rows and columns of the strip, whole or fractional, lie in the photograph: float64 (2, rows, columns), x and y."""
    turn = columns * (2 * np.pi / STRIP_ANGLES)
    rays = ring.rim.root @ np.stack([np.cos(turn), np.sin(turn)])
    middle = middle_of(ring)
    inner, outer = (ellipse.reach(rays, middle) for ellipse in (ring.cavity, ring.rim))
    way = inner + (outer - inner) * (FROM + (TO - FROM) / (STRIP_RADII - 1) * rows)[:, None]
    return middle[:, None, None] + rays[:, None] * way


def to_strip(ring: Ring, points: np.ndarray) -> np.ndarray:
    """Return where points (2, n) of the photograph, x and y, lie in the strip: float64 (2, n), row and column.

    Columns go from 0 to 512; a row below 0 or above 95 is nearer to the middle or further out than the strip reaches.
    """
    middle = middle_of(ring)
    away = points - middle[:, None]
    x, y = np.linalg.inv(ring.rim.root) @ away
    length = np.maximum(np.hypot(x, y), 1e-9)  # the middle itself lies on no ray
    inner, outer = (ellipse.reach(away / length, middle) for ellipse in (ring.cavity, ring.rim))
    rows = ((length - inner) / (outer - inner) - FROM) / (TO - FROM) * (STRIP_RADII - 1)
    return np.stack([rows, np.arctan2(y, x) / (2 * np.pi) % 1 * STRIP_ANGLES])


def middle_of(ring: Ring) -> np.ndarray:
    """Return where the photograph shows the middle of the part, float64 (2,): x, y.

    A tilted camera shows concentric circles as ellipses with different centers. The distance between the centers grows with the
    difference of the areas. So the two centers give the middle, and rays from there are rays of the part.
    """
    grown = (ring.rim.size() / ring.cavity.size()) ** 2 - 1
    return ring.cavity.center + (ring.cavity.center - ring.rim.center) / grown


def detail(strips: np.ndarray) -> np.ndarray:
    """Return the small marks in strips, uint8 (n, 96, 512), as uint8 (n, 96, 512, 2): 128 where there is nothing.

    Machining rings are even along the turn, and glare is wide. So both disappear, and with them most of what a camera adds.
    The second plane is the difference of each level to the mean around it along the turn, in gray levels times 1.5. The first
    plane is this difference without marks that are long across the ring, in units of the deviation around it, times 40.
    """
    difference = np.subtract(strips, mean_along_turn(strips.astype(np.float32), DETAIL))
    square = ndimage.uniform_filter1d(mean_along_turn(difference**2, 2 * DETAIL + 1), 5, axis=1, mode="nearest")
    spots = difference - ndimage.uniform_filter1d(difference, LONG, axis=1, mode="nearest")
    planes = np.stack([40 * spots / np.sqrt(square + QUIET**2), 1.5 * difference], axis=-1)
    return (planes + 128).clip(0, 255).astype(np.uint8)


def mean_along_turn(strips: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over `width` columns about each pixel, around the turn: the shape of `strips`, (n, 96, 512)."""
    return ndimage.uniform_filter1d(strips, width, axis=2, mode="wrap")


def sample(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the gray levels at points (2, ...), x and y: float32 (...), bilinear, with the edge repeated outside."""
    return ndimage.map_coordinates(pixels, points[::-1], order=1, mode="nearest", output=np.float32)
