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


def zero_block(jpeg: bytes) -> bytes:
    """Replace a quarter of the file by zeros, as a lost disk block does."""
    start, stop = len(jpeg) // 2, len(jpeg) * 3 // 4
    return jpeg[:start] + bytes(stop - start) + jpeg[stop:]


DAMAGES: dict[str, Change] = {
    "empty": lambda jpeg: b"",
    # the first half of the file, as after an upload that broke off
    "truncated": lambda jpeg: jpeg[: len(jpeg) // 2],
    "html page": lambda jpeg: b"<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>\n",
    # a picture in a format that is not read
    "gif": lambda jpeg: save(Image.fromarray(decode(jpeg)), "GIF"),
    # as many as the file has; files of equal length give equal bytes
    "random bytes": lambda jpeg: np.random.default_rng(len(jpeg)).bytes(len(jpeg)),
    # all before the marker that starts the scan: size and tables without a picture
    "header only": lambda jpeg: jpeg[: jpeg.index(b"\xff\xda")],
    "zeroed block": zero_block,
    # as a print shop stores it
    "cmyk": lambda jpeg: save(Image.fromarray(decode(jpeg)).convert("CMYK"), "JPEG", quality=QUALITY),
}
"""The changes that make a file unreadable, though its name says JPEG, by name."""
