"""Likeness: which pictures are one photograph, turned, mirrored, lit, moved or encoded otherwise, and how surely.

Three looks, each at fewer pairs: the lowest frequencies find those that may be alike, detail at 64 pixels sorts out, and
detail at 128 pixels decides. Detail is what differs from its surroundings, by local contrast: else the outlines, which all
parts of one kind share, would make every pair alike.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SIDE = 128  # pixels of a thumbnail
FREQUENCIES = 16  # of a cosine transform, in each direction: a shift by 3 pixels of 300 hardly changes them
MAY_BE = 0.97  # least correlation of low frequencies; of true copies that were looked at the least was 0.98
MANY = 12  # most alike pictures that are looked at again; a true copy was at worst the ninth
COARSE_LIMIT = 0.80  # least correlation at 64 pixels; of true copies that were looked at the least was 0.90
AROUND, CONTRAST_AROUND, FLOOR = 9, 15, 0.1  # pixels, pixels, and a share of the picture's own contrast
UNIT = 32  # of detail as whole numbers
FURTHEST = 4  # pixels of 128 that a copy may be shifted by
ROUNDS = 3  # of finding the shift
BLOCK = 1_024

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
    """Place in POSES: what turns the one into the other."""
    shift: np.ndarray
    """float (pairs, 2): then moves it right and down, in pixels of 128."""
    score: np.ndarray
    """Correlation of detail after that, -1 to 1."""

    def take(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(*(column[chosen] for column in self))


def alike(thumbnails: np.ndarray, first: np.ndarray, limit: float) -> Pairs:
    """Pairs of thumbnails, uint8 (n, 128, 128), that show one photograph; the one comes before the other.

    Each picture is compared with the pictures before it, and once more with those that `first`, bool (n,), names alone: a
    twin among them is found however many other twins there are. Of each picture's copies at most 12 are listed.
    """
    low = low_frequencies(thumbnails)
    one, other = candidates(low, first)
    pairs = best_pose(low, one, other)
    fine = details(thumbnails)
    coarse = np.rint(fine.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4), dtype=np.float32)).astype(np.int8)
    pairs = scored(coarse, pairs)
    pairs = scored(fine, pairs.take(pairs.score >= COARSE_LIMIT))
    return pairs.take(pairs.score >= limit)


def low_frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (n, 16, 16): the lowest coefficients of the cosine transform, of norm 1 without the mean."""
    angle = np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(FREQUENCIES)[:, None]
    waves = np.cos(angle).astype(np.float32)
    waves[0] /= np.sqrt(2)
    low = np.empty((len(thumbnails), FREQUENCIES, FREQUENCIES), np.float32)
    for rows in blocks(len(thumbnails)):
        low[rows] = waves @ thumbnails[rows].astype(np.float32) @ waves.T
    low[:, 0, 0] = 0
    return low / np.maximum(np.linalg.norm(low, axis=(1, 2), keepdims=True), 1e-6)


def blocks(number: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, number)) for start in range(0, number, BLOCK))


