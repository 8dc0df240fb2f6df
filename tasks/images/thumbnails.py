"""Thumbnails: small squares of gray levels, to compare whole images. Each content is computed once, and the result is cached."""

from collections.abc import Sequence

import numpy as np

from tasks.images import loading
from tasks.images.decoding import WHOLE
from tasks.records.rows import Row
from tasks.settings.settings import Places

SIDE = 128  # pixels


def thumbnails(images: Sequence[Row], places: Places) -> np.ndarray:
    """Return the thumbnail of each image, uint8 (images, 128, 128), gray 0-255: the whole image, averaged, aspect ratio not kept."""
    return loading.squares(images, SIDE, places, WHOLE)
