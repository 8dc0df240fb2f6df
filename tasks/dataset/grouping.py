"""Castings: which photographs show one physical part, told by the marks that it alone has.

Marks are what is left of an unwrapped ring when all is taken away that parts of one kind and pictures of one set-up share:
turned grooves (each row's mean and slow change), glare (what whole columns have in common), and contrast.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from tasks.records.rows import Member
from tasks.storage.parallel import map_chunks_in_threads

ROWS, COLUMNS = 24, 256  # of a strip, averaged
DARK = 12.0  # grey levels added before the logarithm: noise in black is no mark
SLOW, ACROSS = (
    21,
    7,
)  # columns and rows over which a mean is taken away: glare is wider than the one, and steady over the other
CONTRAST = 25  # columns over which contrast is made even
LEAST = 3e-4  # square of the contrast, in logarithms, below which nothing is seen: noise of a camera has about as much
FACE = slice(4, 23)  # rows from the cavity's edge to the rim; tilt and shadow change what lies beyond
BLOCK = 256  # contents at once
LEADERS = 1_024  # compared with a block at once: some 300 MB


def spectra(strips: np.ndarray) -> np.ndarray:
    """The marks of strips, uint8 (n, 96, 512), as Fourier coefficients along the turn: complex64 (n, 19, 129), of norm 1.

    In this form all rotations of two of them are compared at once, and a mirrored ring is a conjugate.
    """
    from scipy import ndimage  # late: a run in which nothing changed has no use for it

    grey = strips.reshape(len(strips), ROWS, -1, COLUMNS, strips.shape[2] // COLUMNS).mean(
        axis=(2, 4), dtype=np.float32
    )
    marks = np.log(grey + DARK)
    marks -= ndimage.uniform_filter1d(marks, SLOW, axis=2, mode="wrap")
    marks -= ndimage.uniform_filter1d(marks, ACROSS, axis=1, mode="nearest")
    marks /= np.sqrt(ndimage.uniform_filter1d(marks * marks, CONTRAST, axis=2, mode="wrap") + LEAST)
    marks = marks[:, FACE]
    norm = np.maximum(np.linalg.norm(marks, axis=(1, 2), keepdims=True), 1e-6)
    return np.fft.rfft(marks / norm, axis=2).astype(np.complex64)


def correlate_marks(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (one, other): the greatest correlation of marks over all rotations, mirrored or not."""
    # laid out in memory as they are multiplied: else NumPy takes a loop of its own, which is many times slower
    left, right = (np.ascontiguousarray(marks) for marks in (one.transpose(2, 0, 1), other.transpose(2, 1, 0)))
    turned, mirrored = (np.fft.irfft(way @ right, n=COLUMNS, axis=0).max(axis=0) for way in (left.conj(), left))
    return np.maximum(turned, mirrored).astype(np.float32)


class GroupHints(NamedTuple):
    """What tells a content's group: the strip of its ring, if one was found, and its surest copy before it, if there is one."""

    strip: np.ndarray | None
    residual: float
    twin: int | None
    """Place of the copy."""
    likeness: float
    """To the copy."""


def assign_groups(contents: Sequence[str], known: Iterable[GroupHints], limit: float) -> list[Member]:
    """The group of every content, in their order: that of its copy, else of the most alike leader from `limit` on, else its own.

    What comes later changes nothing: a group is its leader and those that joined it, and two groups never become one.
    """
    members: list[Member] = []
    leaders = Leaders()
    for some in in_batches(known, BLOCK):
        ringed = {number: one.strip for number, one in enumerate(some) if one.strip is not None}
        marks = dict(zip(ringed, spectra_of(list(ringed.values())), strict=True))
        near = dict(zip(ringed, leaders.nearest(list(marks.values())), strict=True))
        first = len(members)
        for number, one in enumerate(some):
            content, leader, score = contents[first + number], *near.get(number, (-1, -1.0))
            if one.twin is not None:
                members.append(Member(content, members[one.twin].group, round(one.likeness, 4), one.residual))
            elif score >= limit:
                members.append(Member(content, contents[leader], round(score, 4), one.residual))
            else:
                members.append(Member(content, content, 1.0, one.residual))
                if number in marks:
                    leaders.lead(first + number, marks[number])
                    later = [other for other in ringed if other > number]
                    for other, score in zip(later, scores_with(marks[number], [marks[o] for o in later]), strict=True):
                        if score > near[other][1]:
                            near[other] = (first + number, score)
    return members


def in_batches(items: Iterable[GroupHints], size: int) -> Iterator[list[GroupHints]]:
    waiting = iter(items)
    while some := list(islice(waiting, size)):
        yield some


def spectra_of(strips: Sequence[np.ndarray]) -> list[np.ndarray]:
    return map_chunks_in_threads(lambda some: list(spectra(np.stack(some))), strips) if strips else []


def scores_with(leader: np.ndarray, marks: Sequence[np.ndarray]) -> list[float]:
    return correlate_marks(leader[None], np.stack(marks))[0].tolist() if marks else []


def scores_of(leaders: np.ndarray, marks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for each of the marks how alike every leader is."""
    return list(correlate_marks(leaders, np.stack(marks)).T)


class Leaders:
    """The marks of the first image of each casting so far."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.marks: list[np.ndarray] = []

    def lead(self, place: int, marks: np.ndarray) -> None:
        self.places.append(place)
        self.marks.append(marks)

    def nearest(self, marks: Sequence[np.ndarray]) -> list[tuple[int, float]]:
        """Place of the most alike leader, and how alike it is; -1 and -1 as long as there is none."""
        if not self.places or not marks:
            return [(-1, -1.0)] * len(marks)
        best = [(-1, -1.0)] * len(marks)
        for start in range(0, len(self.places), LEADERS):
            leaders = np.stack(self.marks[start : start + LEADERS])
            rows = map_chunks_in_threads(partial(scores_of, leaders), marks)
            scores = np.stack(rows)
            for number, leader in enumerate(scores.argmax(axis=1)):
                if (score := float(scores[number, leader])) > best[number][1]:
                    best[number] = (self.places[start + leader], score)
        return best
