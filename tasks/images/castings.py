"""Castings: which photographs show one physical part."""

from typing import NamedTuple


class Member(NamedTuple):
    """Which group a content belongs to."""

    sha256: str
    group: str
    """sha256 of the group's leader, its first image in the order of the manifest."""
    fit: float
    """Residual of the rim's ellipse as a share of its radius; 1 where no ring was found."""
