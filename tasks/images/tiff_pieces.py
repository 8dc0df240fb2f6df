"""TIFF pieces: find the strips or tiles in which a TIFF stores its picture, and check that each is whole."""

import math
import zlib
from typing import NamedTuple

import numpy as np

from tasks.images.file_structure import SAVE_ANEW
from tasks.images.tiff_structure import DEFLATE, NONE, Tag, TiffDirectory
from tasks.settings.errors import BadInput

SPARE_PIXELS = 2**20  # that a tile may have beyond the picture


class TiffPieces(NamedTuple):
    """The strips or tiles of a picture, from left to right and from top to bottom."""

    offsets: np.ndarray
    """Positions in the file."""
    sizes: np.ndarray
    """As packed, in bytes."""
    width: int
    """Of a piece, in pixels, as is the height."""
    height: int
    columns: int
    """Of pieces."""


def tiff_pieces(directory: TiffDirectory) -> TiffPieces:
    """Return the strips or tiles. Raises ValueError where they do not lie in the file, and BadInput where tiles are too large."""
    width, height = directory.width, directory.height
    if directory.has_tiles:
        piece_width, piece_height = directory.value(Tag.TileWidth), directory.value(Tag.TileLength)
        if piece_width % 16 or piece_height % 16 or not piece_width * piece_height:
            raise ValueError(f"its tiles have {piece_width} x {piece_height} pixels, expected multiples of 16")
        if piece_width * piece_height > width * height + SPARE_PIXELS:
            raise BadInput(
                f"the TIFF has tiles of {piece_width} x {piece_height} pixels, more than it shows: {SAVE_ANEW}"
            )
        tags = Tag.TileOffsets, Tag.TileByteCounts
    else:
        piece_width, piece_height = width, min(directory.value(Tag.RowsPerStrip, height), height)
        tags = Tag.StripOffsets, Tag.StripByteCounts
    columns, rows = math.ceil(width / piece_width), math.ceil(height / max(1, piece_height))
    offsets, sizes = map(directory.values, tags)
    if not len(offsets) == len(sizes) == columns * rows:
        raise ValueError(f"its picture has {len(offsets):,} parts of {len(sizes):,} sizes, expected {columns * rows:,}")
    if (offsets + sizes).max() > len(directory.content):
        raise ValueError("the file breaks off before its picture ends")
    return TiffPieces(offsets, sizes, piece_width, piece_height, columns)


def refuse_damaged_pieces(directory: TiffDirectory, pieces: TiffPieces) -> None:
    """Raise ValueError where a piece is too short, or where deflate's checksum is wrong, which decoders pass."""
    compression, height = directory.compression, directory.height
    row = math.ceil(pieces.width * directory.samples * directory.bits / 8)
    for number, (start, size) in enumerate(zip(pieces.offsets.tolist(), pieces.sizes.tolist(), strict=True)):
        above = number // pieces.columns * pieces.height
        least = row * (pieces.height if directory.has_tiles else min(pieces.height, height - above))
        if compression == NONE and size < least:
            raise ValueError(f"its picture breaks off in part {number + 1:,}, which has {size:,} of {least:,} bytes")
        if compression in DEFLATE:
            stream = zlib.decompressobj()
            unpacked = stream.decompress(directory.content[start : start + size], row * pieces.height + 1)
            if not stream.eof or len(unpacked) < least:
                raise ValueError(f"its picture breaks off in part {number + 1:,}")
