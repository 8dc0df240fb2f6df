"""Measures: a look at each stored file, decoded in full: the numbers of an image, or the reason why it is none."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.images.decoding import UPRIGHT, Decoded, decode, orientation, too_large
from tasks.images.manifest import shelf
from tasks.runs.code import code_digest
from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.kept import MAX_BLOCK, kept
from tasks.runs.threads import in_threads

MEASURED_AT_ONCE = 24_000  # pixels: larger arrays go back to the system each time, which takes longer than the sums


class View(NamedTuple):
    """What the quarter-size view shows, in grey levels of 255."""

    brightness: float
    """Mean."""
    deviation: float
    """Standard deviation."""
    border: float
    """Mean of the outermost tenth on each side."""
    sharpness: float
    """Root mean square of the Laplacian of four neighbours."""


class Look(NamedTuple):
    """A file that was looked at: with a code and a reason it is no image."""

    code: str = ""
    reason: str = ""
    width: int = 0
    height: int = 0
    orientation: int = UPRIGHT
    """Of Exif."""
    brightness: float = 0.0
    """This and the rest as in `View`."""
    deviation: float = 0.0
    border: float = 0.0
    sharpness: float = 0.0


NO_VIEW = View(0.0, 0.0, 0.0, 0.0)


def looks(names: Iterable[str], max_megapixels: float, places: Places) -> Iterator[Look]:
    """A look at each file of these names on the shelf, in order; at a content that was seen before, none is taken again."""
    root = shelf(places)

    def make(unknown: list[str]) -> list[bytes]:
        return [json.dumps(one).encode() for one in look(root, unknown, max_megapixels)]

    version = f"{code_digest(Path(__file__))} {max_megapixels}"
    return (Look(*json.loads(value)) for value in kept("look", version, names, make, places, block=MAX_BLOCK))


def look(root: str, names: Sequence[str], max_megapixels: float) -> list[Look]:
    """A look at each of the files `names`, as `manifest.place` gives them, below `root`.

    Only decoding is left to threads. NumPy gives Python's lock away in each of its many short steps, and two threads that
    pass it to and fro take longer than one alone.
    """
    opened = in_threads(lambda some: [open_image(f"{root}/{name}", max_megapixels) for name in some], names)
    views = iter(measure([decoded.pixels for decoded, _ in opened if decoded.pixels is not None]))
    return [
        Look(one.code, one.reason, one.width, one.height, turned, *(NO_VIEW if one.pixels is None else next(views)))
        for one, turned in opened
    ]


def open_image(path: str, max_megapixels: float) -> tuple[Decoded, int]:
    """The file at a quarter of its size, and its orientation. Raises BadInput if it is bad and not what it is named after."""
    content = read(path)
    if isinstance(content, Decoded):
        return content, UPRIGHT
    sha256, suffix = os.path.splitext(os.path.basename(path))
    decoded = decode(content, suffix, max_megapixels, reduced=4)
    if not decoded.code:
        return decoded, orientation(content)
    if hashlib.sha256(content).hexdigest() != sha256:  # a refusal that is kept would outlast the damage
        raise BadInput(f"{path} has changed since it was stored: start again, and it is stored anew")
    return decoded, UPRIGHT


def read(path: str) -> bytes | Decoded:
    """The content, or the refusal of a file that is too large. Four calls of the system, each of which gives Python's lock away."""
    opened = os.open(path, os.O_RDONLY)  # `open` and `read` of a file object make eight
    try:
        size = os.fstat(opened).st_size
        return too_large(size) or os.read(opened, size)
    finally:
        os.close(opened)


def measure(views: Sequence[np.ndarray]) -> list[View]:
    """The numbers of each view, uint8 (height, width). Views of one size are worked out together, which takes half the time."""
    measured: dict[int, View] = {}
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, view in enumerate(views):
        by_shape[view.shape].append(number)
    for numbers in by_shape.values():
        step = max(1, MEASURED_AT_ONCE // max(1, views[numbers[0]].size))
        for start in range(0, len(numbers), step):
            some = numbers[start : start + step]
            measured.update(zip(some, measure_equal(np.stack([views[number] for number in some])), strict=True))
    return [measured[number] for number in range(len(views))]


def measure_equal(views: np.ndarray) -> list[View]:
    """The numbers of views of one size, uint8 (views, height, width).

    Whole numbers are summed, so that the results are equal on every machine; float64 holds them up to 2**53.
    """
    count, height, width = views.shape
    size = height * width
    flat = views.reshape(count, size)
    total = flat.sum(axis=1, dtype=np.uint64)
    edge_y, edge_x = -(-height // 10), -(-width // 10)
    inner = views[:, edge_y : height - edge_y, edge_x : width - edge_x]
    levels, changes = flat.astype(np.float64), laplacian(views).reshape(count, -1)
    means = total / size
    numbers = (
        means,
        np.sqrt(np.vecdot(levels, levels) / size - means**2),
        (total - inner.sum(axis=(1, 2), dtype=np.uint64)) / (size - inner[0].size),
        np.sqrt(np.vecdot(changes, changes) / max(1, changes.shape[1])),
    )
    return [View(*row) for row in np.stack(numbers, axis=1).round(3).tolist()]


def laplacian(views: np.ndarray) -> np.ndarray:
    """How far the four neighbours of each level inside are from it, together: float64 (views, height - 2, width - 2)."""
    levels, width = views.astype(np.int16).ravel(), views.shape[2]
    changes = levels * -4  # in one row, which is four times as fast; what is wrong at the edges is cut off
    changes[1:] += levels[:-1]
    changes[:-1] += levels[1:]
    changes[width:] += levels[:-width]
    changes[:-width] += levels[width:]
    return changes.reshape(views.shape)[:, 1:-1, 1:-1].astype(np.float64)
