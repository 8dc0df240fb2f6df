"""TIFF picture: decode the picture of a TIFF whose directory has been checked."""

import ctypes
import io
from functools import cache

import numpy as np
from PIL import Image, ImageOps

from tasks.images.bit_depth import deep_gray
from tasks.images.tiff_structure import NONE, PALETTE, WHITE_IS_ZERO, Tag, TiffDirectory, reduced_tiff


def tiff_gray(directory: TiffDirectory) -> Image.Image:
    """Return the picture in gray, mode L, not turned by its orientation."""
    if directory.bits < 16 or directory.photometric == PALETTE:
        return open_tiff(reduced_tiff(directory)).convert("L")
    gray = deep_gray(tiff_samples(directory))
    return ImageOps.invert(gray) if directory.photometric == WHITE_IS_ZERO else gray


def tiff_samples(directory: TiffDirectory) -> np.ndarray:
    """Return the samples of a TIFF of 16 bits, uint16 (height, width, channels).

    Of colors Pillow keeps the upper 8 bits alone. So they are read as a gray picture of as many samples, and where samples are
    stored as differences from the pixel before (Predictor), these are added here.
    """
    samples, width = directory.samples, directory.width
    piece_width = directory.value(Tag.TileWidth, width)
    changes = {
        Tag.ImageWidth: width * samples,
        Tag.BitsPerSample: 16,
        Tag.PhotometricInterpretation: 1,
        Tag.SamplesPerPixel: 1,
        Tag.Predictor: 1,
        Tag.ExtraSamples: None,
    }
    if directory.has_tiles:
        changes[Tag.TileWidth] = piece_width * samples
    image = open_tiff(reduced_tiff(directory, changes))
    levels = np.asarray(image).astype(np.uint16).reshape(directory.height, width, samples)
    if directory.value(Tag.Predictor, 1) == 2 and directory.compression != NONE:
        for left in range(0, width, piece_width):
            piece = levels[:, left : left + piece_width]
            np.cumsum(piece, axis=1, dtype=np.uint16, out=piece)
    return levels


def open_tiff(content: bytes) -> Image.Image:
    """Read the header of a TIFF."""
    silence_libtiff()
    return Image.open(io.BytesIO(content), formats=["TIFF"])


@cache
def silence_libtiff() -> None:
    """Keep libtiff from writing to standard error, past Python, what is wrong with a file: Pillow raises an error for it.

    A Pillow that hides its libtiff lets it write on.
    """
    set_handler = getattr(ctypes.CDLL(Image.core.__file__), "TIFFSetErrorHandler", None)
    if set_handler:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
