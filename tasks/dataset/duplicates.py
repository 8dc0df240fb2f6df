"""Duplicates: pairs of images that show one photograph, with equal bytes or changed."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tasks.dataset.near_duplicates import POSES, Pairs
from tasks.dataset.registration import SIDE
from tasks.records.rows import Row

LIGHTER = 0.03  # a smaller change of brightness is not mentioned


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
        """Return the sha256 of both images."""
        return self.sha256, self.copy_sha256

    def across(self) -> bool:
        """Return whether one image was published to train and the other to test."""
        return {self.published, self.copy_published} == {"train", "test"}


def exact_copies(rows: Sequence[Row]) -> list[Copy]:
    """Return every pair of rows with equal bytes."""
    by_content: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_content[row.sha256].append(row)
    return [
        copy(first, second, "equal", 1.0) for rows in by_content.values() for first, second in combinations(rows, 2)
    ]


def changed_copies(images: Sequence[Row], pairs: Pairs) -> list[Copy]:
    """Return the pairs of near duplicates among `images` as copies, those of the highest score first. All contents differ."""
    return [
        copy(
            images[first], images[second], transform(images[first], images[second], pose, shift), round(float(score), 4)
        )
        for first, second, pose, shift, score in zip(*pairs.take(np.argsort(-pairs.score, kind="stable")), strict=True)
    ]


def copy(first: Row, second: Row, transform: str, score: float) -> Copy:
    """Return the pair of two rows, the earlier one first."""
    return Copy(
        first.path, first.sha256, first.origin, first.published,
        second.path, second.sha256, second.origin, second.published,
        transform, score,
    )  # fmt: skip


def transform(first: Row, second: Row, pose: int, shift: np.ndarray) -> str:
    """Return what turns the first image into the second: `mirror, turn 90, shift 3 -2, brightness 1.15`.

    Shifts are right and down, in pixels of the second image.
    """
    right, down = round(float(shift[0]) * second.width / SIDE), round(float(shift[1]) * second.height / SIDE)
    lighter = second.brightness / max(first.brightness, 1)
    steps = [
        POSES[pose][0],
        f"shift {right} {down}" if right or down else "",
        f"brightness {lighter:.2f}" if abs(lighter - 1) >= LIGHTER else "",
    ]
    return ", ".join(filter(None, steps)) or "encoded again"
