"""Ellipses: fit an ellipse to many points, of which some lie elsewhere."""

from functools import cache
from typing import NamedTuple

import numpy as np

SETTLES = 4  # rounds that leave out points far off; more rounds change nothing
ROUNDING = 1e-12  # of the largest value counts as 0: points on a line or a parabola, which processors round differently
FAR = 2.5  # times the median distance is far off


class Ellipse(NamedTuple):
    """The unit circle, stretched by a symmetric matrix and moved. Directions change as little as an ellipse allows."""

    center: np.ndarray
    """float64 (2,): x, y."""
    root: np.ndarray
    """float64 (2, 2), symmetric, positive."""

    def points(self, number: int) -> np.ndarray:
        """Return float64 (2, number): the point of the ellipse for each direction of `circle(number)`."""
        return self.center[:, None] + self.root @ circle(number)

    def size(self) -> float:
        """Return the radius of the circle of equal area."""
        return float(np.sqrt(np.linalg.det(self.root)))

    def reach(self, directions: np.ndarray, origin: np.ndarray | float = 0.0) -> np.ndarray:
        """Return how far each direction leads from `origin` to the ellipse, as float64 (n,) in lengths of the direction.

        Args:
            directions: (2, n).
            origin: x and y, which must lie inside the ellipse; 0.0 is the origin of the coordinates.
        """
        inverse = np.linalg.inv(self.root)
        along, offset = inverse @ directions, inverse @ (self.center - origin)
        a, b = (along * along).sum(axis=0), offset @ along
        return (b + np.sqrt(np.maximum(b * b - a * (offset @ offset - 1), 0))) / a

    def inside(self, frame: "Ellipse") -> "Ellipse":
        """Return this ellipse in the outer coordinates. It is given in the coordinates in which `frame` is the unit circle."""
        left, lengths, _ = np.linalg.svd(frame.root @ self.root)
        return Ellipse(frame.center + frame.root @ self.center, (left * lengths) @ left.T)


@cache
def circle(number: int) -> np.ndarray:
    """Return directions, evenly spaced from x towards y: float64 (2, number)."""
    angle = np.arange(number) * (2 * np.pi / number)
    return np.stack([np.cos(angle), np.sin(angle)])


def fit_conic(points: np.ndarray) -> Ellipse | None:
    """Fit a conic to points (2, n) by least squares and return it if it is an ellipse, else None.

    The points should lie roughly about 0 and be of size 1. There `ax2 + bxy + cy2 + dx + ey = 1` is well conditioned
    and hardly biased. So it can replace the constrained fit of Halir and Flusser (1998).
    """
    x, y = points
    terms = np.stack([x * x, x * y, y * y, x, y])
    moments = terms @ terms.T
    if np.linalg.matrix_rank(moments, rtol=ROUNDING, hermitian=True) < len(terms):
        return None
    a, b, c, d, e = np.linalg.solve(moments, terms.sum(axis=1))
    form = np.array([[a, b / 2], [b / 2, c]])
    lengths, axes = np.linalg.eigh(form)
    if lengths[0] <= ROUNDING * lengths[1]:
        return None
    center = -np.linalg.solve(form, [d, e]) / 2
    level = 1 + center @ form @ center
    if level <= 0:
        return None
    return Ellipse(center, (axes * np.sqrt(level / lengths)) @ axes.T)


class Fit(NamedTuple):
    """An ellipse, and how well points lie on it."""

    ellipse: Ellipse
    residual: float
    """Median distance of all points from the ellipse along their ray, as a share of the median distance from the origin."""
    share: float
    """Of the points that lie on it."""


def along_rays(distance: np.ndarray, usable: np.ndarray, least: float) -> Fit | None:
    """Fit an ellipse about the origin to one point a ray, and leave out the points that lie far off.

    Args:
        distance: of each point from the origin, (n,); the rays are `circle(n)`.
        usable: which points count in the first round, bool (n,). Later all points count that lie near.
        least: a point nearer than this is never far off; a share of the median of `distance`.

    Returns:
        The ellipse, or None when less than a quarter of the points count or no ellipse fits.
    """
    number, scale = len(distance), float(np.median(distance))
    points = circle(number) * (distance / scale)
    counted, quarter = usable, number // 4
    for _ in range(SETTLES):
        if counted.sum() < quarter or not (scaled := fit_conic(points[:, counted])):
            return None
        ellipse = Ellipse(scaled.center * scale, scaled.root * scale)
        off = np.abs(distance - ellipse.reach(circle(number))) / scale
        near = off < max(FAR * float(np.median(off[counted])), least)
        if (near == counted).all():
            break
        counted = near
    return Fit(ellipse, float(np.median(off)), float(near.mean()))
