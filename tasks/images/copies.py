"""Copies: pairs of images that show one photograph, and the groups that they form."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tasks.images.manifest import Row


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
    """Correlation after the transform; 1 for equal bytes."""


def exact_copies(rows: Sequence[Row]) -> list[Copy]:
    """Every pair of rows with equal bytes."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        same[row.sha256].append(row)
    return [
        Copy(one.path, one.origin, one.published, other.path, other.origin, other.published, "identity", 1.0)
        for copies in same.values()
        for index, one in enumerate(copies)
        for other in copies[index + 1 :]
    ]


def groups(rows: Sequence[Row]) -> list[Member]:
    """The group of every content, in the order of the rows: equal bytes are one group, led by themselves."""
    return [Member(sha256, sha256) for sha256 in dict.fromkeys(row.sha256 for row in rows)]
