"""Rings: find the cavity and the rim of a round part as two ellipses, and unwrap the ring between them into a strip.

The part must be bright metal about a dark cavity near the middle. It may be tilted and turned, and may lie on anything.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from tasks.images.ellipses import Ellipse, Fit, along_rays, circle

COARSE = 150  # pixels a side of the reduced picture in which the cavity is looked for
NARROWEST = 8  # pixels of the reduced picture: a narrower one has no middle to look at
LEAST_CAVITY = 0.02  # of the picture
RAYS = 360
RADII = np.arange(0.70, 2.60, 0.0125)  # along a ray, in radii of the cavity
STEP = 0.0125  # of RADII
RIM = (1.35, 2.45)  # radii of the cavity between which the rim is looked for
STEEPEST = 60.0  # gray levels; one glint must not outweigh an arc
CAVITY_WINDOWS = (0.12, 0.06, 0.04)  # to each side of the last ellipse, in radii of the cavity
RIM_WINDOWS = (0.12, 0.08, 0.06, 0.04, 0.03, 0.03)
FAINT = 0.25  # of the median peak: a smaller one is no edge
MIN_SHARE = 0.5  # of the rays must meet an ellipse
PLAIN_SHARE = 0.8  # of the rays that meet an ellipse leave no doubt
UNEVEN = 0.015  # an edge with a larger residual is not a cavity's; the worst of the castings measured had 0.011
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


def find(pixels: np.ndarray) -> Ring | None:
    """Find the ring of a part in gray levels, uint8 (height, width). Return None where there is none."""
    cavity = cavity_of(pixels)
    if not cavity:
        return None
    polar = sample(pixels, cavity.centre[:, None, None] + (cavity.root @ circle(RAYS))[:, :, None] * RADII)
    rise = slopes(polar)
    edge = follow(rise, Ellipse(np.zeros(2), np.eye(2)), CAVITY_WINDOWS)
    rim = rim_of(rise)
    if not edge or not rim or edge.residual > UNEVEN:
        return None
    return Ring(edge.ellipse.inside(cavity), rim.ellipse.inside(cavity), rim.residual)


def unwrap(pixels: np.ndarray, ring: Ring) -> np.ndarray:
    """Unwrap a ring into a strip, uint8 (96, 512): rows from inside the cavity's edge to outside the rim, columns along the turn."""
    places = from_strip(ring, np.arange(STRIP_RADII), np.arange(STRIP_ANGLES))
    return (sample(pixels, places) + 0.5).astype(np.uint8)


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
    return ring.cavity.centre + (ring.cavity.centre - ring.rim.centre) / grown


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


