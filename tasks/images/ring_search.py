"""Ring search: find the cavity and the rim of a round part in a photograph as two ellipses.

The part must be bright metal about a dark cavity near the middle. It may be tilted and turned, and may lie on anything.
"""

from functools import cache

import numpy as np
from scipy import ndimage

from tasks.images.ellipses import Ellipse, Fit, along_rays, circle
from tasks.images.rings import Ring, sample

COARSE = 150  # pixels a side of the reduced picture in which the cavity is looked for
NARROWEST = 8  # pixels of the reduced picture: a narrower one has no middle to look at
LEAST_CAVITY = 0.02  # of the picture
RAYS, SECTORS = 360, 120  # of a turn: rays to find an edge along, and directions in which a dark spot is measured
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


def find(pixels: np.ndarray) -> Ring | None:
    """Find the ring of a part in gray levels, uint8 (height, width). Return None where there is none."""
    if not (cavity := cavity_of(pixels)):
        return None
    rise = slopes(sample(pixels, cavity.center[:, None, None] + (cavity.root @ circle(RAYS))[:, :, None] * RADII))
    edge = follow(rise, Ellipse(np.zeros(2), np.eye(2)), CAVITY_WINDOWS)
    rim = rim_of(rise)
    if not edge or not rim or edge.residual > UNEVEN:
        return None
    return Ring(edge.ellipse.inside(cavity), rim.ellipse.inside(cavity), rim.residual)


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
    turn = np.round(np.arctan2(down, across) * (SECTORS / (2 * np.pi))).astype(int) % SECTORS
    distance = np.zeros(SECTORS)
    np.maximum.at(distance, turn, np.hypot(across, down))  # its outermost pixel: there may be a hub inside
    if not np.median(distance) or not (fit := along_rays(distance, distance > 0, least=0.01)):
        return None
    return Ellipse((fit.ellipse.center + middle + 0.5) * factor - 0.5, fit.ellipse.root * factor)


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
    return Ellipse(circle[:2], np.eye(2) * circle[2])


@cache
def coarse_circles() -> tuple[np.ndarray, np.ndarray]:
    """Return circles (n, 3) as x, y, radius, and where each meets every fourth ray: int32 (n, rays), places in the raveled slopes."""
    offsets = np.arange(-4, 5) * 0.06
    radii = np.arange(RIM[0] + 0.03, RIM[1] - 0.03, 0.03)
    circles = np.array([(x, y, r) for r in radii for x in offsets for y in offsets if np.hypot(x, y) <= 0.25])
    reach = np.array([start_at(start).reach(circle(RAYS // 4)) for start in circles])
    steps = np.clip(np.round((reach - RADII[0]) / STEP), 0, len(RADII) - 1)
    return circles, (np.arange(RAYS // 4) * len(RADII) + steps).astype(np.int32)


def follow(rise: np.ndarray, ellipse: Ellipse, windows: tuple[float, ...]) -> Fit | None:
    """Fit the ellipse along the steepest rises near `ellipse`, in windows that narrow from round to round. Return None where none fits."""
    for window in windows:
        if not (fit := along_rays(*edges(rise, ellipse, half=round(window / STEP)), least=0.004)):
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
