"""Outline: find the part in a picture, as what differs from the background that surrounds it."""

import numpy as np
from scipy import ndimage

from tasks.images.detail import resize
from tasks.settings.crops import WHOLE, Shares

COARSE = 192  # pixels of the longer side of the reduced picture in which the part is looked for
SMOOTH = 1.2  # pixels of the reduced picture: deviation of the filter that takes its noise away
BORDER = 0.04  # share of a side: so wide is the border that shows the background
FAINT = 8.0  # gray levels: a smaller difference from the background is no part
CLEAR = 4.0  # times the spread of the background, which a part differs by
ROUGH = 3.0  # times the spread of the background's texture, which that of a part differs by
HALO = 5  # pixels of the reduced picture: so far around a texture its neighbors count as rough
HALF_SURE = 0.5  # of a sure difference: what borders on the part and differs so much belongs to it
FEWEST = 0.3  # share of the border that must show one background
LEAST = 0.02  # share of the picture: a smaller spot is no part
BESIDE = 0.1  # of the area of the largest spot: smaller ones beside it are dirt
PLANE, PLANE_ROUNDS = 3, 30  # terms of a plane; rounds of its fit
ROUNDS, FAR = 3, 3.0  # of the curved surface; times the spread from which on a pixel is none of the background
LEVEL = 1.0  # gray level: the least spread that counts
MARGIN = 0.03  # share of the longer side that is left about the part on each side
NEARLY_ALL = 0.9  # share of the picture: a crop that large gains nothing


def find_part(pixels: np.ndarray) -> Shares:
    """Return the box about the part in gray levels uint8 (height, width), with a margin.

    Where no part is found, or it fills nearly all of the picture, the box is the whole picture.
    """
    coarse = reduced(pixels)
    if min(coarse.shape) < COARSE // 16:
        return WHOLE
    spots, number = ndimage.label(ndimage.binary_fill_holes(foreground(coarse)))
    areas = np.bincount(spots.ravel(), minlength=number + 1)[1:]
    if not number or areas.max() < LEAST * coarse.size:
        return WHOLE
    large = np.isin(spots, 1 + np.flatnonzero(areas >= BESIDE * areas.max()))
    return with_margin(large)


def reduced(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with a longer side of 192 pixels at most, uint8."""
    scale = min(1.0, COARSE / max(pixels.shape))
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    return resize(pixels, (height, width))


def foreground(coarse: np.ndarray) -> np.ndarray:
    """Return which pixels differ from the background, in level or in texture, bool (height, width)."""
    levels = coarse.astype(np.float64)
    smooth = ndimage.gaussian_filter(levels, SMOOTH)
    edge = border(coarse.shape)
    difference, level_spread = compare(smooth, edge)
    if difference is None:
        return np.zeros(coarse.shape, bool)
    rough = np.log(ndimage.gaussian_filter((levels - smooth) ** 2, 2 * SMOOTH) + 1.0)
    texture, texture_spread = compare(rough, edge)
    shares = np.abs(difference) / max(FAINT, CLEAR * level_spread)
    if texture is not None:
        shares = np.maximum(shares, texture_shares(texture, texture_spread))
    sure = ndimage.binary_opening(shares > 1, iterations=2)
    return ndimage.binary_opening(ndimage.binary_propagation(sure, mask=shares > HALF_SURE), iterations=2)


def texture_shares(texture: np.ndarray, spread: float) -> np.ndarray:
    """Return how clearly the texture differs, in units of what is sure; around plain edges it does not differ."""
    return ndimage.grey_erosion(np.abs(texture), size=2 * HALO + 1) / max(1.0, ROUGH * spread)


def border(shape: tuple[int, int]) -> np.ndarray:
    """Return the outermost pixels on each side, bool (height, width)."""
    y, x = (max(2, round(side * BORDER)) for side in shape)
    return np.pad(np.zeros((shape[0] - 2 * y, shape[1] - 2 * x), bool), [(y, y), (x, x)], constant_values=True)


def compare(values: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Return how values (height, width) differ from those of the background, and the spread of the background.

    The background is a surface through the values of the border: first a plane by least absolute differences, which a part that the
    picture cuts off moves little, then one of second degree through what lies near it. None where too little of the border shows it.
    """
    terms = surface_terms(values.shape)
    difference = values - terms[..., :PLANE] @ fit_plane(terms[edge][:, :PLANE], values[edge])
    spread = deviation(difference[edge])
    for _ in range(ROUNDS):
        known = edge & (np.abs(difference) <= FAR * max(spread, LEVEL))
        if known.sum() < FEWEST * edge.sum():
            return None, 0.0
        chosen = terms[known]
        weights, *_ = np.linalg.lstsq(chosen.T @ chosen, chosen.T @ values[known], rcond=None)
        difference = values - terms @ weights
        spread = deviation(difference[known])
    return difference, spread


def fit_plane(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the weights of the terms (pixels, 3) by which their sum is nearest the values (pixels,) in absolute differences."""
    weights = np.array([np.median(values), 0.0, 0.0])
    for _ in range(PLANE_ROUNDS):
        trust = 1 / np.maximum(np.abs(values - terms @ weights), LEVEL)
        trusted = terms * trust[:, None]
        weights, *_ = np.linalg.lstsq(trusted.T @ terms, trusted.T @ values, rcond=None)
    return weights


def surface_terms(shape: tuple[int, int]) -> np.ndarray:
    """Return the terms of a surface of second degree at each pixel, float64 (height, width, 6)."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return np.stack([np.ones(shape), x, y, x * y, x**2, y**2], axis=-1)


def deviation(differences: np.ndarray) -> float:
    """Return the standard deviation of most of the differences, as the median of their sizes tells it."""
    return 1.4826 * float(np.median(np.abs(differences)))


def with_margin(part: np.ndarray) -> Shares:
    """Return the box about the pixels of a part, bool (height, width), with a margin; the whole picture where that is nearly all."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    height, width = part.shape
    margin = MARGIN * max(part.shape)
    (left, right), (top, bottom) = (
        (max(0.0, float(places[0] - margin) / side), min(1.0, float(places[-1] + 1 + margin) / side))
        for places, side in ((columns, width), (rows, height))
    )
    box = Shares(left, top, right, bottom)
    return WHOLE if (box.right - box.left) * (box.bottom - box.top) >= NEARLY_ALL else box
