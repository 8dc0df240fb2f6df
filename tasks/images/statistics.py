"""Statistics: decode each stored file in full and measure it: the numbers of an image, or the reason why it is no image."""

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.images.decoding import NO_MEMORY, READ_AT_ONCE, UPRIGHT, decode, orientation, read
from tasks.images.levels import Decoded, Least
from tasks.records.rows import images_root
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.parallel import map_chunks_in_threads
from tasks.storage.result_cache import MAX_BLOCK, cached_map

QUARTER = Least(share=0.25)
MEASURED_AT_ONCE = 96_000  # pixels: fewer cost more calls, and more leave the processor's cache
EXACT = 2**24  # float32 rounds whole numbers from here on


class ImageStats(NamedTuple):
    """The measurements of a file. One with a code and a reason is no image. The last four are gray levels at a quarter of the sides."""

    code: str = ""
    reason: str = ""
    width: int = 0
    height: int = 0
    orientation: int = UPRIGHT
    """As Exif gives it, 1 to 8."""
    brightness: float = 0.0
    """Mean."""
    deviation: float = 0.0
    """Standard deviation."""
    border: float = 0.0
    """Mean of the outermost tenth on each side."""
    sharpness: float = 0.0
    """Root mean square of the Laplacian of four neighbors."""


def measure_files(names: Iterable[str], max_megapixels: float, places: Places) -> Iterator[ImageStats]:
    """Yield the measurements of stored files, in the order of `names`. A content that was measured before is not measured again."""

    def make(new_names: list[str]) -> list[bytes]:
        measured = measure_uncached(images_root(places), new_names, max_megapixels)
        return [json.dumps(stats).encode() for stats in measured]

    values = cached_map(
        "look", f"{code_digest(Path(__file__))} {max_megapixels}", names, make, places, block=MAX_BLOCK,
        lasting=lambda value: json.loads(value)[0] != NO_MEMORY,  # which is about the machine at that moment
    )  # fmt: skip
    return (ImageStats(*json.loads(value)) for value in values)


def measure_uncached(root: str, names: Sequence[str], max_megapixels: float) -> list[ImageStats]:
    """Measure each of the files `names`, as `rows.stored_name` returns them, below `root`.

    Only decoding runs in threads. NumPy releases Python's lock in each of its many short steps, and two threads that
    pass it to and fro take longer than one alone.
    """
    paths = [f"{root}/{name}" for name in names]
    opened = map_chunks_in_threads(lambda chunk: open_images(chunk, max_megapixels), paths)
    views = iter(measure([decoded.pixels for decoded, _ in opened if decoded.pixels is not None]))
    return [
        ImageStats(
            image.code, image.reason, image.width, image.height, turned, *(() if image.pixels is None else next(views))
        )
        for image, turned in opened
    ]


def open_images(paths: Sequence[str], max_megapixels: float) -> list[tuple[Decoded, int]]:
    """Return each file at a quarter of its sides, and its orientation.

    All small files are read before the first is decoded, which is faster. Only one large file at a time is in memory.
    """
    contents = [read_small(path) for path in paths]
    return [
        open_image(path, read(path) if content is None else content, max_megapixels)
        for path, content in zip(paths, contents, strict=True)
    ]


def read_small(path: str) -> bytes | Decoded | None:
    """Return the content of a small file, the refusal of one that is too large to be read, and None for other large files."""
    content = read(path)
    return None if isinstance(content, bytes) and len(content) > READ_AT_ONCE else content


def open_image(path: str, content: bytes | Decoded, max_megapixels: float) -> tuple[Decoded, int]:
    """Decode a stored file. Raises BadInput if it cannot be decoded and its sha256 is not the one in its name."""
    if isinstance(content, Decoded):
        return content, UPRIGHT
    sha256, suffix = os.path.splitext(os.path.basename(path))
    decoded = decode(content, suffix, max_megapixels, QUARTER)
    if not decoded.code:
        return decoded, orientation(content)
    if hashlib.sha256(content).hexdigest() != sha256:  # a cached refusal would outlast the damage
        raise BadInput(f"{path} has changed since it was stored: start again, and it is stored anew")
    return decoded, UPRIGHT


def measure(views: Sequence[np.ndarray]) -> list[list[float]]:
    """Return the last four numbers of `ImageStats` for each view, uint8 (height, width), in order.

    Views of one size are measured together, which takes half the time.
    """
    measured = np.empty((len(views), 4))
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, view in enumerate(views):
        by_shape[view.shape].append(number)
    for numbers in by_shape.values():
        step = max(1, MEASURED_AT_ONCE // max(1, views[numbers[0]].size))
        for start in range(0, len(numbers), step):
            chunk = numbers[start : start + step]
            measured[chunk] = measure_equal(np.stack([views[number] for number in chunk]))
    return measured.tolist()


def measure_equal(views: np.ndarray) -> np.ndarray:
    """Return the four numbers of `measure`, float64 (views, 4), of views of one size, uint8 (views, height, width).

    Only whole numbers are summed, so that the results are equal on every machine: within a row in float32, over the rows in float64.
    """
    count, height, width = views.shape
    edge_y, edge_x = math.ceil(height / 10), math.ceil(width / 10)
    columns = np.ones((width, 2), np.float32)  # all of them, and those inside the border
    columns[:edge_x, 1] = columns[width - edge_x :, 1] = 0
    levels = views.astype(np.float32)
    sums = (levels.reshape(-1, width) @ columns).reshape(count, height, 2)
    total = sums[..., 0].sum(axis=1, dtype=np.float64)
    inside = sums[:, edge_y : height - edge_y, 1].sum(axis=1, dtype=np.float64)
    size, inner = height * width, max(0, height - 2 * edge_y) * max(0, width - 2 * edge_x)
    mean = total / size
    numbers = (
        mean,
        np.sqrt(sum_of_squares(levels) / size - mean**2),
        (total - inside) / (size - inner),
        np.sqrt(sum_of_squares(laplacian(levels)) / max(1, (height - 2) * (width - 2))),
    )
    return np.stack(numbers, axis=1).round(3)


def sum_of_squares(values: np.ndarray) -> np.ndarray:
    """Return the sum of the squares of each view, float64 (views,); `values` are whole numbers, float32 (views, height, width)."""
    rows = np.vecdot(values, values)
    if rows.size and rows.max() >= EXACT:
        rows = np.vecdot(values.astype(np.float64), values.astype(np.float64))
    return rows.sum(axis=1, dtype=np.float64)


def laplacian(levels: np.ndarray) -> np.ndarray:
    """Return the Laplacian: the four neighbors of each inner level less four times itself, float32 (views, height - 2, width - 2)."""
    width, flat = levels.shape[2], levels.ravel()
    changes = flat * -4  # in one row, which is four times as fast; the wrong values at the edges are cut off
    changes[1:] += flat[:-1]
    changes[:-1] += flat[1:]
    changes[width:] += flat[:-width]
    changes[:-width] += flat[width:]
    return changes.reshape(levels.shape)[:, 1:-1, 1:-1]
