"""Copies: pairs of images that show one photograph, byte by byte or changed."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tasks.dataset.near_duplicates import POSES, SIDE, Pairs
from tasks.records.rows import Row

LIGHTER = 0.03  # a smaller change of brightness is not told


class Copy(NamedTuple):
    """Two images of one photograph; the earlier one first."""

    path: str
    sha256: str
    origin: str
    published: str
    copy_path: str
    copy_sha256: str
    copy_origin: str
    copy_published: str
    transform: str
    """Turns the first into the second."""
    score: float
    """Correlation of detail after the transform; 1 for equal bytes."""

    def contents(self) -> tuple[str, str]:
        return self.sha256, self.copy_sha256

    def across(self) -> bool:
        """Whether one was published to train and the other to test."""
        return {self.published, self.copy_published} == {"train", "test"}


def exact_copies(rows: Sequence[Row]) -> list[Copy]:
    """Every pair of rows with equal bytes."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        same[row.sha256].append(row)
    return [copy(one, other, "equal", 1.0) for rows in same.values() for one, other in combinations(rows, 2)]


def changed_copies(images: Sequence[Row], pairs: Pairs) -> list[Copy]:
    """The pairs of `images`, contents that differ, the surest first."""
    order = np.argsort(-pairs.score, kind="stable")
    return [
        copy(images[one], images[other], transform(images[one], images[other], pose, shift), round(float(score), 4))
        for one, other, pose, shift, score in zip(*(column[order] for column in pairs), strict=True)
    ]


def copy(one: Row, other: Row, transform: str, score: float) -> Copy:
    return Copy(
        one.path, one.sha256, one.origin, one.published,
        other.path, other.sha256, other.origin, other.published,
        transform, score,
    )  # fmt: skip


def transform(one: Row, other: Row, pose: int, shift: np.ndarray) -> str:
    """What turns the one into the other: `mirror, turn 90, shift 3 -2, brightness 1.15`; shifts right and down, in pixels."""
    right, down = round(float(shift[0]) * other.width / SIDE), round(float(shift[1]) * other.height / SIDE)
    lighter = other.brightness / max(one.brightness, 1)
    told = [
        POSES[pose][0],
        f"shift {right} {down}" if right or down else "",
        f"brightness {lighter:.2f}" if abs(lighter - 1) >= LIGHTER else "",
    ]
    return ", ".join(filter(None, told)) or "encoded again"
