"""Thumbnails: small squares of grey levels, by which images are compared as wholes; made once of each content, and kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.images import pixels
from tasks.images.manifest import Row, place, shelf
from tasks.runs.code import code_digest
from tasks.runs.config import Places
from tasks.runs.kept import kept

SIDE = 128  # pixels


def thumbnails(images: Sequence[Row], places: Places) -> np.ndarray:
    """uint8 (images, 128, 128), grey 0-255: each the whole image, averaged, aspect ratio not kept."""
    root = Path(shelf(places))

    def make(names: list[str]) -> list[bytes]:
        return [one.tobytes() for one in pixels.load([root / name for name in names], "raw", SIDE)]

    found = np.empty((len(images), SIDE, SIDE), np.uint8)
    for number, value in enumerate(kept("thumbnail", code_digest(Path(__file__)), map(place, images), make, places)):
        found[number] = np.frombuffer(value, np.uint8).reshape(SIDE, SIDE)
    return found
