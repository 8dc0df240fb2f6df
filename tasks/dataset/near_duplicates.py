"""Near duplicates: which pictures are one photograph turned, mirrored, relit, shifted or encoded again, and how surely.

Three stages each look at fewer pairs: the lowest frequencies find pairs that may be alike, detail at 64 pixels rules most of them out,
and detail at 128 pixels decides. Detail is how a pixel differs from its surroundings, divided by the local contrast: otherwise the
outlines, which all parts of one kind share, would make every pair alike.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tasks.storage.parallel import map_in_threads

SIDE = 128  # pixels of a thumbnail
FREQUENCIES = 16  # of a cosine transform, in each direction: a shift by 3 pixels of 300 hardly changes them
MAY_BE = 0.97  # least correlation of low frequencies; the least of the true copies that were looked at was 0.98
MANY = 12  # so many of the most alike pictures go to the next stage; a true copy was at worst the ninth
COARSE_LIMIT = 0.95  # least correlation at 64 pixels; the least of the accepted copies was 0.96
SMOOTH = 1.0  # pixels of 64, deviation of a Gauss filter
AROUND, CONTRAST_AROUND, FLOOR = 9, 15, 0.1  # pixels, pixels, and a share of the picture's own contrast
UNIT, MOST = (
    12,
    47,
)  # detail is stored in steps of 1/UNIT, up to MOST steps: so small that float32 holds the sums over a picture
STEPS = 2_048  # of low frequencies: a product of two has 22 bits, and float32 keeps 24
FURTHEST = 4  # pixels of 128 that a copy may be shifted by
ROUNDS = 3  # of finding the shift
BLOCK = 1_024  # pictures at once
ASKED, PIECE = 512, 64  # what a thread works on at once: pictures compared with all others; pictures or pairs

POSES = (  # transposed, upside down, left to right: what is done to a picture, in this order
    ("", False, False, False),
    ("mirror", False, False, True),
    ("mirror, turn 180", False, True, False),
    ("turn 180", False, True, True),
    ("mirror, turn 90", True, False, False),
    ("turn 270", True, False, True),
    ("turn 90", True, True, False),
    ("mirror, turn 270", True, True, True),
)


class Pairs(NamedTuple):
    """Pairs of pictures, arrays of one length."""

    one: np.ndarray
    other: np.ndarray
    pose: np.ndarray
    """Place in POSES of the pose that turns `one` into `other`."""
    shift: np.ndarray
    """float (pairs, 2): how far the turned picture then moves right and down, in pixels of 128."""
    score: np.ndarray
    """Correlation of detail after pose and shift, -1 to 1."""

    def take(self, chosen: np.ndarray) -> "Pairs":
        """Return the pairs that `chosen`, bool or int, selects."""
        return Pairs(*(column[chosen] for column in self))


def find_near_duplicates(thumbnails: np.ndarray, first: np.ndarray, limit: float) -> Pairs:
    """Find the pairs of thumbnails, uint8 (n, 128, 128), that show one photograph; `one` comes before `other`.

    Each picture is compared with the pictures before it, and once more with only the pictures that `first`, bool (n,), selects: a twin
    among these is found however many other twins there are. Of each picture's copies at most 12 are listed.
    """
    low = low_frequencies(thumbnails)
    one, other = candidates(low, first)
    pairs = best_pose(low, one, other)
    fine = details(thumbnails)
    pairs = score_pairs(coarsen(fine), pairs)
    pairs = score_pairs(fine, pairs.take(pairs.score >= COARSE_LIMIT))
    return pairs.take(pairs.score >= limit)


def low_frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """Compute the lowest coefficients of the cosine transform, without the mean, of norm 1: float32 (n, 16, 16).

    They are rounded to steps of 1/2048, so that a product of two of them is exact, whatever block computes it.
    """
    angle = np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(FREQUENCIES)[:, None]
    waves = np.cos(angle)
    waves[0] /= np.sqrt(2)
    low = np.empty((len(thumbnails), FREQUENCIES, FREQUENCIES), np.float32)

    def transform(rows: slice) -> None:
        coefficients = waves @ thumbnails[rows].astype(np.float64) @ waves.T
        coefficients[:, 0, 0] = 0
        coefficients /= np.maximum(np.linalg.norm(coefficients, axis=(1, 2), keepdims=True), 1e-6)
        low[rows] = np.rint(coefficients * STEPS) / STEPS

    map_in_threads(transform, blocks(len(thumbnails), PIECE))
    return low


def blocks(number: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices of up to `size` that together cover `number` items."""
    return (slice(start, min(start + size, number)) for start in range(0, number, size))


