"""Decoding: read an image file and return its gray levels, or the reason why it cannot be read."""

import io
import math
import os
import stat
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from tasks.images.file_structure import PNG_SIGNATURE, png_chunks, png_picture, refuse_costly_jpeg
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal

READABLE_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"} | {"Gray", "YCbCr"}  # 8 bits a channel at most, gray or color
MAX_BYTES = 64 * 2**20  # as `zip_checks.Caps` allows a file in an archive; a photograph of 40 megapixels has some 20 MB
MAX_SIDE = 65_500  # pixels: libjpeg reads no more, and a PNG of 40 million rows of one pixel takes seconds
READ_AT_ONCE = 2**16  # bytes: most files are smaller, and need not be asked for their size
NO_MEMORY = "memory"  # the code of a refusal that says nothing of the file
DAMAGED = (OSError, ValueError, SyntaxError)  # what a decoder raises on purpose, with a message for people
EXIF_ORIENTATION = 0x0112  # the number of this tag
UPRIGHT = 1  # its value where viewers show a picture as stored
EXIF_WITHIN = 4_096  # bytes from the start of a JPEG: Exif comes first, or right behind a header of JFIF
Image.MAX_IMAGE_PIXELS = (
    None  # `max_megapixels` decides, with a reason, where Pillow would warn or refuse by its own limit
)


class Decoded(NamedTuple):
    """Either gray levels, uint8 (height, width), or a code and a sentence that says what is wrong."""

    pixels: np.ndarray | None
    code: str = ""
    reason: str = ""
    width: int = 0
    """Of the picture in the file, in pixels, as is the height."""
    height: int = 0


class Least(NamedTuple):
    """The sides below which a picture must not be reduced: in pixels, or as a share of its own sides. By default it is not reduced."""

    pixels: int | None = None
    share: float = 1.0

    def length_of(self, side: int) -> int:
        """Return the least length of a side of `side` pixels, in pixels."""
        return min(side, self.pixels or math.ceil(side * self.share))


WHOLE = Least()


class ImageFormat(NamedTuple):
    """A format that is read: a row of `FORMATS`."""

    name: str
    suffixes: tuple[str, ...]
    signature: bytes
    """The first bytes of every file."""
    levels: Callable[[bytes, float, Least], Decoded]
    """Returns the gray levels of a content of at most so many megapixels, or its refusal. An error of the decoder is a refusal too."""
    exif: Callable[[bytes], Mapping[int, object]]
    """Returns the Exif of a content by the numbers of the tags; empty where there is none."""


def decode(content: bytes, suffix: str, max_megapixels: float, least: Least = WHOLE) -> Decoded:
    """Return the gray levels of an image file, decoded in full: a file that lacks its last bytes is refused.

    Cheap and safe checks come first, before memory is allocated or a decoder begins: sizes in bytes and pixels, scans and chunks.
    JPEG is decoded in simplejpeg's strict mode, since ordinary decoders pass most damage inside the picture.
    Where `least` allows a smaller picture, a quarter of the sides costs a JPEG two thirds of the time. Every code of the
    file is still read, so the same damage is found. An error of a decoder becomes the refusal of this file: it must not stop the others.
    """
    image_format = BY_SUFFIX.get(suffix.lower())
    if image_format is None:
        ending = f"its name ends in {for_terminal(suffix) or 'nothing'}, expected one of {SUFFIXES}"
        return Decoded(None, "not_an_image", ending)
    if not content:
        return Decoded(None, "empty", "the file has no bytes")
    if problem := too_large(len(content)):
        return problem
    if not content.startswith(image_format.signature):
        return Decoded(None, "signature", f"the content does not begin like a {image_format.name} file")
    try:
        return image_format.levels(content, max_megapixels, least)
    except BadInput as costly:
        return Decoded(None, "costly", str(costly))
    except UnidentifiedImageError:  # its message holds an address, another in every run
        return Decoded(None, "undecodable", f"its header is not one of a {image_format.name} file")
    except MemoryError:
        return Decoded(None, NO_MEMORY, "there is too little free memory to decode it: free some, and try again")
    except Exception as error:
        message = f"{type(error).__name__}: {for_terminal(' '.join(str(error).split())[:160])}"
        reason = message if isinstance(error, DAMAGED) else f"the decoder fails at its content ({message})"
        return Decoded(None, "undecodable", reason)


