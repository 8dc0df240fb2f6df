"""Loading: read image files as arrays, by views. Each content of the store is decoded once, and the result is cached."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from tasks.images.crops import crop_kind, crop_levels, least_of_crop
from tasks.images.decoding import BY_SUFFIX, NAMES, WHOLE, decode, read, too_large
from tasks.images.levels import Decoded, Least
from tasks.images.views import SMALL_SIDE, VIEWS, NetworkInput, shape, square
from tasks.records.rows import Row, images_root, stored_name
from tasks.settings.crops import Crop
from tasks.settings.errors import BadInput
from tasks.settings.frames import sides
from tasks.settings.model_specs import InputSize, ViewName
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.parallel import map_chunks_in_threads
from tasks.storage.result_cache import MAX_BLOCK, cached_map

if TYPE_CHECKING:
    from tasks.images.strips import ImageViews

MAX_MEGAPIXELS = 40.0  # of an image that nobody has validated
THUMBNAIL = 128  # pixels a side


class InputBatch(NamedTuple):
    """Many images as a network sees them."""

    levels: np.ndarray
    """uint8 (images, height, width, planes)."""
    residuals: np.ndarray
    """float64 (images,), as in `NetworkInput`. Where the view shows nothing they are NaN, and the levels are 0."""
    small_squares: np.ndarray
    """uint8 (images, 75, 75): all of the crops, whatever the network sees of them."""


def load_inputs(
    images: Sequence[Row], view: ViewName, size: InputSize, places: Places, crop: Crop | None = None
) -> InputBatch:
    """Load stored images as a network sees them that looks at their `crop`, in order. Raises BadInput when one cannot be read."""
    if not VIEWS[view].needs_ring:
        levels = load_whole(images, view, size, places, crop)
        if levels.shape[1:] == (SMALL_SIDE, SMALL_SIDE, 1):
            small_squares = levels[..., 0]
        else:
            small_squares = squares(images, SMALL_SIDE, places, least_for(view, size, crop), crop)
        return InputBatch(levels, np.zeros(len(images)), small_squares)
    from tasks.images.strips import image_views  # late: it needs SciPy

    batch = InputBatch(
        np.zeros((len(images), *shape(view, size)), np.uint8),
        np.zeros(len(images)),
        np.zeros((len(images), SMALL_SIDE, SMALL_SIDE), np.uint8),
    )
    all_views = image_views(images, places, crop)
    for start in range(0, len(images), MAX_BLOCK):
        block = list(islice(all_views, MAX_BLOCK))
        details = map_chunks_in_threads(details_of, block)
        for number, (views, residual_and_detail) in enumerate(zip(block, details, strict=True), start):
            batch.small_squares[number] = views.small_square
            batch.residuals[number], batch.levels[number] = residual_and_detail
    return batch


def details_of(images: Sequence["ImageViews"]) -> list[tuple[float, np.ndarray | int]]:
    """Return the residual and the detail of the ring of each image; NaN and 0 where none was found."""
    from tasks.images.rings import detail

    return [
        (views.strip.ring.residual, detail(views.strip.levels[None])[0]) if views.strip else (np.nan, 0)
        for views in images
    ]


def thumbnails(images: Sequence[Row], places: Places) -> np.ndarray:
    """Return the thumbnail of each image, uint8 (images, 128, 128), gray 0-255: the whole image, averaged, aspect ratio not kept."""
    return squares(images, THUMBNAIL, places, WHOLE)


def load_whole(
    images: Sequence[Row], view: ViewName, size: InputSize, places: Places, crop: Crop | None = None
) -> np.ndarray:
    """Load stored images by a view of the whole crop, uint8 (images, height, width, planes). Raises BadInput when one cannot be read."""
    make_input = cast(Callable[[np.ndarray, InputSize], NetworkInput], VIEWS[view].make_input)
    return load_reduced(
        images, f"{view} {sides(size)}", lambda pixels: make_input(pixels, size).levels,
        shape(view, size), least_for(view, size, crop), places, crop,
    )  # fmt: skip


def squares(
    images: Sequence[Row], size: int, places: Places, least: Least | None = None, crop: Crop | None = None
) -> np.ndarray:
    """Load stored images as squares, uint8 (images, size, size), gray 0-255: the whole crops, aspect ratio not kept.

    A JPEG is decoded no larger than need be, or as `least` says. Raises BadInput when one cannot be read.
    """
    least = least or least_for("raw", size, crop)
    return load_reduced(
        images, f"square {size}", lambda pixels: square(pixels, size), (size, size), least, places, crop
    )


def load_reduced(
    images: Sequence[Row],
    kind: str,
    make: Callable[[np.ndarray], np.ndarray],
    form: tuple[int, ...],
    least: Least,
    places: Places,
    crop: Crop | None,
) -> np.ndarray:
    """Return what `make` turns the gray levels of each stored image's `crop` into: uint8 (images, *form).

    The results of large images are cached under the name `kind` with the crop. Raises BadInput when an image cannot be read.
    """
    root = Path(images_root(places))

    def load_named(names: Sequence[str]) -> list[np.ndarray]:
        paths = [root / name for name in names]
        return map_chunks_in_threads(
            lambda chunk: [make(crop_levels(load_levels(path, least), crop)) for path in chunk], paths
        )

    names = np.array([stored_name(image) for image in images], object)
    large = np.array([min(image.width, image.height) >= 2 * max(form[:2]) for image in images], bool)
    array = np.empty((len(images), *form), np.uint8)
    small = np.flatnonzero(~large)
    for start in range(0, len(small), MAX_BLOCK):  # to cache these would save no time
        block = small[start : start + MAX_BLOCK]
        array[block] = load_named(list(names[block]))
    cached = cached_map(
        f"{kind} of {least}{crop_kind(crop)}",
        code_digest(Path(__file__)),
        names[large],
        lambda block: [levels.tobytes() for levels in load_named(block)],
        places,
        block=MAX_BLOCK,
    )
    for number, value in zip(np.flatnonzero(large), cached, strict=True):
        array[number] = np.frombuffer(value, np.uint8).reshape(form)
    return array


def least_for(view: ViewName, size: InputSize, crop: Crop | None = None) -> Least:
    """Return how far a picture may be reduced for a view of its crop, and for the small square."""
    return WHOLE if VIEWS[view].needs_ring else least_of_crop(Least(max(*sides(size), SMALL_SIDE)), crop)


def load_squares(paths: Sequence[Path], size: int, least: Least = WHOLE) -> np.ndarray:
    """Load files as squares, uint8 (images, size, size), in the order of `paths`. Raises BadInput when one cannot be read."""
    levels = map_chunks_in_threads(lambda chunk: [square(load_levels(path, least), size) for path in chunk], paths)
    return np.stack(levels) if levels else np.empty((0, size, size), np.uint8)


def load_levels(path: Path, least: Least) -> np.ndarray:
    """Return the gray levels of a validated file, uint8 (height, width). Raises BadInput when it cannot be read.

    The megapixels are not limited; the bytes of the file and the sides are.
    """
    content = read_or_refuse(path)
    decoded = content if isinstance(content, Decoded) else decode(content, path.suffix, float("inf"), least)
    if decoded.pixels is None:
        raise BadInput(f"{path} cannot be read: {decoded.reason}")
    return decoded.pixels


def read_or_refuse(path: Path) -> bytes | Decoded:
    """Return the content of a file, or its refusal where it is too large or the system cannot read it, without the path."""
    try:
        return read(path)
    except OSError as error:
        return Decoded(None, "unreadable", error.strerror or str(error))


class Readable(NamedTuple):
    """An image that nobody has validated, as a network sees it."""

    sha256: str
    network_input: NetworkInput | None
    """None where the view shows nothing."""
    small_square: np.ndarray
    """The whole crop, uint8 (75, 75)."""
    size: tuple[int, int]
    """Width and height of the photograph, in pixels."""


class Unreadable(NamedTuple):
    """Content that cannot be read as an image, and the reason."""

    sha256: str | None
    """None where there is no content, or where it is too large to be read."""
    reason: str


def load_files(
    paths: Sequence[Path], view: ViewName, size: InputSize, crop: Crop | None = None
) -> list[Readable | Unreadable]:
    """Load files that nobody has validated, in the order of `paths`."""
    return map_chunks_in_threads(lambda chunk: [load_file(path, view, size, crop) for path in chunk], paths)


def load_file(path: Path, view: ViewName, size: InputSize, crop: Crop | None = None) -> Readable | Unreadable:
    """Load a file that nobody has validated. One that is too large is not read in full, and is unreadable."""
    content = read_or_refuse(path)
    if isinstance(content, Decoded):
        return Unreadable(None, content.reason)
    return decode_content(content, path.suffix, view, size, crop)


def load_all_bytes(
    images: Sequence[object], view: ViewName, size: InputSize, crop: Crop | None = None
) -> list[Readable | Unreadable]:
    """Decode images that arrive as bytes, in order."""
    return map_chunks_in_threads(lambda chunk: [load_bytes(image, view, size, crop) for image in chunk], images)


def load_bytes(image: object, view: ViewName, size: InputSize, crop: Crop | None = None) -> Readable | Unreadable:
    """Decode an image that arrives as bytes."""
    if not isinstance(image, bytes | bytearray | memoryview):
        return Unreadable(None, f"{type(image).__name__} was sent, expected the bytes of a file of {NAMES}")
    if problem := too_large(len(image)):
        return Unreadable(None, problem.reason)
    suffix = next(iter(BY_SUFFIX))  # bytes have no name that could be wrong
    return decode_content(bytes(image), suffix, view, size, crop)


def decode_content(
    content: bytes, suffix: str, view: ViewName, size: InputSize, crop: Crop | None = None
) -> Readable | Unreadable:
    """Decode the content of a file with this suffix, as a network sees it that looks at its `crop`."""
    sha256 = hashlib.sha256(content).hexdigest()
    decoded = decode(content, suffix, MAX_MEGAPIXELS, least_for(view, size, crop))
    if decoded.pixels is None:
        return Unreadable(sha256, decoded.reason)
    pixels = crop_levels(decoded.pixels, crop)
    return Readable(
        sha256,
        VIEWS[view].make_input(pixels, size),
        square(pixels, SMALL_SIDE),
        (decoded.width, decoded.height),
    )
