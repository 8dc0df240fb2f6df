"""Parts by detail: which photographs show one part that need not be round, recognized by local detail that does not depend on the light.

The spectrum of its detail, which no shift changes, finds the pictures that may show the same part. The detail itself, laid on that of
another picture, decides. How alike two pictures must be follows from how alike different parts of the same data set are.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.dataset.near_duplicates import MAX_CANDIDATES, QUERIES, STEPS, apply_pose
from tasks.dataset.registration import MOST, PIECE, SIDE, blocks, coarsen, details
from tasks.storage.parallel import map_in_threads

HALF = SIDE // 2
STRIPE = 17  # pixels of 128: detail that goes on so far is a stripe or an edge, and one tool leaves equal stripes on different parts
WAVES = 16  # of the spectrum, in each direction
REACH = 12  # pixels of 64 that one picture may lie beside the other
FLIPS = 0, 1, 4, 5  # places in POSES of all poses but for a turn by 180 degrees, which changes no spectrum
FEWEST = 20  # pictures; fewer tell too little of how alike different parts are
REFERENCES = 1_000  # random pairs that tell it
HIGH = 0.95  # quantile of the random pairs: where fewer than some 20 parts, or kinds of parts, are photographed, they count as alike
LEAST = 0.3  # limit: independent noise reaches as much
WINDOW = np.sqrt(np.outer(np.hanning(HALF + 2), np.hanning(HALF + 2)))[1:-1, 1:-1]


class DetailIndex(NamedTuple):
    """What is compared of all pictures."""

    marks: np.ndarray
    """int8 (n, 64, 64): detail without stripes."""
    spectra: np.ndarray
    """float32 (4, n, 561): their spectra in each of FLIPS, without what those of the source share, of norm 1."""
    sizes: np.ndarray
    """int (n, 2): height and width of the photographs, in pixels."""


class DetailGroups(NamedTuple):
    """The groups by detail."""

    leaders: list[int]
    """Place of the leader of each picture's group."""
    scores: list[float]
    """Correlation of detail with the leader where detail made a picture join; else 1."""
    limit: float
    """Least correlation at which a picture joins; 1 or more where different parts are too alike, or too few."""


def join_by_detail(
    thumbnails: np.ndarray, sizes: np.ndarray, is_base: np.ndarray, leaders: Sequence[int], false_share: float
) -> DetailGroups:
    """Join groups of thumbnails, uint8 (n, 128, 128), whose leaders show one part.

    A picture that leads so far joins the most alike leader, among those of the 12 earlier pictures with the most alike spectra, if their
    correlation reaches the limit. The limit depends on the pictures that `is_base`, bool (n,), selects: later ones change nothing.
    `sizes`, int (n, 2), are heights and widths of the photographs, `false_share` is as in `AuditSettings`.
    """
    index = index_detail(thumbnails, sizes, is_base)
    limit = find_limit(index, np.flatnonzero(is_base), false_share)
    joined, scores = list(leaders), [1.0] * len(leaders)
    if limit >= 1:
        return DetailGroups(joined, scores, limit)
    earlier, later = nearest_spectra(index.spectra)
    alike = correlate_pairs(index, earlier, later) >= limit
    linked: dict[int, list[int]] = {}
    for first, second in zip(earlier[alike].tolist(), later[alike].tolist(), strict=True):
        linked.setdefault(second, []).append(first)
    for place, leader in enumerate(leaders):
        if leader != place:
            joined[place] = joined[leader]
        elif place in linked:
            near = np.unique([joined[first] for first in linked[place]])
            with_leaders = correlate_pairs(index, near, np.full(len(near), place))
            if with_leaders.max() >= limit:
                joined[place], scores[place] = int(near[with_leaders.argmax()]), float(with_leaders.max())
    return DetailGroups(joined, scores, limit)


def index_detail(thumbnails: np.ndarray, sizes: np.ndarray, is_base: np.ndarray) -> DetailIndex:
    """Compute what is compared of each thumbnail. What the spectra share is the mean of those that `is_base` selects."""
    from scipy import ndimage  # late: a run in which nothing changed has no use for it

    fine = details(thumbnails)
    spectra = np.empty((len(FLIPS), len(fine), (2 * WAVES + 1) * (WAVES + 1)), np.float32)

    def remove_stripes(rows: slice) -> None:
        marks = fine[rows].astype(np.float32)
        for axis in (1, 2):
            marks -= ndimage.uniform_filter1d(marks, STRIPE, axis=axis, mode="nearest")
        fine[rows] = np.rint(marks).clip(-MOST, MOST)

    def transform(rows: slice) -> None:
        for number, pose in enumerate(FLIPS):
            posed = apply_pose(marks[rows], np.full(len(marks[rows]), pose)) * WINDOW**2
            waves = np.abs(np.fft.rfft2(posed))[:, np.arange(-WAVES, WAVES + 1), : WAVES + 1]
            spectra[number, rows] = np.sqrt(waves).reshape(len(waves), -1)

    def normalize(rows: slice) -> None:
        spectra[:, rows] -= shared
        norm = np.linalg.norm(spectra[:, rows], axis=2, keepdims=True)
        spectra[:, rows] = np.rint(spectra[:, rows] / np.maximum(norm, 1e-6) * STEPS) / STEPS

    map_in_threads(remove_stripes, blocks(len(fine), PIECE))
    marks = coarsen(fine)
    map_in_threads(transform, blocks(len(fine), PIECE))
    shared = spectra[0, is_base].mean(axis=0) if is_base.any() else 0
    map_in_threads(normalize, blocks(len(fine), PIECE))
    return DetailIndex(marks, spectra, sizes)


