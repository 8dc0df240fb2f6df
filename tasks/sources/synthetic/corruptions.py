"""Corruptions: change or damage JPEGs on purpose, in ways that happen to the files of a real data set."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from scipy import ndimage

QUALITY = 90
"""JPEG quality of a copy that is encoded again, unless another one is given."""

Change = Callable[[bytes], bytes]
"""A function from a JPEG to the changed file."""


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """Return a baseline gray JPEG of pixels, uint8 (height, width)."""
    return save(Image.fromarray(pixels), "JPEG", quality=quality)


def save(image: Image.Image, image_format: str, **options: int) -> bytes:
    """Return the file of an image in a format of Pillow, saved with Pillow's options."""
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def decode(jpeg: bytes) -> np.ndarray:
    """Return the gray levels of a JPEG, uint8 (height, width)."""
    return np.asarray(Image.open(BytesIO(jpeg)))


def turn(quarters: int, *, mirrored: bool) -> Change:
    """Return a change that mirrors left and right if `mirrored`, then turns by quarters counterclockwise."""
    step = -1 if mirrored else 1
    return lambda jpeg: encode(np.rot90(decode(jpeg)[:, ::step], quarters), QUALITY)


def relight(gain: float) -> Change:
    """Return a change that multiplies every gray level by `gain`."""
    return lambda jpeg: encode(np.clip(decode(jpeg) * gain, 0, 255).astype(np.uint8), QUALITY)


def shifted(right: int, down: int) -> Change:
    """Return a change that moves the picture by pixels. The edge that it leaves is repeated."""
    return lambda jpeg: encode(ndimage.shift(decode(jpeg), (down, right), order=0, mode="nearest"), QUALITY)


def requality(quality: int) -> Change:
    """Return a change that encodes the picture again."""
    return lambda jpeg: encode(decode(jpeg), quality)


TRANSFORMS: dict[str, Change] = {
    "turn 90": turn(1, mirrored=False),
    "turn 180": turn(2, mirrored=False),
    "turn 270": turn(3, mirrored=False),
    "mirror": turn(0, mirrored=True),
    "mirror, turn 90": turn(1, mirrored=True),
    "mirror, turn 180": turn(2, mirrored=True),
    "mirror, turn 270": turn(3, mirrored=True),
    "brightness 0.7": relight(0.7),
    "brightness 0.85": relight(0.85),
    "brightness 1.15": relight(1.15),
    "brightness 1.3": relight(1.3),
    "shift 3 -2": shifted(right=3, down=-2),
    "shift -1 2": shifted(right=-1, down=2),
    "quality 60": requality(60),
}
"""The changes that make a copy differ from its original, by name."""


def truncate(jpeg: bytes) -> bytes:
    """Return the first half of the file, as after an upload that broke off."""
    return jpeg[: len(jpeg) // 2]


def zero_block(jpeg: bytes) -> bytes:
    """Replace a quarter of the file by zeros, as a lost disk block does."""
    start, stop = len(jpeg) // 2, len(jpeg) * 3 // 4
    return jpeg[:start] + bytes(stop - start) + jpeg[stop:]


def header_only(jpeg: bytes) -> bytes:
    """Return all before the marker that starts the scan: size and tables without a picture."""
    return jpeg[: jpeg.index(b"\xff\xda")]


def deep_png(jpeg: bytes) -> bytes:
    """Return the picture as a PNG of 16 bits."""
    return save(Image.fromarray(decode(jpeg).astype(np.uint16) * 257), "PNG")  # 255 * 257 is the largest of 16 bits


def cmyk_jpeg(jpeg: bytes) -> bytes:
    """Return the picture as a JPEG in CMYK, as a print shop stores it."""
    return save(Image.fromarray(decode(jpeg)).convert("CMYK"), "JPEG", quality=QUALITY)


def random_bytes(jpeg: bytes) -> bytes:
    """Return random bytes, as many as the file has. Files of equal length give equal bytes."""
    return np.random.default_rng(len(jpeg)).bytes(len(jpeg))


DAMAGES: dict[str, Change] = {
    "empty": lambda jpeg: b"",
    "truncated": truncate,
    "html page": lambda jpeg: b"<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>\n",
    "png": deep_png,
    "random bytes": random_bytes,
    "header only": header_only,
    "zeroed block": zero_block,
    "cmyk": cmyk_jpeg,
}
"""The changes that make a file unreadable, though its name says JPEG, by name."""
