"""Registration: how far a picture must be shifted to lie on another one, and how alike their details then are.

Detail is how a pixel differs from its surroundings, divided by the local contrast: otherwise the outlines, which all parts of one
kind share, would make every pair alike.
"""

from collections.abc import Iterator

import numpy as np

from tasks.storage.parallel import map_in_threads

SIDE = 128  # pixels of a thumbnail
SMOOTH = 1.0  # pixels of 64, deviation of a Gauss filter
AROUND, CONTRAST_AROUND, FLOOR = 9, 15, 0.1  # pixels, pixels, and a share of the picture's own contrast
UNIT, MOST = (
    12,
    47,
)  # detail is stored in steps of 1/UNIT, up to MOST steps: so small that float32 holds the sums over a picture
FURTHEST = 4  # pixels of 128 that a copy may be shifted by
BLOCK, PIECE = 1_024, 64  # pictures at once; pictures or pairs that a thread works on at once


def blocks(number: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices of up to `size` that together cover `number` items."""
    return (slice(start, min(start + size, number)) for start in range(0, number, size))


def details(thumbnails: np.ndarray) -> np.ndarray:
    """Compute how each pixel differs from its surroundings, by local contrast, in steps of 1/12: int8, shaped as `thumbnails`."""
    fine = np.empty(thumbnails.shape, np.int8)

    def compute_detail(rows: slice) -> None:
        gray = thumbnails[rows].astype(np.float32)
        contrast = FLOOR * gray.std(axis=(1, 2), keepdims=True) + 1e-3
        gray -= mean_around(gray, AROUND)
        gray /= np.sqrt(mean_around(gray * gray, CONTRAST_AROUND) + contrast**2)
        fine[rows] = np.rint(gray * UNIT).clip(-MOST, MOST)

    map_in_threads(compute_detail, blocks(len(thumbnails), PIECE))
    return fine


def coarsen(fine: np.ndarray) -> np.ndarray:
    """Compute detail at half the size: int8 (n, 64, 64).

    It is smoothed, so that slopes show a move of one pixel, and its contrast is doubled to make up for that.
    """
    from scipy import ndimage

    coarse = np.empty((len(fine), SIDE // 2, SIDE // 2), np.int8)

    def halve(rows: slice) -> None:
        half = fine[rows].reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4), dtype=np.float32)
        coarse[rows] = np.rint(2 * ndimage.gaussian_filter(half, (0, SMOOTH, SMOOTH))).clip(-MOST, MOST)

    map_in_threads(halve, blocks(len(fine), PIECE))
    return coarse


def mean_around(pictures: np.ndarray, size: int) -> np.ndarray:
    """Compute the mean of the `size` x `size` pixels around each pixel."""
    from scipy import ndimage  # late: a run in which nothing changed has no use for it

    return ndimage.uniform_filter(pictures, (0, size, size), mode="nearest")


def apply_shift(pictures: np.ndarray, shift: np.ndarray, margin: int) -> np.ndarray:
    """Return each picture moved right and down by whole pixels, without `margin` on each side: float32."""
    side = pictures.shape[1]
    inside = np.empty((len(pictures), side - 2 * margin, side - 2 * margin), np.float32)
    for right, down in np.unique(shift, axis=0):
        moved_alike = (shift == (right, down)).all(axis=1)
        inside[moved_alike] = pictures[
            moved_alike, margin - down : side - margin - down, margin - right : side - margin - right
        ]
    return inside


def register(still: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute how much further each moved picture should go, float (n, 2), at most a pixel, and the correlation when it is there.

    To first order a small move adds the slopes, so this finds the nearest sum of a picture and its slopes (Lucas and Kanade, 1981).
    Pictures are small whole numbers, and float32 holds every sum of them: the score of a pair does not depend on the other pairs.
    """
    number, edge = len(still), (still.shape[1] - moved.shape[1]) // 2 + 1
    fixed = still[:, edge:-edge, edge:-edge].reshape(number, -1, 1)
    pixels = fixed.shape[1]
    right = moved[:, 1:-1, :-2] - moved[:, 1:-1, 2:]
    down = moved[:, :-2, 1:-1] - moved[:, 2:, 1:-1]
    parts = np.stack([part.reshape(number, -1) for part in (moved[:, 1:-1, 1:-1], right, down)], axis=1)
    sums, total = parts.sum(axis=2).astype(np.float64), fixed.sum(axis=1).astype(np.float64)
    scale = np.array([1, 0.5, 0.5])  # a slope is half of the difference over two pixels
    products = (parts @ parts.transpose(0, 2, 1) - sums[:, :, None] * sums[:, None] / pixels) * scale[:, None] * scale
    onto = ((parts @ fixed)[..., 0] - sums * total / pixels) * scale
    weights = np.linalg.solve(products + 1e-2 * np.eye(3), onto[..., None])[..., 0]
    move = (weights[:, 1:] / np.maximum(weights[:, :1], 1e-6)).clip(-1, 1)
    weights = np.concatenate([np.ones((number, 1)), move], axis=1)
    spread = (fixed.transpose(0, 2, 1) @ fixed)[:, 0, 0] - total[:, 0] ** 2 / pixels
    spread *= ((weights[:, :, None] * products).sum(axis=1) * weights).sum(axis=1)
    return move, (weights * onto).sum(axis=1) / np.sqrt(np.maximum(spread, 1e-6))