def nearest_spectra(spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each picture with the earlier ones whose spectra are most alike in any pose: numbers of the earlier, of the later."""

    def find_nearest(rows: slice) -> np.ndarray:
        numbers = np.arange(rows.start, rows.stop)
        alike = np.max([posed[: rows.stop] @ spectra[0, rows].T for posed in spectra], axis=0).T
        alike[np.arange(rows.stop) >= numbers[:, None]] = -2
        most = min(MAX_CANDIDATES, rows.stop)
        nearest = np.argpartition(alike, -most, axis=1)[:, -most:]
        pairs = np.stack([nearest, np.repeat(numbers[:, None], most, axis=1)])
        return pairs[:, nearest < numbers[:, None]]

    pairs = map_in_threads(find_nearest, blocks(spectra.shape[1], QUERIES))
    earlier, later = np.concatenate([np.empty((2, 0), int), *pairs], axis=1)
    return earlier, later


def find_limit(index: DetailIndex, base: np.ndarray, false_share: float) -> float:
    """Return the correlation that only `false_share` of the pictures of `base`, by place, should reach with a picture of another part.

    Random pairs nearly always show different parts. Their correlations, each the greatest of many, are taken to follow the law of
    extremes (Gumbel, 1958), which says how seldom different parts reach what no random pair has reached.
    """
    if len(base) < FEWEST:
        return 1.0
    first, second = np.sort(base[np.random.default_rng(0).integers(len(base), size=(REFERENCES, 2))], axis=1).T
    differ = first != second
    number = int(differ.sum())
    scores = [
        correlate_pairs(index, first[differ], second[differ], np.full(number, pose)) for pose in range(len(FLIPS))
    ]
    middle, high = np.quantile(np.max(scores, axis=0), [0.5, HIGH])
    spread = (high - middle) / (np.log(np.log(2)) - np.log(-np.log(HIGH)))
    limit = middle + spread * (np.log(np.log(2)) + np.log((len(base) - 1) / 2 / false_share))
    return max(LEAST, float(limit))


def best_flip(index: DetailIndex, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return the place in FLIPS of the pose of each earlier picture whose spectrum is most like that of the later: int (pairs,)."""
    return np.einsum("pnd,nd->np", index.spectra[:, earlier], index.spectra[0, later]).argmax(axis=1)


def correlate_pairs(
    index: DetailIndex, earlier: np.ndarray, later: np.ndarray, pose: np.ndarray | None = None
) -> np.ndarray:
    """Return the greatest correlation of the marks of each pair over all shifts: float64 (pairs,).

    The earlier picture is in `pose`, by place in FLIPS, or in its best; upright, or turned by 180 degrees.

    Photographs of unequal size are compared twice: as squares, and at one scale, since of one part they may show pieces of unequal size.
    All marks are whole numbers, so that a pair's correlation is the same in any company.
    """
    score = np.empty(len(earlier), np.float64)

    def correlate(rows: slice) -> None:
        first, second = earlier[rows], later[rows]
        posed = best_flip(index, first, second) if pose is None else pose[rows]
        moved, still = apply_pose(index.marks[first], np.array(FLIPS)[posed]), index.marks[second]
        sizes = np.where(posed[:, None] >= 2, index.sizes[first][:, ::-1], index.sizes[first])
        ratio = sizes / index.sizes[second]
        score[rows] = correlate_shifts(moved, still)
        unequal = np.flatnonzero((ratio != 1).any(axis=1))
        at_scale = correlate_shifts(stretch(moved[unequal], ratio[unequal]), still[unequal])
        score[rows.start + unequal] = np.maximum(score[rows.start + unequal], at_scale)

    map_in_threads(correlate, blocks(len(earlier), PIECE))
    return score


def stretch(marks: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return marks, int8 (n, 64, 64), enlarged about their middle by a ratio down and right, float (n, 2): int8, of the same shape."""
    places = np.arange(HALF) - (HALF - 1) / 2
    down, right = (
        np.maximum(0, 1 - np.abs(places[:, None] / side[:, None, None] - places)).astype(np.float32) for side in ratio.T
    )
    return np.rint(down @ marks.astype(np.float32) @ right.transpose(0, 2, 1).copy()).astype(np.int8)


def correlate_shifts(moved: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Return the greatest correlation of marks, int8 (n, 64, 64), over shifts, upright or turned by 180 degrees: float64 (n,)."""
    moved, still = np.rint(moved * WINDOW), np.rint(still * WINDOW)
    from_moved, from_still = np.fft.rfft2(moved), np.fft.rfft2(still)
    shifts = np.arange(-REACH, REACH + 1)
    greatest = [
        np.rint(np.fft.irfft2(spectrum * from_still))[:, near[:, None], near].max(axis=(1, 2))
        for spectrum, near in ((from_moved.conj(), shifts), (from_moved, shifts - 1))
    ]
    norm = np.sqrt((moved**2).sum(axis=(1, 2)) * (still**2).sum(axis=(1, 2)))
    return np.max(greatest, axis=0) / np.maximum(norm, 1)