def candidates(low: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures that may be alike, as two arrays of numbers; the first of a pair comes before the second."""
    first_numbers = np.flatnonzero(first)

    def find_nearest(rows: slice) -> list[np.ndarray]:
        numbers = np.arange(rows.start, rows.stop)
        return [
            nearest_pairs(low, numbers, np.arange(rows.stop)),
            nearest_pairs(low, numbers[~first[rows]], first_numbers),
        ]

    pairs = [pair for piece in map_in_threads(find_nearest, blocks(len(low), ASKED)) for pair in piece]
    distinct = np.unique(np.sort(np.concatenate([np.empty((0, 2), int), *pairs]), axis=1), axis=0)
    return distinct[:, 0], distinct[:, 1]


def nearest_pairs(low: np.ndarray, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the most alike known pictures of each asked one: int (pairs, 2), as (asked, known).

    A picture is never paired with itself. Where all pictures are known, it is not paired with those after it either.
    """
    if not len(asked) or not len(known):
        return np.empty((0, 2), int)
    score = best_correlations(low[asked], low[known])
    if len(known) == known[-1] + 1:
        score[:, asked[0] :][known[None, asked[0] :] >= asked[:, None]] = -1
    else:
        score[known[None] == asked[:, None]] = -1
    most = min(MANY, len(known))
    nearest = np.argpartition(score, -most, axis=1)[:, -most:]
    rows, columns = np.nonzero(np.take_along_axis(score, nearest, axis=1) >= MAY_BE)
    return np.stack([asked[rows], known[nearest[rows, columns]]], axis=1)


def best_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute the greatest correlation over the eight poses: float32 (one, other).

    A mirrored picture has the same coefficients with every other sign changed, a transposed one has them transposed. So four products
    for each of the two orientations are enough for all eight poses.
    """
    best = np.full((len(one), len(other)), -1, np.float32)
    left = [half.reshape(len(one), -1) for half in parities(one)]
    for columns in blocks(len(other)):  # small enough to stay in the cache
        for turned in (other[columns], other[columns].transpose(0, 2, 1)):
            ee, eo, oe, oo = (
                mine @ half.reshape(len(half), -1).T for mine, half in zip(left, parities(turned), strict=True)
            )
            alike, opposite = eo + oe, eo - oe
            even, odd = ee + oo, ee - oo
            even += np.abs(alike, out=alike)
            odd += np.abs(opposite, out=opposite)
            np.maximum(even, odd, out=even)
            np.maximum(best[:, columns], even, out=best[:, columns])
    return best


def parities(low: np.ndarray) -> list[np.ndarray]:
    """Return the coefficients of even and odd waves down and right, in the order even even, even odd, odd even, odd odd."""
    return [low[:, down::2, right::2] for down in (0, 1) for right in (0, 1)]


def best_pose(low: np.ndarray, one: np.ndarray, other: np.ndarray) -> Pairs:
    """Return the pairs with the pose in which their low frequencies are most alike."""
    scores = np.empty((len(one), len(POSES)), np.float32)
    signs = np.stack([np.ones(FREQUENCIES, np.float32), np.float32(-1) ** np.arange(FREQUENCIES)])

    def score(rows: slice) -> None:
        still, moved = low[other[rows]], low[one[rows]]
        for number, (_, transposed, down, right) in enumerate(POSES):
            posed = moved.transpose(0, 2, 1) if transposed else moved
            scores[rows, number] = np.einsum("nij,nij,i,j->n", still, posed, signs[int(down)], signs[int(right)])

    map_in_threads(score, blocks(len(one)))
    pose = scores.argmax(axis=1)
    return Pairs(one, other, pose, np.zeros((len(one), 2)), scores.max(axis=1, initial=-1))


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


def score_pairs(pictures: np.ndarray, pairs: Pairs) -> Pairs:
    """Return the pairs with shift and score computed from pictures, int8 (n, side, side).

    Pairs whose shift, in whole pixels, turns out to be another one are computed again.
    """
    scale = SIDE // pictures.shape[1]
    most = FURTHEST // scale
    shift, score = pairs.shift / scale, np.empty(len(pairs.one), np.float32)
    guess, again = round_shift(shift, most), np.arange(len(pairs.one))

    def register_rows(rows: np.ndarray) -> None:
        moved = apply_shift(apply_pose(pictures[pairs.one[rows]], pairs.pose[rows]), guess[rows], most + 1)
        further, score[rows] = register(pictures[pairs.other[rows]].astype(np.float32), moved)
        shift[rows] = guess[rows] + further

    for _ in range(ROUNDS):
        map_in_threads(register_rows, (again[rows] for rows in blocks(len(again), PIECE)))
        before, guess = guess, round_shift(shift, most)
        again = np.flatnonzero((guess != before).any(axis=1))
    return pairs._replace(shift=shift * scale, score=score)


def round_shift(shift: np.ndarray, most: int) -> np.ndarray:
    """Round the shift to whole pixels, at most `most` each way."""
    return np.rint(shift).astype(int).clip(-most, most)


def apply_pose(pictures: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Return each picture in its pose."""
    turned = np.empty_like(pictures)
    for number, (_, transposed, down, right) in enumerate(POSES):
        if (in_pose := pose == number).any():
            posed = pictures[in_pose]
            posed = posed.transpose(0, 2, 1) if transposed else posed
            turned[in_pose] = posed[:, :: -1 if down else 1, :: -1 if right else 1]
    return turned


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
