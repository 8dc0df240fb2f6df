"""Pixels: the views of many images as one array, each file decoded once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tasks.images.decoding import decode
from tasks.images.views import VIEWS
from tasks.runs.errors import BadInput


def load(paths: Sequence[Path], view: str, size: int) -> np.ndarray:
    """uint8 (images, size, size, 1), grey 0-255, in the order of `paths`. The decoders work outside Python's lock, so threads help."""
    array = np.empty((len(paths), size, size, 1), np.uint8)

    def put(index: int) -> None:
        array[index, ..., 0] = see(paths[index], view, size)

    with ThreadPoolExecutor() as pool:
        list(pool.map(put, range(len(paths))))
    return array


def see(path: Path, view: str, size: int, max_megapixels: float = 1_000.0) -> np.ndarray:
    """One image as uint8 (size, size). Raises BadInput with the reason when it cannot be read."""
    try:
        decoded = decode(path.read_bytes(), path.suffix, max_megapixels)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if decoded.pixels is None:
        raise BadInput(f"{path} cannot be judged: {decoded.reason}")
    return VIEWS[view](decoded.pixels, size)
