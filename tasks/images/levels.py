"""Levels: turn the content of a file of each image format into gray levels of 8 bits, or into a refusal."""

import io
import math
from typing import NamedTuple, cast

import numpy as np
import simplejpeg
from PIL import Image, ImageFile

from tasks.images.bit_depth import deep_gray
from tasks.images.file_structure import png_chunk, png_picture, refuse_costly_jpeg
from tasks.images.tiff_picture import tiff_gray
from tasks.images.tiff_pieces import refuse_damaged_pieces, tiff_pieces
from tasks.images.tiff_structure import tiff_directory, unreadable_tag
from tasks.images.webp_structure import webp_picture

READABLE_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"} | {"Gray", "YCbCr"}  # gray or color, 16 bits at most
MAX_SIDE = 65_500  # pixels: libjpeg reads no more, and a PNG of 40 million rows of one pixel takes seconds
GRAY_ALPHA, COLOR_ALPHA = 4, 6  # color types of a PNG
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


def jpeg_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a JPEG, or its refusal. Raises BadInput for a costly one. Damage raises an error of the decoder."""
    height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
    if refusal := header_refusal(width, height, colors, max_megapixels):
        return refusal
    refuse_costly_jpeg(content)
    pixels = simplejpeg.decode_jpeg(
        content, colorspace="GRAY", min_height=least.length_of(height), min_width=least.length_of(width)
    )
    return Decoded(pixels[..., 0], width=width, height=height)


def png_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a PNG, or its refusal. Raises ValueError for a wrong checksum or a missing end, which Pillow passes."""
    picture = png_picture(content)
    image = open_as("PNG", picture)
    if refusal := header_refusal(image.width, image.height, image.mode, max_megapixels):
        return refusal
    is_deep = picture[24] == 16
    return reduce(deep_gray(png_samples(picture)) if is_deep else image.convert("L"), least)


def png_samples(picture: bytes) -> np.ndarray:
    """Return the samples of a PNG of 16 bits, uint16 (height, width, channels). Of colors Pillow keeps the upper 8 bits alone."""
    if picture[25] == GRAY_ALPHA:  # two samples of 16 bits are stored as four of 8 bits are
        header = picture[16:24] + bytes((8, COLOR_ALPHA)) + picture[26:29]
        eights = open_as("PNG", picture[:8] + png_chunk(b"IHDR", header) + picture[33:])
        return np.asarray(eights).view(">u2")
    upper, lower = (open_as("PNG", picture) for _ in range(2))
    if upper.mode == "I;16":
        return np.asarray(upper)[..., None]
    lower.tile = [tile._replace(args=f"{lower.mode};16L") for tile in lower.tile]  # takes the second byte of two
    return np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)


def bmp_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a BMP, or its refusal. Raises ValueError where it breaks off."""
    image = open_as("BMP", content)
    if refusal := header_refusal(image.width, image.height, image.mode, max_megapixels):
        return refusal
    coder, _, offset, arguments = image.tile[0]
    if coder != "raw":
        return Decoded(None, "mode", "its picture is run-length coded (RLE), expected a BMP without compression")
    _, row, _ = cast("tuple[str, int, int]", arguments)  # its bytes
    end = offset + row * image.height
    if end > len(content):
        raise ValueError(f"the file breaks off: it has {len(content):,} of {end:,} bytes")
    return reduce(image.convert("L"), least)


def tiff_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a TIFF of one page, or its refusal. Raises ValueError for damage, and BadInput for a costly one."""
    directory = tiff_directory(content)
    if refusal := header_refusal(directory.width, directory.height, "L", max_megapixels):
        return refusal
    if directory.has_more_pages:
        return Decoded(None, "pages", "the TIFF has several pages, one is read: save the page that shows the part")
    if problem := unreadable_tag(directory):
        return Decoded(None, "mode", problem)
    refuse_damaged_pieces(directory, tiff_pieces(directory))
    return reduce(tiff_gray(directory), least)


def webp_levels(content: bytes, max_megapixels: float, least: Least) -> Decoded:
    """Return the gray levels of a WebP, or its refusal. Raises ValueError for damage, and BadInput for an animation."""
    picture, width, height = webp_picture(content)
    if refusal := header_refusal(width, height, "RGB", max_megapixels):
        return refusal
    return reduce(open_as("WEBP", picture).convert("L"), least)


def open_as(form: str, content: bytes) -> ImageFile.ImageFile:
    """Read the header of an image in one of Pillow's formats."""
    return Image.open(io.BytesIO(content), formats=[form])


def reduce(gray: Image.Image, least: Least) -> Decoded:
    """Return the levels of a gray picture, reduced by a whole number as far as `least` allows."""
    factor = min(side // least.length_of(side) for side in gray.size)
    return Decoded(np.asarray(gray.reduce(factor) if factor > 1 else gray), width=gray.width, height=gray.height)


def header_refusal(width: int, height: int, mode: str, max_megapixels: float) -> Decoded | None:
    """Return the refusal of an image that should not be decoded, or None; `mode` is Pillow's, or the color space of a JPEG."""
    if min(width, height) < 1:
        return Decoded(None, "side", f"{width} x {height} pixels, at least 1 a side is expected")
    if max(width, height) > MAX_SIDE:
        return Decoded(None, "side", f"{width} x {height} pixels, at most {MAX_SIDE:,} a side are read: cut it up")
    if width * height > max_megapixels * 1e6:
        return Decoded(
            None,
            "megapixels",
            f"{width} x {height} pixels, at most {max_megapixels:g} megapixels are read: save it smaller",
        )
    if mode not in READABLE_MODES:
        return Decoded(None, "mode", f"color mode {mode}, expected gray or RGB of at most 16 bits")
    return None
