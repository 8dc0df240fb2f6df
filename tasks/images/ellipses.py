"""Ellipses: the one through many points, some of which lie elsewhere."""

from functools import cache
from typing import NamedTuple

import numpy as np

SETTLES = 4  # rounds of leaving out what lies far off; more change nothing
ORIGIN = np.zeros(2)
ROUNDING = 1e-12  # of the largest is nothing: points on a line or a parabola, which processors round differently
FAR = 2.5  # times the median distance is far off


class Ellipse(NamedTuple):
    """The unit circle, stretched by a symmetric matrix and moved: equal directions stay as near as an ellipse lets them."""

    centre: np.ndarray
    """float64 (2,): x, y."""
    root: np.ndarray
    """float64 (2, 2), symmetric, positive."""

    def points(self, number: int) -> np.ndarray:
        """float64 (2, number): one a direction of `circle(number)`."""
        return self.centre[:, None] + self.root @ circle(number)

    def size(self) -> float:
        """Radius of the circle of equal area."""
        return float(np.sqrt(np.linalg.det(self.root)))

    def reach(self, directions: np.ndarray, origin: np.ndarray = ORIGIN) -> np.ndarray:
        """float64 (n,): how far `directions` (2, n) can be followed from `origin`, which must lie inside, in their own lengths."""
        inverse = np.linalg.inv(self.root)
        along, offset = inverse @ directions, inverse @ (self.centre - origin)
        a, b = (along * along).sum(axis=0), offset @ along
        return (b + np.sqrt(np.maximum(b * b - a * (offset @ offset - 1), 0))) / a

    def inside(self, frame: "Ellipse") -> "Ellipse":
        """This ellipse, given in the frame where `frame` is the unit circle, as it lies outside of that frame."""
        left, lengths, _ = np.linalg.svd(frame.root @ self.root)
        return Ellipse(frame.centre + frame.root @ self.centre, (left * lengths) @ left.T)


@cache
def circle(number: int) -> np.ndarray:
    """float64 (2, number): directions, evenly spaced from x towards y."""
    angle = np.arange(number) * (2 * np.pi / number)
    return np.stack([np.cos(angle), np.sin(angle)])


def through(points: np.ndarray) -> Ellipse | None:
    """The conic nearest to points (2, n) in the least-squares sense, if it is an ellipse.

    The points should lie roughly about 0 and be of size 1: there `ax2 + bxy + cy2 + dx + ey = 1` is well conditioned
    and hardly biased, so that the constrained fit of Halir and Flusser (1998), which it stands for, is not needed.
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
    centre = -np.linalg.solve(form, [d, e]) / 2
    level = 1 + centre @ form @ centre
    if level <= 0:
        return None
    return Ellipse(centre, (axes * np.sqrt(level / lengths)) @ axes.T)


class Fit(NamedTuple):
    """An ellipse and how well the points lie on it."""

    ellipse: Ellipse
    residual: float
    """Median distance of all points along their direction, as a share of the size."""
    share: float
    """Of the points that lie on it."""


def along_rays(distance: np.ndarray, usable: np.ndarray, least: float) -> Fit | None:
    """The ellipse through the points at `distance` in the directions of a circle, without those that lie far off.

    `usable` says which count in the first round, after it all that lie near; nearer than `least`, a share of the size, is
    never far off. None when fewer than a quarter agree.
    """
    number, scale = len(distance), float(np.median(distance))
    points = circle(number) * (distance / scale)
    counted, quarter = usable, number // 4
    for _ in range(SETTLES):
        if counted.sum() < quarter or not (found := through(points[:, counted])):
            return None
        ellipse = Ellipse(found.centre * scale, found.root * scale)
        off = np.abs(distance - ellipse.reach(circle(number))) / scale
        near = off < max(FAR * float(np.median(off[counted])), least)
        if (near == counted).all():
            break
        counted = near
    return Fit(ellipse, float(np.median(off)), float(near.mean()))
