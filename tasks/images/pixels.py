"""Pixels: the views of many images as one array, each file decoded once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tasks.images.decoding import decode
from tasks.images.views import VIEWS
from tasks.runs.errors import BadInput

MAX_MEGAPIXELS = 40.0  # of an image that nobody has validated


def load(paths: Sequence[Path], view: str, size: int) -> np.ndarray:
    """uint8 (images, size, size, 1), grey 0-255, in the order of `paths`. Raises BadInput when one cannot be read."""
    array = np.empty((len(paths), size, size, 1), np.uint8)

    def put(index: int) -> None:
        seen = see(paths[index], view, size, max_megapixels=float("inf"))
        if isinstance(seen, str):
            raise BadInput(f"{paths[index]} cannot be read: {seen}")
        array[index, ..., 0] = seen

    with ThreadPoolExecutor() as pool:  # the decoders work outside Python's lock
        list(pool.map(put, range(len(paths))))
    return array


def see_all(paths: Sequence[Path], view: str, size: int) -> list[np.ndarray | str]:
    """Each image as `see` gives it, in the order of `paths`."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda path: see(path, view, size), paths))


def see(path: Path, view: str, size: int, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray | str:
    """One image as uint8 (size, size), or the reason why it cannot be read."""
    try:
        decoded = decode(path.read_bytes(), path.suffix, max_megapixels)
    except OSError as error:
        return error.strerror or str(error)
    return decoded.reason if decoded.pixels is None else VIEWS[view](decoded.pixels, size)
