"""Near duplicates: which pictures are one photograph turned, mirrored, relit, shifted or encoded again, and how surely.

Three stages each look at fewer pairs: the lowest frequencies find pairs that may be alike, detail at 64 pixels rules most of them out,
and detail at 128 pixels decides.
"""

from typing import NamedTuple

import numpy as np

from tasks.dataset.registration import FURTHEST, PIECE, SIDE, apply_shift, blocks, coarsen, details, register
from tasks.storage.parallel import map_in_threads

FREQUENCIES = 16  # of a cosine transform, in each direction: a shift by 3 pixels of 300 hardly changes them
LOW_FREQUENCY_LIMIT = (
    0.97  # least correlation of low frequencies; the least of the true copies that were looked at was 0.98
)
MAX_CANDIDATES = 12  # so many of the most alike pictures go to the next stage; a true copy was at worst the ninth
COARSE_LIMIT = 0.95  # least correlation at 64 pixels; the least of the accepted copies was 0.96
STEPS = 2_048  # of low frequencies: a product of two has 22 bits, and float32 keeps 24
ROUNDS = 3  # of finding the shift
QUERIES = 512  # pictures that a thread compares with all others at once

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

    earlier: np.ndarray
    later: np.ndarray
    pose: np.ndarray
    """Place in POSES of the pose that turns the earlier picture into the later one."""
    shift: np.ndarray
    """float (pairs, 2): how far the turned picture then moves right and down, in pixels of 128."""
    score: np.ndarray
    """Correlation of detail after pose and shift, -1 to 1."""

    def take(self, selection: np.ndarray) -> "Pairs":
        """Return the pairs of this selection, bool or int."""
        return Pairs(*(column[selection] for column in self))


def find_near_duplicates(thumbnails: np.ndarray, is_test: np.ndarray, limit: float) -> Pairs:
    """Find the pairs of thumbnails, uint8 (n, 128, 128), that show one photograph.

    Each picture is compared with the pictures before it, and once more with only those of the published test, which `is_test`,
    bool (n,), selects: a copy of one of these is found however many other copies there are. Of each picture's copies at most 12
    are listed.
    """
    low = low_frequencies(thumbnails)
    pairs = best_pose(low, *candidates(low, is_test))
    fine = details(thumbnails)
    pairs = score_pairs(coarsen(fine), pairs)
    pairs = score_pairs(fine, pairs.take(pairs.score >= COARSE_LIMIT))
    return pairs.take(pairs.score >= limit)


def low_frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """Compute the lowest coefficients of the cosine transform, without the mean, of norm 1: float32 (n, 16, 16).

    They are rounded to steps of 1/2048, so that a product of two of them is exact, whatever block computes it.
    """
    waves = np.cos(np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(FREQUENCIES)[:, None])
    waves[0] /= np.sqrt(2)
    low = np.empty((len(thumbnails), FREQUENCIES, FREQUENCIES), np.float32)

    def transform(rows: slice) -> None:
        coefficients = waves @ thumbnails[rows].astype(np.float64) @ waves.T
        coefficients[:, 0, 0] = 0
        coefficients /= np.maximum(np.linalg.norm(coefficients, axis=(1, 2), keepdims=True), 1e-6)
        low[rows] = np.rint(coefficients * STEPS) / STEPS

    map_in_threads(transform, blocks(len(thumbnails), PIECE))
    return low


def candidates(low: np.ndarray, is_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures that may be alike, as two arrays of numbers; the first of a pair comes before the second."""
    test_numbers = np.flatnonzero(is_test)

    def find_nearest(rows: slice) -> list[np.ndarray]:
        numbers = np.arange(rows.start, rows.stop)
        return [
            nearest_pairs(low, numbers, np.arange(rows.stop)),
            nearest_pairs(low, numbers[~is_test[rows]], test_numbers),
        ]

    pairs = [pair for piece in map_in_threads(find_nearest, blocks(len(low), QUERIES)) for pair in piece]
    distinct = np.unique(np.sort(np.concatenate([np.empty((0, 2), int), *pairs]), axis=1), axis=0)
    return distinct[:, 0], distinct[:, 1]


def nearest_pairs(low: np.ndarray, queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the most alike reference pictures of each query: int (pairs, 2), as (query, reference).

    A picture is never paired with itself. Where all pictures are references, it is not paired with those after it either.
    """
    if not len(queries) or not len(references):
        return np.empty((0, 2), int)
    score = best_correlations(low[queries], low[references])
    if len(references) == references[-1] + 1:
        score[:, queries[0] :][references[None, queries[0] :] >= queries[:, None]] = -1
    else:
        score[references[None] == queries[:, None]] = -1
    most = min(MAX_CANDIDATES, len(references))
    nearest = np.argpartition(score, -most, axis=1)[:, -most:]
    rows, columns = np.nonzero(np.take_along_axis(score, nearest, axis=1) >= LOW_FREQUENCY_LIMIT)
    return np.stack([queries[rows], references[nearest[rows, columns]]], axis=1)


def best_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the greatest correlation over the eight poses: float32 (first, second).

    A mirrored picture has the same coefficients with every other sign changed, a transposed one has them transposed. So four products
    for each of the two orientations are enough for all eight poses.
    """
    best = np.full((len(first), len(second)), -1, np.float32)
    left = [half.reshape(len(first), -1) for half in parities(first)]
    for columns in blocks(len(second)):  # small enough to stay in the cache
        for turned in (second[columns], second[columns].transpose(0, 2, 1)):
            ee, eo, oe, oo = (
                left_half @ half.reshape(len(half), -1).T
                for left_half, half in zip(left, parities(turned), strict=True)
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


def best_pose(low: np.ndarray, earlier: np.ndarray, later: np.ndarray) -> Pairs:
    """Return the pairs with the pose in which their low frequencies are most alike."""
    scores = np.empty((len(earlier), len(POSES)), np.float32)
    signs = np.stack([np.ones(FREQUENCIES, np.float32), np.float32(-1) ** np.arange(FREQUENCIES)])

    def score(rows: slice) -> None:
        still, moved = low[later[rows]], low[earlier[rows]]
        for number, (_, transposed, down, right) in enumerate(POSES):
            posed = moved.transpose(0, 2, 1) if transposed else moved
            scores[rows, number] = np.einsum("nij,nij,i,j->n", still, posed, signs[int(down)], signs[int(right)])

    map_in_threads(score, blocks(len(earlier)))
    pose = scores.argmax(axis=1)
    return Pairs(earlier, later, pose, np.zeros((len(earlier), 2)), scores.max(axis=1, initial=-1))


def score_pairs(pictures: np.ndarray, pairs: Pairs) -> Pairs:
    """Return the pairs with shift and score computed from pictures, int8 (n, side, side).

    Pairs whose shift, in whole pixels, turns out to be another one are computed again.
    """
    scale = SIDE // pictures.shape[1]
    most = FURTHEST // scale
    shift, score = pairs.shift / scale, np.empty(len(pairs.earlier), np.float32)
    guess, again = round_shift(shift, most), np.arange(len(pairs.earlier))

    def register_rows(rows: np.ndarray) -> None:
        moved = apply_shift(apply_pose(pictures[pairs.earlier[rows]], pairs.pose[rows]), guess[rows], most + 1)
        further, score[rows] = register(pictures[pairs.later[rows]].astype(np.float32), moved)
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
        in_pose = pose == number
        posed = pictures[in_pose].transpose(0, 2, 1) if transposed else pictures[in_pose]
        turned[in_pose] = posed[:, :: -1 if down else 1, :: -1 if right else 1]
    return turned
