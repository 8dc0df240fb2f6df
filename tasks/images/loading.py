"""Pixels: image files as arrays, by views; those of the store are decoded once of each content, and kept."""

import hashlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.images.decoding import SIGNATURES, WHOLE, Decoded, Least, decode, read, too_large
from tasks.images.views import GLANCE, VIEWS, NetworkInput, shape, square
from tasks.records.rows import Row, images_root, stored_name
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import ViewName
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.parallel import map_chunks_in_threads
from tasks.storage.result_cache import MAX_BLOCK, cached_map

if TYPE_CHECKING:
    from tasks.images.strips import ImageViews

MAX_MEGAPIXELS = 40.0  # of an image that nobody has validated


class InputBatch(NamedTuple):
    """Many images as a network sees them."""

    levels: np.ndarray
    """uint8 (images, height, width, planes)."""
    residuals: np.ndarray
    """float64 (images,), as of `NetworkInput`; NaN where the view shows nothing, and levels are 0."""
    glances: np.ndarray
    """uint8 (images, 75, 75): the whole pictures, whatever the network sees of them."""


def load_inputs(images: Sequence[Row], view: ViewName, size: int, places: Places) -> InputBatch:
    """Stored images by a view, in order. Raises BadInput when one cannot be read."""
    if view == "raw":
        levels = squares(images, size, places)
        glances = levels if size == GLANCE else squares(images, GLANCE, places, enough(view, size))
        return InputBatch(levels[..., None], np.zeros(len(images)), glances)
    from tasks.images.strips import image_views  # late: it needs SciPy

    found = InputBatch(
        np.zeros((len(images), *shape(view, size)), np.uint8),
        np.zeros(len(images)),
        np.zeros((len(images), GLANCE, GLANCE), np.uint8),
    )
    waiting = image_views(images, places)
    for start in range(0, len(images), MAX_BLOCK):
        some = list(islice(waiting, MAX_BLOCK))
        for number, (views, seen) in enumerate(zip(some, map_chunks_in_threads(details_of, some), strict=True), start):
            found.glances[number] = views.glance
            found.residuals[number], found.levels[number] = seen
    return found


def details_of(some: Sequence["ImageViews"]) -> list[tuple[float, np.ndarray | int]]:
    """Return the residual and the detail of each ring; NaN and 0 where none was found."""
    from tasks.images.rings import detail

    strips = [views.strip for views in some]
    return [(strip.ring.residual, detail(strip.levels[None])[0]) if strip else (np.nan, 0) for strip in strips]


def squares(images: Sequence[Row], size: int, places: Places, least: Least | None = None) -> np.ndarray:
    """Stored images as uint8 (images, size, size), grey 0-255: each the whole picture, aspect ratio not kept.

    A JPEG is decoded no larger than need be, or as `least` says.
    """
    least = least or enough("raw", size)
    root = Path(images_root(places))

    def made(names: Sequence[str]) -> np.ndarray:
        return load([root / name for name in names], size, least)

    names = np.array([stored_name(image) for image in images], object)
    small = np.array([min(image.width, image.height) < 2 * size for image in images], bool)
    array = np.empty((len(images), size, size), np.uint8)
    if small.any():  # to keep these would save no time
        array[small] = made(names[small])
    kind, version = f"square {size} of {least}", code_digest(Path(__file__))
    large = cached_map(
        kind, version, names[~small], lambda some: [one.tobytes() for one in made(some)], places, block=MAX_BLOCK
    )
    for number, value in zip(np.flatnonzero(~small), large, strict=True):
        array[number] = np.frombuffer(value, np.uint8).reshape(size, size)
    return array


def enough(view: ViewName, size: int) -> Least:
    """How far a picture may be reduced for a view and for the glance that is taken beside it."""
    return WHOLE if VIEWS[view].needs_ring else Least(max(size, GLANCE))


def load(paths: Sequence[Path], size: int, least: Least = WHOLE) -> np.ndarray:
    """Files as uint8 (images, size, size), in the order of `paths`. Raises BadInput when one cannot be read."""

    def squared(some: Sequence[Path]) -> list[np.ndarray]:
        return [square(readable(path, least), size) for path in some]

    levels: list[np.ndarray] = map_chunks_in_threads(squared, paths) if paths else []
    return np.stack(levels) if levels else np.empty((0, size, size), np.uint8)


def readable(path: Path, least: Least) -> np.ndarray:
    """Return the gray levels of a file that was validated, whatever its size. Raises BadInput when it cannot be read."""
    try:
        content = read(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {describe_error(error)}") from error
    found = content if isinstance(content, Decoded) else decode(content, path.suffix, float("inf"), least)
    if found.pixels is None:
        raise BadInput(f"{path} cannot be read: {found.reason}")
    return found.pixels


class Readable(NamedTuple):
    """A file that nobody has validated, as a network sees it."""

    sha256: str
    sight: NetworkInput | None
    """None where the view shows nothing."""
    glance: np.ndarray
    """The whole picture, uint8 (75, 75)."""
    size: tuple[int, int]
    """Width and height of the photograph, in pixels."""


class Unreadable(NamedTuple):
    """A file that cannot be read as an image, and why."""

    sha256: str | None
    """None where there are no bytes to be had."""
    reason: str


def see_all(paths: Sequence[Path], view: ViewName, size: int) -> list[Readable | Unreadable]:
    """Each file, in the order of `paths`."""

    def look(some: Sequence[Path]) -> list[Readable | Unreadable]:
        return [see(path, view, size) for path in some]

    return map_chunks_in_threads(look, paths) if paths else []


def see(path: Path, view: ViewName, size: int) -> Readable | Unreadable:
    """Return one of them. A file that is too large is not read."""
    try:
        content = read(path)
    except OSError as error:
        return Unreadable(None, describe_error(error))
    return (
        Unreadable(None, content.reason)
        if isinstance(content, Decoded)
        else see_content(content, path.suffix, view, size)
    )


def see_all_contents(images: Sequence[object], view: ViewName, size: int) -> list[Readable | Unreadable]:
    """Return each image that comes as bytes, in order."""

    def look(some: Sequence[object]) -> list[Readable | Unreadable]:
        return [see_sent(image, view, size) for image in some]

    return map_chunks_in_threads(look, images) if images else []


def see_sent(image: object, view: ViewName, size: int) -> Readable | Unreadable:
    """Return one of them: a PNG where it begins like one, else taken for a JPEG."""
    if not isinstance(image, bytes | bytearray | memoryview):
        return Unreadable(None, f"{type(image).__name__} was sent, expected the bytes of a JPEG or PNG file")
    if problem := too_large(len(image)):
        return Unreadable(None, problem.reason)
    content = bytes(image)
    return see_content(content, ".png" if content.startswith(SIGNATURES["PNG"][:4]) else ".jpeg", view, size)


def see_content(content: bytes, suffix: str, view: ViewName, size: int) -> Readable | Unreadable:
    """Return an image that is in memory."""
    sha256 = hashlib.sha256(content).hexdigest()
    found = decode(content, suffix, MAX_MEGAPIXELS, enough(view, size))
    if found.pixels is None:
        return Unreadable(sha256, found.reason)
    return Readable(
        sha256, VIEWS[view].see(found.pixels, size), square(found.pixels, GLANCE), (found.width, found.height)
    )


def describe_error(error: OSError) -> str:
    return error.strerror or str(error)