def candidates(low: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pictures that may be alike, as two arrays of numbers; the one comes before the other."""
    found = [np.empty((0, 2), int)]
    known = np.flatnonzero(first)
    for rows in blocks(len(low)):
        asked = np.arange(rows.start, rows.stop)
        found.append(nearest(low, asked, np.arange(rows.stop)))
        found.append(nearest(low, asked[~first[rows]], known))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def nearest(low: np.ndarray, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """int (pairs, 2): for each asked picture the most alike known ones, without itself and those after it in a block of its own."""
    if not len(asked) or not len(known):
        return np.empty((0, 2), int)
    score = greatest(low[asked], low[known])
    if len(known) == known[-1] + 1:  # all that come before: a picture is no copy of itself or of a later one
        score[known[None] >= asked[:, None]] = -1
    most = min(MANY, len(known))
    chosen = np.argpartition(-score, most - 1, axis=1)[:, :most]
    rows, columns = np.nonzero(np.take_along_axis(score, chosen, axis=1) >= MAY_BE)
    return np.stack([asked[rows], known[chosen[rows, columns]]], axis=1)


def greatest(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (one, other): the greatest correlation over the eight poses.

    A mirrored picture has the same coefficients with every other sign changed, a transposed one has them transposed: four
    products for either are enough for all eight.
    """
    best = np.full((len(one), len(other)), -1, np.float32)
    for turned in (other, other.transpose(0, 2, 1)):
        ee, eo, oe, oo = (
            one[:, down::2, right::2].reshape(len(one), -1) @ turned[:, down::2, right::2].reshape(len(other), -1).T
            for down in (0, 1)
            for right in (0, 1)
        )
        np.maximum(best, ee + oo + np.abs(eo + oe), out=best)
        np.maximum(best, ee - oo + np.abs(eo - oe), out=best)
    return best


def best_pose(low: np.ndarray, one: np.ndarray, other: np.ndarray) -> Pairs:
    """The pairs with the pose in which their low frequencies are most alike."""
    scores = np.empty((len(one), len(POSES)), np.float32)
    signs = np.stack([np.ones(FREQUENCIES, np.float32), np.float32(-1) ** np.arange(FREQUENCIES)])
    for rows in blocks(len(one)):
        still, moved = low[other[rows]], low[one[rows]]
        for number, (_, transposed, down, right) in enumerate(POSES):
            posed = moved.transpose(0, 2, 1) if transposed else moved
            scores[rows, number] = np.einsum("nij,nij,i,j->n", still, posed, signs[int(down)], signs[int(right)])
    pose = scores.argmax(axis=1)
    return Pairs(one, other, pose, np.zeros((len(one), 2)), scores.max(axis=1, initial=-1))


def details(thumbnails: np.ndarray) -> np.ndarray:
    """int8, as `thumbnails`: what differs from its surroundings, by local contrast, in steps of 1/32."""
    fine = np.empty(thumbnails.shape, np.int8)
    for rows in blocks(len(thumbnails)):
        grey = thumbnails[rows].astype(np.float32)
        contrast = FLOOR * grey.std(axis=(1, 2), keepdims=True) + 1e-3
        grey -= mean_around(grey, AROUND)
        grey /= np.sqrt(mean_around(grey * grey, CONTRAST_AROUND) + contrast**2)
        fine[rows] = np.rint(grey * UNIT).clip(-127, 127)
    return fine


def mean_around(pictures: np.ndarray, size: int) -> np.ndarray:
    from scipy import ndimage  # late: a run in which nothing changed has no use for it

    return ndimage.uniform_filter(pictures, (0, size, size), mode="nearest")


def scored(pictures: np.ndarray, pairs: Pairs) -> Pairs:
    """The pairs with shift and score from pictures, int8 (n, side, side); where the shift turns out another, looked at again."""
    scale = SIDE // pictures.shape[1]
    most = FURTHEST // scale
    shift, score = pairs.shift / scale, np.empty(len(pairs.one), np.float32)
    about, again = whole(shift, most), np.arange(len(pairs.one))
    for _ in range(ROUNDS):
        for start in range(0, len(again), BLOCK):
            rows = again[start : start + BLOCK]
            moved = posed(pictures[pairs.one[rows]], pairs.pose[rows])
            still = pictures[pairs.other[rows]].astype(np.float32)
            further, score[rows] = register(still, shifted(moved, about[rows], most + 1))
            shift[rows] = about[rows] + further
        before, about = about, whole(shift, most)
        again = np.flatnonzero((about != before).any(axis=1))
    return pairs._replace(shift=shift * scale, score=score)


def whole(shift: np.ndarray, most: int) -> np.ndarray:
    return np.rint(shift).astype(int).clip(-most, most)


def posed(pictures: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Each picture in its pose."""
    turned = np.empty_like(pictures)
    for number, (_, transposed, down, right) in enumerate(POSES):
        if (chosen := pose == number).any():
            some = pictures[chosen]
            some = some.transpose(0, 2, 1) if transposed else some
            turned[chosen] = some[:, :: -1 if down else 1, :: -1 if right else 1]
    return turned


def shifted(pictures: np.ndarray, shift: np.ndarray, margin: int) -> np.ndarray:
    """Each picture moved right and down by whole pixels, without `margin` on each side: float32."""
    side = pictures.shape[1]
    inside = np.empty((len(pictures), side - 2 * margin, side - 2 * margin), np.float32)
    for right, down in np.unique(shift, axis=0):
        chosen = (shift == (right, down)).all(axis=1)
        inside[chosen] = pictures[chosen, margin - down : side - margin - down, margin - right : side - margin - right]
    return inside


def register(still: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much further each moved picture should go, float (n, 2), at most a pixel, and the correlation when it is there.

    To first order a small move adds the slopes: the nearest sum of a picture and its slopes (Lucas and Kanade, 1981).
    """
    number, edge = len(still), (still.shape[1] - moved.shape[1]) // 2 + 1
    seen = still[:, edge:-edge, edge:-edge].reshape(number, -1)
    right = (moved[:, 1:-1, :-2] - moved[:, 1:-1, 2:]) / 2
    down = (moved[:, :-2, 1:-1] - moved[:, 2:, 1:-1]) / 2
    parts = np.stack([part.reshape(number, -1) for part in (moved[:, 1:-1, 1:-1], right, down)], axis=1)
    parts -= parts.mean(axis=2, keepdims=True)
    products, onto = parts @ parts.transpose(0, 2, 1), (parts @ seen[..., None])[..., 0]
    weights = np.linalg.solve(products + 1e-2 * np.eye(3), onto[..., None])[..., 0]
    move = (weights[:, 1:] / np.maximum(weights[:, :1], 1e-6)).clip(-1, 1)
    weights = np.concatenate([np.ones((number, 1)), move], axis=1)
    spread = seen.var(axis=1) * seen.shape[1] * np.einsum("ni,nij,nj->n", weights, products, weights)
    return move, (weights * onto).sum(axis=1) / np.sqrt(np.maximum(spread, 1e-6))
