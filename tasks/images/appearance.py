"""Appearance: plain statistics of whole pictures, which show whether and how a picture differs from others."""

import math

import numpy as np

from tasks.images.statistics import laplacian
from tasks.storage.parallel import map_chunks_in_threads

STATISTICS = (  # the words for a picture that has less, and for one that has more, of a statistic than usual
    ("a darker picture", "a brighter picture"),
    ("less contrast", "more contrast"),
    ("darker shadows", "brighter shadows"),
    ("darker dark grays", "brighter dark grays"),
    ("darker middle grays", "brighter middle grays"),
    ("darker light grays", "brighter light grays"),
    ("darker highlights", "brighter highlights"),
    ("a darker border", "a brighter border"),
    ("an evener border", "a more uneven border"),
    ("softer edges", "sharper edges"),
    ("less fine detail", "more fine detail"),
)
BRIGHTNESS, SHARPNESS = 0, 9  # places of the mean and of the gradient in STATISTICS
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def appearance(pictures: np.ndarray) -> np.ndarray:
    """Compute the statistics of pictures, uint8 (pictures, height, width).

    Returns:
        float64 (pictures, 11), in gray levels: mean, standard deviation, the five quantiles, mean and standard deviation of
        the outermost tenth on each side, and the root mean square of the gradient and of the Laplacian.
    """
    rows = map_chunks_in_threads(lambda chunk: [*appearance_of_chunk(np.stack(chunk))], list(pictures))
    return np.reshape(rows, (len(pictures), len(STATISTICS)))


def appearance_of_chunk(pictures: np.ndarray) -> np.ndarray:
    """Compute the same as `appearance`, with all pictures in memory as float32 at once."""
    count, height, width = pictures.shape
    levels = pictures.astype(np.float32)
    flat, edge = levels.reshape(count, -1), border(height, width)
    across, down = gradient(levels)
    columns = [
        *(flat.mean(axis=1), flat.std(axis=1)),
        *quantiles(pictures.reshape(count, -1)),
        *(levels[:, edge].mean(axis=1), levels[:, edge].std(axis=1)),
        np.sqrt((across**2 + down**2).mean(axis=(1, 2))),
        np.sqrt((laplacian(levels) ** 2).mean(axis=(1, 2))),
    ]
    return np.column_stack(columns).astype(np.float64)


def quantiles(levels: np.ndarray) -> np.ndarray:
    """Return the quantiles, int (5, pictures), of uint8 (pictures, pixels). Counting is twelve times as fast as sorting."""
    count, pixels = levels.shape
    numbered = levels + 256 * np.arange(count)[:, None]
    below = np.bincount(numbered.ravel(), minlength=256 * count).reshape(count, 256).cumsum(axis=1)
    return np.array([(below <= round(share * (pixels - 1))).sum(axis=1) for share in QUANTILES])


def gradient(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences to the right and down, float32 (pictures, height - 1, width - 1) each."""
    width, flat = levels.shape[2], levels.ravel()
    across, down = np.zeros_like(flat), np.zeros_like(flat)  # in one row, as in `laplacian`
    across[:-1] = flat[1:] - flat[:-1]
    down[:-width] = flat[width:] - flat[:-width]
    return across.reshape(levels.shape)[:, :-1, :-1], down.reshape(levels.shape)[:, :-1, :-1]


def border(height: int, width: int) -> np.ndarray:
    """Return the mask of a picture's outermost tenth on each side, bool (height, width)."""
    y, x = math.ceil(height / 10), math.ceil(width / 10)
    return np.pad(np.zeros((height - 2 * y, width - 2 * x), bool), [(y, y), (x, x)], constant_values=True)


def remark(statistics: np.ndarray, usual: np.ndarray, spread: np.ndarray) -> str:
    """Say which statistic of a picture is furthest from the usual, (11,) each: `a brighter border (231, where 148 is usual)`."""
    furthest = int(np.argmax(np.abs(statistics - usual) / spread))
    value, normal, (less, more) = statistics[furthest], usual[furthest], STATISTICS[furthest]
    return f"{more if value > normal else less} ({value:.0f}, where {normal:.0f} is usual)"
