"""Pictures: photographs as a browser shows them. Each is decoded and encoded anew, so that no byte of a file reaches the browser."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.images.decoding import decode, format_of, read
from tasks.images.levels import Decoded
from tasks.review.access import Refusal
from tasks.storage.files import sha256_of

SIDE, SMALL = 1_200, 256  # pixels of the longer side: on a card, and of a part beside it
MAX_MEGAPIXELS = 100.0
QUALITY = 92  # of JPEG
COLORS = ("RGB", "RGBA", "P")  # modes that are shown in their colors; all others are gray


@lru_cache(maxsize=64)
def encode_photograph(path: Path, sha256: str, side: int | None) -> bytes:
    """Return a photograph as JPEG, its longer side at most `side` pixels; None: as it is.

    Raises Refusal where the file is gone, has changed, or cannot be decoded in full.
    """
    require_intact(path, sha256)
    image = load_picture(path)
    if side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encode_jpeg(image)


def require_intact(path: Path, sha256: str) -> None:
    """Raise Refusal where a file is gone, or no longer has this content."""
    try:
        intact = sha256_of(path) == sha256
    except OSError:
        intact = False
    if not intact:
        raise Refusal(404, "unknown_photograph")


def load_gray(path: Path) -> tuple[bytes, np.ndarray]:
    """Return the content of a photograph, and its gray levels by recast's strict decoder. Raises Refusal where it cannot be decoded.

    Nobody has validated a photograph of a station: the megapixels are limited.
    """
    try:
        content = read(path)
    except OSError:
        raise Refusal(404, "unknown_photograph") from None
    decoded = content if isinstance(content, Decoded) else decode(content, path.suffix, MAX_MEGAPIXELS)
    if decoded.pixels is None or isinstance(content, Decoded):
        raise Refusal(415, "unreadable", why=decoded.reason)
    return content, decoded.pixels


def load_picture(path: Path) -> Image.Image:
    """Return a photograph in its colors where it has some, else in gray. Raises Refusal where it cannot be decoded."""
    content, levels = load_gray(path)
    gray = Image.fromarray(levels)
    image_format = format_of(content)
    try:
        with Image.open(io.BytesIO(content), formats=[image_format.name.upper()] if image_format else None) as image:
            return image.convert("RGB") if image.mode in COLORS else gray
    except Exception:  # Pillow refuses packed texts and color profiles, which the strict decoder passes over
        return gray


def encode_jpeg(image: Image.Image) -> bytes:
    """Return an image as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
