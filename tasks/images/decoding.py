"""Decoding: the bytes of an image file as grey levels, or the reason why not."""

import io
import math
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

SIGNATURES = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
FORMATS = {".jfif": "JPEG", ".jpe": "JPEG", ".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG"}
SUFFIXES = ", ".join(FORMATS)  # for messages
PNG_END = b"IEND\xaeB`\x82"  # its last chunk, with checksum
READABLE_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"} | {"Gray", "YCbCr"}  # 8 bits a channel at most, grey or colour
MAX_BYTES = 64 * 2**20  # as of a file in an archive, `entries.Caps`; a photograph of 40 megapixels has some 20 MB
EXIF_ORIENTATION = 0x0112  # the number of this tag
UPRIGHT = 1  # its value where viewers show a picture as stored
EXIF_WITHIN = 4_096  # bytes from the start of a JPEG: Exif comes first, or right behind a header of JFIF
Image.MAX_IMAGE_PIXELS = (
    None  # `max_megapixels` decides, with a reason, where Pillow would warn or refuse by its own limit
)


class Decoded(NamedTuple):
    """Either grey levels, uint8 (height, width), or a code and a sentence that says what is wrong."""

    pixels: np.ndarray | None
    code: str = ""
    reason: str = ""
    width: int = 0
    """Of the picture in the file, in pixels, as is the height."""
    height: int = 0


class Least(NamedTuple):
    """Sides below which a picture must not be reduced, in pixels or as a share of its own; by default it is not."""

    pixels: int | None = None
    share: float = 1.0

    def of(self, side: int) -> int:
        return min(side, self.pixels or math.ceil(side * self.share))


WHOLE = Least()


def decode(content: bytes, suffix: str, max_megapixels: float, least: Least = WHOLE) -> Decoded:
    """The grey levels of a JPEG or PNG, decoded in full: a file that lacks its last bytes is refused.

    Cheap and safe checks come first; the size in the header is looked at before memory is asked for.
    JPEG is decoded strictly, since ordinary decoders pass most damage inside the picture (simplejpeg's strict mode).
    Where `least` allows a smaller picture, a quarter of the sides costs a JPEG two thirds of the time: every code of the
    file is read, so the same damage is found, and only the transform behind it is a smaller one.
    """
    image_format = FORMATS.get(suffix.lower())
    if image_format is None:
        return Decoded(None, "not_an_image", f"its name ends in {suffix or 'nothing'}, expected one of {SUFFIXES}")
    if not content:
        return Decoded(None, "empty", "the file has no bytes")
    if problem := too_large(len(content)):
        return problem
    if not content.startswith(SIGNATURES[image_format]):
        return Decoded(None, "signature", f"the content does not begin like a {image_format} file")
    try:
        return LEVELS[image_format](content, max_megapixels, least)
    except UnidentifiedImageError:  # its message holds an address, another in every run
        return Decoded(None, "undecodable", f"its header is not one of a {image_format} file")
    except (OSError, ValueError, SyntaxError) as error:
        return Decoded(None, "undecodable", f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")


def too_large(size: int) -> Decoded | None:
    """The refusal of a file of so many bytes, which can be told before it is read."""
    if size <= MAX_BYTES:
        return None
    return Decoded(None, "too_large", f"the file has {size:,} bytes, at most {MAX_BYTES:,} are read")


def jpeg_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    if problem := unwanted(width, height, colours, max_megapixels):
        return problem
    pixels = simplejpeg.decode_jpeg(content, colorspace="GRAY", min_height=least.of(height), min_width=least.of(width))
    return Decoded(pixels[..., 0], width=width, height=height)


def png_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """The grey levels of a PNG. Raises for a broken checksum or a missing end, which decoding alone passes."""
    header = Image.open(io.BytesIO(content), formats=["PNG"])
    if problem := unwanted(header.width, header.height, header.mode, max_megapixels):
        return problem
    if PNG_END not in content:
        raise ValueError("the file breaks off before its last chunk")
    header.verify()
    image = Image.open(io.BytesIO(content), formats=["PNG"])
    image.load()
    image.info.pop("transparency", None)  # plays no part in grey levels, and of a palette Pillow would warn
    grey = image.convert("L")
    factor = min(side // least.of(side) for side in image.size)
    return Decoded(np.asarray(grey.reduce(factor) if factor > 1 else grey), width=image.width, height=image.height)


LEVELS = {"JPEG": jpeg_levels, "PNG": png_levels}


def unwanted(width: int, height: int, mode: str, max_megapixels: float) -> Decoded | None:
    """The refusal of an image that should not be decoded; `mode` is Pillow's, or the colour space of a JPEG."""
    if width * height > max_megapixels * 1e6:
        return Decoded(None, "megapixels", f"{width} x {height} pixels, at most {max_megapixels:g} megapixels are read")
    if mode not in READABLE_MODES:
        return Decoded(None, "mode", f"colour mode {mode}, expected 8-bit grey or RGB")
    return None


def orientation(content: bytes) -> int:
    """How viewers turn the picture, by Exif: 3 is upside down, 6 a quarter turn, ... 8. Decoding gives it as stored."""
    is_png = content.startswith(SIGNATURES["PNG"])
    if (b"eXIf" not in content) if is_png else (content.find(b"Exif\0\0", 0, EXIF_WITHIN) < 0):
        return UPRIGHT  # by far the most, and Pillow takes a while to open a file
    try:
        turned = Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]).getexif().get(EXIF_ORIENTATION)
    except Exception:  # Pillow raises many kinds for broken Exif, which says nothing about the picture
        return UPRIGHT
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else UPRIGHT