def too_large(size: int) -> Decoded | None:
    """Return the refusal of a file of `size` bytes, before it is read; None where it is small enough."""
    if size <= MAX_BYTES:
        return None
    return Decoded(None, "too_large", f"the file has {size:,} bytes, at most {MAX_BYTES:,} are read: save it smaller")


def read(path: str | os.PathLike[str]) -> bytes | Decoded:
    """Return the content of a file, or its refusal after the first bytes where it is too large. Raises OSError.

    This makes few calls of the system: each releases Python's lock, and `open` and `read` of a file object make eight.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer is empty, and is not waited for
    try:
        content = os.read(descriptor, READ_AT_ONCE)
        if len(content) < READ_AT_ONCE:
            return content
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a device or a pipe, and no file")
        return too_large(status.st_size) or content + os.read(descriptor, max(0, status.st_size - READ_AT_ONCE))
    finally:
        os.close(descriptor)


def jpeg_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a JPEG, or its refusal. Raises BadInput for a costly one. Damage raises an error of the decoder."""
    height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
    if problem := header_refusal(width, height, colors, max_megapixels):
        return problem
    refuse_costly_jpeg(content)
    pixels = simplejpeg.decode_jpeg(
        content, colorspace="GRAY", min_height=least.length_of(height), min_width=least.length_of(width)
    )
    return Decoded(pixels[..., 0], width=width, height=height)


def png_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a PNG, or its refusal. Raises ValueError for a wrong checksum or a missing end, which Pillow passes."""
    image = Image.open(io.BytesIO(png_picture(content)), formats=["PNG"])
    if problem := header_refusal(image.width, image.height, image.mode, max_megapixels):
        return problem
    gray = image.convert("L")
    factor = min(side // least.length_of(side) for side in image.size)
    return Decoded(np.asarray(gray.reduce(factor) if factor > 1 else gray), width=image.width, height=image.height)


def header_refusal(width: int, height: int, mode: str, max_megapixels: float) -> Decoded | None:
    """Return the refusal of an image that should not be decoded, or None; `mode` is Pillow's, or the color space of a JPEG."""
    if max(width, height) > MAX_SIDE:
        return Decoded(None, "side", f"{width} x {height} pixels, at most {MAX_SIDE:,} a side are read: cut it up")
    if width * height > max_megapixels * 1e6:
        return Decoded(
            None,
            "megapixels",
            f"{width} x {height} pixels, at most {max_megapixels:g} megapixels are read: save it smaller",
        )
    if mode not in READABLE_MODES:
        return Decoded(None, "mode", f"color mode {mode}, expected 8-bit gray or RGB")
    return None


def orientation(content: bytes) -> int:
    """Return how viewers turn the picture by Exif, 1 to 8: 3 is upside down, 6 is a quarter turn. `decode` does not turn it."""
    try:
        turned = format_of(content).exif(content).get(EXIF_ORIENTATION)
    except Exception:  # Pillow raises many kinds for broken Exif, which says nothing about the picture
        return UPRIGHT
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else UPRIGHT


def format_of(content: bytes) -> ImageFormat:
    """Return the format that the content begins like, be it by four bytes; JPEG for any other content, which `decode` then refuses."""
    return next((row for row in FORMATS if content.startswith(row.signature[:4])), JPEG)


def jpeg_exif(content: bytes) -> Mapping[int, object]:
    """Return the Exif of a JPEG."""
    if content.find(b"Exif\0\0", 0, EXIF_WITHIN) < 0:
        return {}  # by far the most files end here, and Pillow takes a while to open one
    return Image.open(io.BytesIO(content), formats=["JPEG"]).getexif()


def png_exif(content: bytes) -> Mapping[int, object]:
    """Return the Exif of a PNG. The other chunks are not read: their texts may be large when unpacked."""
    if b"eXIf" not in content:
        return {}
    exif = Image.Exif()
    exif.load(bytes(next((data for kind, data in png_chunks(content) if kind == b"eXIf"), b"")))
    return exif


JPEG = ImageFormat("JPEG", (".jfif", ".jpe", ".jpeg", ".jpg"), b"\xff\xd8\xff", jpeg_levels, jpeg_exif)
PNG = ImageFormat("PNG", (".png",), PNG_SIGNATURE, png_levels, png_exif)
FORMATS = (JPEG, PNG)
BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes}
SUFFIXES = ", ".join(BY_SUFFIX)  # for messages
