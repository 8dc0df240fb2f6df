"""Picture features: what classical baselines see of a photograph, histograms of gradients and statistics of frequency bands."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tasks.images.loading import squares, thumbnails
from tasks.records.rows import Row
from tasks.settings.settings import Places
from tasks.training.stopwatch import Elapsed

CELL = 8  # pixels a side of a cell, as published: 16 x 16 cells in a thumbnail
BLOCK = 2  # cells a side of a block, in which histograms are normalized together; blocks overlap by all but one cell
ORIENTATIONS = 9  # of half a turn: an edge from dark to light counts like one from light to dark
CLIP = 0.2  # largest value of a normalized histogram, so that one strong edge does not hide the others
FILTERED_SIDE = 320  # pixels a side of the square whose bands are measured
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # deviations in pixels of the Gaussians; two neighbors make a band
QUANTILES = (0.0, 0.001, 0.01, 0.99, 0.999, 1.0)  # the extremes of a band, where small defects are


class Features(NamedTuple):
    """A row of values for each image."""

    values: np.ndarray
    """float32 (images, features); of `thumbnails` uint8 (images, 128, 128)."""
    cpu_seconds: float
    """CPU time of reading and measuring all images."""


def measure_features(name: str, rows: Sequence[Row], places: Places) -> Features:
    """Measure the features of this name, a key of `FEATURES`, and the time that they take."""
    began = Elapsed.now()
    values = FEATURES[name](rows, places)
    return Features(values, (Elapsed.now() - began).cpu)


def gradient_histograms(rows: Sequence[Row], places: Places) -> np.ndarray:
    """Return the histograms of oriented gradients of the thumbnails: float32 (images, 8100)."""
    return np.stack([oriented_gradients(thumbnail) for thumbnail in thumbnails(rows, places)])


def oriented_gradients(gray: np.ndarray) -> np.ndarray:
    """Return the histograms of oriented gradients (HOG, Dalal and Triggs, 2005) of a picture: float32 (features,).

    The picture (height, width) is at least 2 x 2 cells large. Each pixel votes with the length of its gradient for one orientation of its
    cell. Histograms of a block are divided by their norm, clipped, and divided once more (L2-Hys).
    """
    rows, columns = (side // CELL for side in gray.shape)
    down, across = np.gradient(gray[: rows * CELL, : columns * CELL].astype(np.float32))
    length, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    orientation = np.minimum((angle * (ORIENTATIONS / np.pi)).astype(int), ORIENTATIONS - 1)
    votes = np.where(orientation[..., None] == np.arange(ORIENTATIONS), length[..., None], 0)
    cells = votes.reshape(rows, CELL, columns, CELL, ORIENTATIONS).mean(axis=(1, 3))
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(cells, (BLOCK, BLOCK), axis=(0, 1)), 2, -1)
    blocks = np.minimum(normalize(windows.reshape(-1, BLOCK * BLOCK * ORIENTATIONS)), CLIP)
    return normalize(blocks).ravel().astype(np.float32)


def normalize(blocks: np.ndarray) -> np.ndarray:
    """Return the blocks (blocks, values) divided by their norm; one without a gradient stays near 0."""
    return blocks / np.sqrt(
        np.sum(blocks**2, axis=1, keepdims=True) + 1e-4
    )  # gray levels, against noise in flat blocks


def filter_statistics(rows: Sequence[Row], places: Places) -> np.ndarray:
    """Return the statistics of the bands of all images, 40 values each: float32 (images, 40)."""
    return np.stack([band_statistics(square) for square in squares(rows, FILTERED_SIDE, places)])


def band_statistics(gray: np.ndarray) -> np.ndarray:
    """Return mean, deviation and extreme quantiles of each band of a picture: float32 (bands * 8,).

    A band is the difference of two Gaussians, so that it holds details of one size. The picture is (height, width).
    """
    from scipy import ndimage

    levels = gray.astype(np.float32)
    smooth = [ndimage.gaussian_filter(levels, scale) if scale else levels for scale in SCALES]
    bands = [finer - coarser for finer, coarser in zip(smooth, smooth[1:], strict=False)]
    return np.concatenate([[band.mean(), band.std(), *np.quantile(band, QUANTILES)] for band in bands]).astype(
        np.float32
    )


FEATURES: dict[str, Callable[[Sequence[Row], Places], np.ndarray]] = {
    "thumbnails": thumbnails,
    "hog": gradient_histograms,
    "filters": filter_statistics,
}
