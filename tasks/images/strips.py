"""Strips: the unwrapped ring of each image and a small square of the whole. Each content is computed once, and the result is cached."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np

from tasks.images import ring_search, rings
from tasks.images.crops import crop_kind, find_shares, pixel_box
from tasks.images.decoding import decode
from tasks.images.ellipses import Ellipse
from tasks.images.views import SMALL_SIDE, square
from tasks.records.rows import Row, images_root, stored_name
from tasks.settings.crops import Crop
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.parallel import count_processors
from tasks.storage.result_cache import MAX_BLOCK, cached_map

FEW = 200  # images: fewer are done before other processes have started
HEAD = np.dtype((np.float32, 13))  # two ellipses of six numbers, and the residual


class Strip(NamedTuple):
    """A ring in the photograph, and its gray levels, unwrapped: uint8 (96, 512)."""

    ring: rings.Ring
    levels: np.ndarray


class ImageViews(NamedTuple):
    """The whole crop and the strip of an image, from one decoding."""

    small_square: np.ndarray
    """The whole crop, uint8 (75, 75)."""
    strip: Strip | None
    """None where no ring is found."""


def strips(images: Sequence[Row], places: Places, crop: Crop | None = None) -> Iterator[Strip | None]:
    """Yield the strip of each image, in order, or None where no ring is found in its `crop`."""
    return (views.strip for views in image_views(images, places, crop))


def image_views(images: Sequence[Row], places: Places, crop: Crop | None = None) -> Iterator[ImageViews]:
    """Yield the views of the `crop` of each image, in order. All processors work on new images."""
    with ExitStack() as stack:

        @cache  # started when it is needed, and spawned: a fork of this process would hold the locks of its threads for ever
        def pool() -> ProcessPoolExecutor:
            return stack.enter_context(
                ProcessPoolExecutor(count_processors(), mp_context=get_context("spawn"), initializer=leave_with_parent)
            )

        def make(names: list[str]) -> list[bytes]:
            work = partial(make_views, images_root(places), crop=crop)
            few = len(names) < FEW or count_processors() == 1
            return list(map(work, names) if few else pool().map(work, names, chunksize=4))

        version = code_digest(Path(__file__))
        kind = f"strip{crop_kind(crop)}"
        yield from map(unpack, cached_map(kind, version, map(stored_name, images), make, places, block=MAX_BLOCK))


def leave_with_parent() -> None:
    """End this process when its parent ends, for any reason. Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=follow, daemon=True).start()


def make_views(root: str, name: str, crop: Crop | None = None) -> bytes:
    """Compute the views of the `crop` of a validated image, and return them as bytes. The ring lies where it is in the whole picture.

    Raises BadInput when it cannot be read: views without a ring would be cached for ever.
    """
    path = Path(root, name)
    decoded = decode(path.read_bytes(), path.suffix, max_megapixels=float("inf"))
    if decoded.pixels is None:
        raise BadInput(f"{path} cannot be read: {decoded.reason}")
    box = pixel_box(find_shares(decoded.pixels, crop), decoded.pixels.shape)
    pixels = decoded.pixels[box.slices]
    ring = ring_search.find(pixels)
    strip = Strip(ring.moved(box.left, box.top), rings.unwrap(pixels, ring)) if ring else None
    return pack(ImageViews(square(pixels, SMALL_SIDE), strip))


def pack(views: ImageViews) -> bytes:
    """Return views as bytes: the small square, then the numbers and the levels of the ring where there is one."""
    small_square = views.small_square.tobytes()
    if views.strip is None:
        return small_square
    ring, levels = views.strip
    ellipses = [number for ellipse in ring[:2] for number in (*ellipse.center, *ellipse.root.ravel())]
    return small_square + np.array([*ellipses, ring.residual], np.float32).tobytes() + levels.tobytes()


def unpack(value: bytes) -> ImageViews:
    """Return the views from the bytes that `pack` returned."""
    head, rest = value[: SMALL_SIDE**2], value[SMALL_SIDE**2 :]
    small_square = np.frombuffer(head, np.uint8).reshape(SMALL_SIDE, SMALL_SIDE)
    if not rest:
        return ImageViews(small_square, None)
    numbers = np.frombuffer(rest[: HEAD.itemsize], np.float32).astype(np.float64)
    cavity, rim = (Ellipse(part[:2], part[2:].reshape(2, 2)) for part in (numbers[:6], numbers[6:12]))
    levels = np.frombuffer(rest[HEAD.itemsize :], np.uint8).reshape(rings.STRIP_RADII, rings.STRIP_ANGLES)
    return ImageViews(small_square, Strip(rings.Ring(cavity, rim, float(numbers[12])), levels))
