"""Copies: pairs of images that show one photograph, and the groups that they form."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tasks.images.manifest import Row


class Copy(NamedTuple):
    """Two images of one content; the earlier one first."""

    path: str
    origin: str
    published: str
    copy_path: str
    copy_origin: str
    copy_published: str
    transform: str
    score: float
    """1 for equal bytes."""


class Member(NamedTuple):
    """Which group a content belongs to."""

    sha256: str
    group: str
    """sha256 of the group's leader, its first image in the order of the manifest."""


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
