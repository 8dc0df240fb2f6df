"""Decoding: read an image file and return its gray levels, or the reason why it cannot be read."""

import io
import os
import re
import stat
from collections.abc import Callable, Mapping
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from tasks.images.file_structure import PNG_SIGNATURE, png_chunks
from tasks.images.levels import (
    Decoded,
    Least,
    bmp_levels,
    jpeg_levels,
    png_levels,
    tiff_levels,
    webp_levels,
)
from tasks.images.tiff_structure import Tag, tiff_directory
from tasks.images.webp_structure import webp_chunks
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal

MAX_BYTES = 64 * 2**20  # as `zip_checks.Caps` allows a file in an archive; a photograph of 40 megapixels has some 20 MB
READ_AT_ONCE = 2**16  # bytes: most files are smaller, and need not be asked for their size
NO_MEMORY = "memory"  # the code of a refusal that says nothing of the file
DAMAGED = (OSError, ValueError, SyntaxError)  # what a decoder raises on purpose, with a message for people
EXIF_ORIENTATION = 0x0112  # the number of this tag
UPRIGHT = 1  # its value where viewers show a picture as stored
EXIF_WITHIN = 4_096  # bytes from the start of a JPEG: Exif comes first, or right behind a header of JFIF
WHOLE = Least()


class ImageFormat(NamedTuple):
    """A format that is read: a row of `FORMATS`."""

    name: str
    suffixes: tuple[str, ...]
    signature: re.Pattern[bytes]
    """Matches the first bytes of every file."""
    levels: Callable[[bytes, float, Least], Decoded]
    """Returns the gray levels of a content of at most so many megapixels, or its refusal. An error of the decoder is a refusal too."""
    exif: Callable[[bytes], Mapping[int, object]]
    """Returns the Exif of a content by the numbers of the tags; empty where there is none."""


def decode(content: bytes, suffix: str, max_megapixels: float, least: Least = WHOLE) -> Decoded:
    """Return the gray levels of an image file, decoded in full: a file that lacks its last bytes is refused.

    The suffix of its name says that the file is meant as an image, and must be one that is read. The content says in which format it is.
    Cheap and safe checks come first, before memory is allocated or a decoder begins: sizes in bytes and pixels, scans and chunks.
    JPEG is decoded in simplejpeg's strict mode, since ordinary decoders pass most damage inside the picture.
    Where `least` allows a smaller picture, a quarter of the sides costs a JPEG two thirds of the time. Every code of the
    file is still read, so the same damage is found. An error of a decoder becomes the refusal of this file: it must not stop the others.
    """
    if suffix.lower() not in BY_SUFFIX:
        ending = f"its name ends in {for_terminal(suffix) or 'nothing'}, expected one of {SUFFIXES}"
        return Decoded(None, "not_an_image", ending)
    if not content:
        return Decoded(None, "empty", "the file has no bytes")
    if problem := too_large(len(content)):
        return problem
    image_format = format_of(content)
    if image_format is None:
        return Decoded(None, "signature", f"the content does not begin like a file of {NAMES}")
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


def orientation(content: bytes) -> int:
    """Return how viewers turn the picture by Exif, 1 to 8: 3 is upside down, 6 is a quarter turn. `decode` does not turn it."""
    image_format = format_of(content)
    if image_format is None:
        return UPRIGHT
    try:
        turned = image_format.exif(content).get(EXIF_ORIENTATION)
    except Exception:  # Pillow raises many kinds for broken Exif, which says nothing about the picture
        return UPRIGHT
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else UPRIGHT


def format_of(content: bytes) -> ImageFormat | None:
    """Return the format that the content begins like; None where it is none that is read."""
    return next((row for row in FORMATS if row.signature.match(content)), None)


def jpeg_exif(content: bytes) -> Mapping[int, object]:
    """Return the Exif of a JPEG."""
    if content.find(b"Exif\0\0", 0, EXIF_WITHIN) < 0:
        return {}  # by far the most files end here, and Pillow takes a while to open one
    return Image.open(io.BytesIO(content), formats=["JPEG"]).getexif()


def png_exif(content: bytes) -> Mapping[int, object]:
    """Return the Exif of a PNG. The other chunks are not read: their texts may be large when unpacked."""
    if b"eXIf" not in content:
        return {}
    return load_exif(next((data for kind, data in png_chunks(content) if kind == b"eXIf"), b""))


def webp_exif(content: bytes) -> Mapping[int, object]:
    """Return the Exif of a WebP."""
    return load_exif(next((data for kind, data in webp_chunks(content) if kind == b"EXIF"), b""))


def load_exif(data: bytes | memoryview) -> Mapping[int, object]:
    """Return the Exif of its bytes."""
    exif = Image.Exif()
    exif.load(bytes(data))
    return exif


def tiff_exif(content: bytes) -> Mapping[int, object]:
    """Return the orientation of a TIFF, which has the same tags as Exif."""
    return {EXIF_ORIENTATION: tiff_directory(content).value(Tag.Orientation, UPRIGHT)}


def no_exif(content: bytes) -> Mapping[int, object]:
    """Return nothing: the format has no Exif."""
    return {}


JPEG = ImageFormat("JPEG", (".jfif", ".jpe", ".jpeg", ".jpg"), re.compile(rb"\xff\xd8\xff"), jpeg_levels, jpeg_exif)
TIFF = ImageFormat("TIFF", (".tif", ".tiff"), re.compile(rb"II[*+]\0|MM\0[*+]"), tiff_levels, tiff_exif)
FORMATS = (
    JPEG,
    ImageFormat("PNG", (".png",), re.compile(re.escape(PNG_SIGNATURE)), png_levels, png_exif),
    ImageFormat("BMP", (".bmp",), re.compile(rb"BM"), bmp_levels, no_exif),
    TIFF,
    ImageFormat("WebP", (".webp",), re.compile(rb"RIFF....WEBP", re.DOTALL), webp_levels, webp_exif),
)
BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes}
SUFFIXES = ", ".join(BY_SUFFIX)  # for messages, as is the next line
NAMES = f"{', '.join(row.name for row in FORMATS[:-1])} or {FORMATS[-1].name}"