def cavity_of(pixels: np.ndarray) -> Ellipse | None:
    """Return a first estimate of the cavity: the ellipse about the largest dark spot near the middle. None where there is none."""
    factor = max(1, round(max(pixels.shape) / COARSE))
    height, width = (side // factor * factor for side in pixels.shape)
    if min(height, width) < NARROWEST * factor:
        return None
    small = pixels[:height, :width].reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    dark = dark_spot(ndimage.uniform_filter(small, 3))
    if dark is None:
        return None
    rows, columns = np.nonzero(dark)
    middle = np.array([columns.mean(), rows.mean()])
    across, down = columns - middle[0], rows - middle[1]
    bins = 120
    turn = np.round(np.arctan2(down, across) * (bins / (2 * np.pi))).astype(int) % bins
    distance = np.zeros(bins)
    np.maximum.at(distance, turn, np.hypot(across, down))  # its outermost pixel: there may be a hub inside
    if not np.median(distance):
        return None
    fit = along_rays(distance, distance > 0, least=0.01)
    if not fit:
        return None
    return Ellipse((fit.ellipse.centre + middle + 0.5) * factor - 0.5, fit.ellipse.root * factor)


def dark_spot(gray: np.ndarray) -> np.ndarray | None:
    """Return the mask of the largest dark spot that reaches into the middle three quarters, bool. A dark table is the second choice."""
    height, width = gray.shape
    dark, bright = np.percentile(gray[height // 4 : -(height // 4), width // 4 : -(width // 4)], [5, 75])
    spots, number = ndimage.label(gray < dark + 0.35 * (bright - dark))
    sizes = np.bincount(spots[height // 8 : -(height // 8), width // 8 : -(width // 8)].ravel(), minlength=number + 1)
    sizes[0] = 0
    within = sizes.copy()
    within[np.concatenate([spots[0], spots[-1], spots[:, 0], spots[:, -1]])] = 0
    if within.max() >= LEAST_CAVITY * gray.size:
        sizes = within  # a table reaches to the edge of the picture, a cavity only where flash or a crack lets it out
    return spots == sizes.argmax() if sizes.any() else None


def sample(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the gray levels at points (2, ...), x and y: float32 (...), bilinear, with the edge repeated outside."""
    return ndimage.map_coordinates(pixels, points[::-1], order=1, mode="nearest", output=np.float32)


def slopes(polar: np.ndarray) -> np.ndarray:
    """Return how gray levels (rays, radii) rise outwards, slightly smoothed: float32, differences over some three steps."""
    rise = np.zeros_like(polar)
    rise[:, 2:-2] = polar[:, 4:] + polar[:, 3:-1] - polar[:, 1:-3] - polar[:, :-4]
    return ndimage.uniform_filter1d(rise, 3, axis=0, mode="wrap")


def rim_of(rise: np.ndarray) -> Fit | None:
    """Find the rim, where bright metal ends, in the frame of the cavity.

    On a dark table the metal ends with a fall of the gray levels, and the shadow behind it may rise again further out. So a
    rise, as on bright paper, is tried first only where it is more than twice as steep.
    """
    circles, places = coarse_circles()
    steep = np.clip(ndimage.uniform_filter1d(rise, 5, axis=1)[::4], -STEEPEST, STEEPEST)
    scores = steep.ravel()[places].mean(axis=1)
    for sign in (-1, 1) if -scores.min() >= 0.5 * scores.max() else (1, -1):
        fit = rim_from(sign * rise, circles, sign * scores)
        if fit and fit.share >= MIN_SHARE and RIM[0] < fit.ellipse.size() < RIM[1]:
            return fit
    return None


def rim_from(rise: np.ndarray, circles: np.ndarray, scores: np.ndarray) -> Fit | None:
    """Fit the rim from the best circle. Where that leaves a doubt, try others, and return one that leaves no doubt.

    Flash and its shadow can draw the best circle to one side, where an ellipse meets half of the rim. The edge of a glaring
    sector, which meets three quarters of the rays, must not replace it.
    """
    best = circles[scores.argmax()]
    fit = follow(rise, start_at(best), RIM_WINDOWS)
    if fit and fit.share >= PLAIN_SHARE:
        return fit
    central, apart = np.hypot(circles[:, 0], circles[:, 1]) < 0.01, np.abs(circles - best).max(axis=1) > 0.1
    for eligible in (central, apart, central & apart):
        second_fit = follow(rise, start_at(circles[eligible][scores[eligible].argmax()]), RIM_WINDOWS)
        if second_fit and second_fit.share >= PLAIN_SHARE:
            return second_fit
    return fit


def start_at(circle: np.ndarray) -> Ellipse:
    """Return a circle, (3,) as x, y, radius, as an ellipse."""
    across, down, radius = circle
    return Ellipse(np.array([across, down]), np.eye(2) * radius)


@cache
def coarse_circles() -> tuple[np.ndarray, np.ndarray]:
    """Return circles (n, 3) as x, y, radius, and where each meets every fourth ray: int32 (n, rays), places in the raveled slopes."""
    offsets = np.arange(-4, 5) * 0.06
    radii = np.arange(RIM[0] + 0.03, RIM[1] - 0.03, 0.03)
    circles = np.array([(x, y, r) for r in radii for x in offsets for y in offsets if np.hypot(x, y) <= 0.25])
    reach = np.array([start_at(start).reach(circle(RAYS // 4)) for start in circles])
    steps = np.clip(np.round((reach - RADII[0]) / STEP), 0, len(RADII) - 1)
    return circles, (np.arange(RAYS // 4) * len(RADII) + steps).astype(np.int32)


def follow(rise: np.ndarray, start: Ellipse, windows: tuple[float, ...]) -> Fit | None:
    """Fit the ellipse along the steepest rises near `start`, in windows that narrow from round to round. Return None where none fits."""
    ellipse = start
    for window in windows:
        distance, usable = edges(rise, ellipse, half=round(window / STEP))
        fit = along_rays(distance, usable, least=0.004)
        if not fit:
            return None
        ellipse = fit.ellipse
    return fit


def edges(rise: np.ndarray, near: Ellipse, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of the steepest rise on each ray within `half` steps of `near`, and whether it is a peak and not faint."""
    rays = np.arange(RAYS)
    middle = np.round((near.reach(circle(RAYS)) - RADII[0]) / STEP).astype(int)
    window = np.clip(middle, half + 1, len(RADII) - half - 2)[:, None] + np.arange(-half, half + 1)
    inside = rise[rays[:, None], window]
    best = inside.argmax(axis=1)
    place = window[rays, best]
    before, peak, after = (rise[rays, place + shift] for shift in (-1, 0, 1))
    bend = before - 2 * peak + after
    between = np.where(bend < -1e-6, 0.5 * (before - after) / np.minimum(bend, -1e-6), 0).clip(-1, 1)
    usable = (peak > FAINT * np.median(peak)) & (best > 0) & (best < 2 * half)
    return RADII[0] + (place + between) * STEP, usable
