"""Grouping: which photographs show one physical part, recognized by the marks that this part alone has.

Marks are what is left of an unwrapped ring after everything is taken away that parts of one kind and pictures of one set-up share:
turned grooves (each row's mean and slow change), glare (what whole columns have in common), and contrast.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from tasks.records.rows import Member
from tasks.storage.parallel import map_chunks_in_threads

ROWS, COLUMNS = 24, 256  # of a strip, averaged
DARK = 12.0  # gray levels added before the logarithm, so that noise in black is no mark
SLOW, ACROSS = (
    21,
    7,
)  # columns and rows over which a mean is taken away: glare is wider than so many columns, and steady over so many rows
CONTRAST = 25  # columns over which contrast is made even
LEAST = 3e-4  # square of the contrast, in logarithms, below which no mark counts: a camera's noise has about as much
FACE = slice(4, 23)  # rows from the cavity's edge to the rim; tilt and shadow change what lies beyond
BLOCK = 256  # contents at once
LEADERS = 1_024  # compared with a block at once: some 300 MB


def spectra(strips: np.ndarray) -> np.ndarray:
    """Compute the marks of strips, uint8 (n, 96, 512), as Fourier coefficients along the turn: complex64 (n, 19, 129), of norm 1.

    In this form all rotations of two of them are compared at once, and a mirrored ring is a conjugate.
    """
    from scipy import ndimage  # late: a run in which nothing changed has no use for it

    gray = strips.reshape(len(strips), ROWS, -1, COLUMNS, strips.shape[2] // COLUMNS).mean(
        axis=(2, 4), dtype=np.float32
    )
    marks = np.log(gray + DARK)
    marks -= ndimage.uniform_filter1d(marks, SLOW, axis=2, mode="wrap")
    marks -= ndimage.uniform_filter1d(marks, ACROSS, axis=1, mode="nearest")
    marks /= np.sqrt(ndimage.uniform_filter1d(marks * marks, CONTRAST, axis=2, mode="wrap") + LEAST)
    marks = marks[:, FACE]
    norm = np.maximum(np.linalg.norm(marks, axis=(1, 2), keepdims=True), 1e-6)
    return np.fft.rfft(marks / norm, axis=2).astype(np.complex64)


def correlate_marks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the greatest correlation of marks over all rotations, mirrored or not: float32 (first, second)."""
    # laid out in memory as they are multiplied: else NumPy takes a loop of its own, which is many times slower
    left, right = (np.ascontiguousarray(marks) for marks in (first.transpose(2, 0, 1), second.transpose(2, 1, 0)))
    turned, mirrored = (np.fft.irfft(way @ right, n=COLUMNS, axis=0).max(axis=0) for way in (left.conj(), left))
    return np.maximum(turned, mirrored).astype(np.float32)


class GroupHints(NamedTuple):
    """The hints to a content's group: the strip of its ring, if one was found, and its surest copy before it, if there is one."""

    strip: np.ndarray | None
    residual: float
    copy: int | None
    """Place of the copy; None where there is none."""
    likeness: float
    """To the copy."""


def assign_groups(contents: Sequence[str], hints: Iterable[GroupHints], limit: float) -> list[Member]:
    """Return the group of every content, in their order.

    A content joins the group of its copy, else that of the most alike leader if the correlation is `limit` or more, else it leads its own.
    Later contents change nothing: a group is its leader and those that joined it, and two groups never become one.
    """
    members: list[Member] = []
    leaders: dict[int, np.ndarray] = {}
    remaining = iter(hints)
    while batch := list(islice(remaining, BLOCK)):
        first = len(members)
        strips = {place: hint.strip for place, hint in enumerate(batch, first) if hint.strip is not None}
        marks = dict(zip(strips, spectra_of(list(strips.values())), strict=True))
        nearest = dict(zip(strips, nearest_leaders(leaders, list(marks.values())), strict=True))
        for place, hint in enumerate(batch, first):
            content, leader, score = contents[place], *nearest.get(place, (-1, -1.0))
            if hint.copy is not None:
                members.append(Member(content, members[hint.copy].group, round(hint.likeness, 4), hint.residual))
            elif score >= limit:
                members.append(Member(content, contents[leader], round(score, 4), hint.residual))
            else:
                members.append(Member(content, content, 1.0, hint.residual))
                if place in marks:
                    leaders[place] = marks[place]
                    later = [later_place for later_place in strips if later_place > place]
                    scores = scores_with(marks[place], [marks[later_place] for later_place in later])
                    for later_place, score in zip(later, scores, strict=True):
                        if score > nearest[later_place][1]:
                            nearest[later_place] = (place, score)
    return members


def spectra_of(strips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the marks of each strip, as `spectra` computes them."""
    return map_chunks_in_threads(lambda piece: list(spectra(np.stack(piece))), strips) if strips else []


def scores_with(leader: np.ndarray, marks: Sequence[np.ndarray]) -> list[float]:
    """Return how alike each of the marks is to those of one leader."""
    return correlate_marks(leader[None], np.stack(marks))[0].tolist() if marks else []


def scores_of(leaders: np.ndarray, marks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for each of the marks how alike every leader is."""
    return list(correlate_marks(leaders, np.stack(marks)).T)


def nearest_leaders(leaders: Mapping[int, np.ndarray], marks: Sequence[np.ndarray]) -> list[tuple[int, float]]:
    """Return for each of the marks the place of the most alike leader, and how alike it is; -1 and -1 while there is no leader.

    `leaders` holds the marks of the first image of each casting so far, by the place of the image.
    """
    nearest = [(-1, -1.0)] * len(marks)
    places = list(leaders)
    for start in range(0, len(places), LEADERS):
        block = np.stack([leaders[place] for place in places[start : start + LEADERS]])
        for number, scores in enumerate(map_chunks_in_threads(partial(scores_of, block), marks)):
            best = scores.argmax()
            if (score := float(scores[best])) > nearest[number][1]:
                nearest[number] = (places[start + best], score)
    return nearest
