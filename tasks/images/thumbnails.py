"""Thumbnails: small squares of grey levels, by which images are compared as wholes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.images import pixels

SIDE = 64  # pixels; a shift of 3 in 300 is 0.64 here


def thumbnails(paths: Sequence[Path]) -> np.ndarray:
    """uint8 (images, 64, 64), grey 0-255, each the whole image, averaged."""
    return pixels.load(paths, "raw", SIDE)[..., 0]
