"""Thumbnails: small squares of grey levels, by which images are compared as wholes; made once of each content, and kept."""

from collections.abc import Sequence

import numpy as np

from tasks.images import loading
from tasks.images.decoding import WHOLE
from tasks.records.rows import Row
from tasks.settings.settings import Places

SIDE = 128  # pixels


def thumbnails(images: Sequence[Row], places: Places) -> np.ndarray:
    """uint8 (images, 128, 128), grey 0-255: each the whole image, averaged, aspect ratio not kept."""
    return loading.squares(images, SIDE, places, WHOLE)
