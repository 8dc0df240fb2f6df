"""Faults: what goes wrong with the files of a real data set, done on purpose to JPEGs."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

QUALITY = 90
"""Of a copy that is encoded again, unless it says otherwise."""

Change = Callable[[bytes], bytes]
"""A JPEG to what becomes of it."""


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """A baseline grey JPEG of uint8 (height, width)."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
    return file.getvalue()


def decode(jpeg: bytes) -> np.ndarray:
    """The grey levels of a JPEG, uint8 (height, width)."""
    return np.asarray(Image.open(BytesIO(jpeg)))


def turn(quarters: int, *, mirrored: bool) -> Change:
    """Mirrors left and right, if at all, then turns anticlockwise."""

    def change(jpeg: bytes) -> bytes:
        pixels = decode(jpeg)
        return encode(np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters), QUALITY)

    return change


def relight(gain: float) -> Change:
    """Multiplies every grey level."""
    return lambda jpeg: encode(np.clip(decode(jpeg) * gain, 0, 255).astype(np.uint8), QUALITY)


def shifted(right: int, down: int) -> Change:
    """Moves the picture by pixels; the edge that it leaves repeats."""

    def change(jpeg: bytes) -> bytes:
        pixels = decode(jpeg)
        rows, columns = (np.arange(side) for side in pixels.shape)
        return encode(pixels[np.clip(rows - down, 0, rows[-1])][:, np.clip(columns - right, 0, columns[-1])], QUALITY)

    return change


def requality(quality: int) -> Change:
    """Encodes again."""
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
"""What makes a copy differ from its original."""


def truncate(jpeg: bytes) -> bytes:
    """The first half, as an upload that broke off leaves it."""
    return jpeg[: len(jpeg) // 2]


def zero(jpeg: bytes) -> bytes:
    """A quarter of it zeroes, as a lost disk block leaves it."""
    start, stop = len(jpeg) // 2, len(jpeg) * 3 // 4
    return jpeg[:start] + bytes(stop - start) + jpeg[stop:]


def headed(jpeg: bytes) -> bytes:
    """All before the marker that starts the scan: size and tables without a picture."""
    return jpeg[: jpeg.index(b"\xff\xda")]


def deep_png(jpeg: bytes) -> bytes:
    """The picture as a PNG of 16 bits."""
    file = BytesIO()
    Image.fromarray(decode(jpeg).astype(np.uint16) * 257).save(
        file, format="PNG"
    )  # 255 * 257 is the largest of 16 bits
    return file.getvalue()


def four_inks(jpeg: bytes) -> bytes:
    """The picture as a JPEG in CMYK, as a print shop stores it."""
    file = BytesIO()
    Image.fromarray(decode(jpeg)).convert("CMYK").save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()


def random_bytes(jpeg: bytes) -> bytes:
    """As many bytes that mean nothing, the same ones for the same picture."""
    return np.random.default_rng(len(jpeg)).bytes(len(jpeg))


DAMAGES: dict[str, Change] = {
    "empty": lambda jpeg: b"",
    "truncated": truncate,
    "html page": lambda jpeg: b"<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>\n",
    "png": deep_png,
    "random bytes": random_bytes,
    "header only": headed,
    "zeroed block": zero,
    "cmyk": four_inks,
}
"""What makes a file unfit, though its name says JPEG."""
