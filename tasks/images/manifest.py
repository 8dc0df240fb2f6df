"""Manifest: the table of images, a row each, and where their bytes lie."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tasks.runs.config import Classes, Places

BASE = "base"  # origin of the images of the source itself
SPLITS = ("train", "validation", "test", "held_back")


class Entry(NamedTuple):
    """A file of a data set before it was looked into."""

    path: str
    """Below the data root, posix."""
    sha256: str
    label: str = ""
    """Name of its class folder."""
    published: str = ""
    """Split folder that it came in: train, validation, test, or nothing."""
    origin: str = BASE


class Row(NamedTuple):
    """An accepted image."""

    path: str
    sha256: str
    label: str
    origin: str
    published: str
    width: int
    height: int
    brightness: float
    """Mean grey level, 0-255."""
    border: float
    """Mean grey level of the outermost tenth on each side, 0-255."""
    sharpness: float
    """Root mean square of the Laplacian of a quarter-size view, grey levels."""
    group: str = ""
    """sha256 of the leader of its group: photographs of one casting, or copies where castings are not known."""
    split: str = ""


class Refusal(NamedTuple):
    """A file that is not an image to learn from, and why."""

    path: str
    sha256: str
    origin: str
    code: str
    reason: str


def stored(image: Entry | Row, places: Places) -> Path:
    """Where the bytes of an image lie: named by content, so that no two steps can mean different bytes."""
    suffix = PurePosixPath(image.path).suffix.lower()
    return places.data.absolute() / "images" / image.sha256[:2] / f"{image.sha256}{suffix}"


def is_defect(row: Row, classes: Classes) -> int:
    """1 for a defective part, the positive class; 0 for a good one."""
    return int(row.label == classes.defect)
