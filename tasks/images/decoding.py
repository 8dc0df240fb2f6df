"""Decoding: the bytes of an image file as grey levels, or the reason why not."""

import io
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

SIGNATURES = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
FORMATS = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG"}
PNG_END = b"IEND\xaeB`\x82"  # its last chunk, with checksum
READABLE_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}  # 8 bits a channel at most, grey or colour
Image.MAX_IMAGE_PIXELS = (
    None  # `max_megapixels` decides, with a reason, where Pillow would warn or refuse by its own limit
)


class Decoded(NamedTuple):
    """Either grey levels, uint8 (height, width), or a code and a sentence that says what is wrong."""

    pixels: np.ndarray | None
    code: str = ""
    reason: str = ""


def decode(content: bytes, suffix: str, max_megapixels: float) -> Decoded:
    """The grey levels of a JPEG or PNG, decoded in full: a file that lacks its last bytes is refused.

    Cheap and safe checks come first; the size in the header is looked at before memory is asked for.
    JPEG is decoded strictly, since ordinary decoders pass most damage inside the picture (simplejpeg's strict mode).
    """
    image_format = FORMATS.get(suffix.lower())
    if image_format is None:
        return Decoded(None, "not_an_image", f"its name ends in {suffix or 'nothing'}, expected .jpeg, .jpg or .png")
    if not content:
        return Decoded(None, "empty", "the file has no bytes")
    if not content.startswith(SIGNATURES[image_format]):
        return Decoded(None, "signature", f"the content does not begin like a {image_format} file")
    try:
        header = Image.open(io.BytesIO(content), formats=[image_format])
        if problem := unwanted(header, max_megapixels):
            return Decoded(None, *problem)
        if image_format == "JPEG":
            return Decoded(simplejpeg.decode_jpeg(content, colorspace="GRAY")[..., 0])
        return Decoded(png_levels(content, header))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        return Decoded(None, "undecodable", f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")


def png_levels(content: bytes, header: Image.Image) -> np.ndarray:
    """The grey levels of a PNG. Raises for a broken checksum or a missing end, which decoding alone passes."""
    if PNG_END not in content:
        raise ValueError("the file breaks off before its last chunk")
    header.verify()
    image = Image.open(io.BytesIO(content), formats=["PNG"])
    image.load()
    image.info.pop("transparency", None)  # plays no part in grey levels, and of a palette Pillow would warn
    return np.asarray(image.convert("L"))


def unwanted(header: Image.Image, max_megapixels: float) -> tuple[str, str] | None:
    """Code and reason when an image should not be decoded."""
    width, height = header.size
    if width * height > max_megapixels * 1e6:
        return "megapixels", f"{width} x {height} pixels, at most {max_megapixels:g} megapixels are read"
    if header.mode not in READABLE_MODES:
        return "mode", f"colour mode {header.mode}, expected 8-bit grey or RGB"
    return None
