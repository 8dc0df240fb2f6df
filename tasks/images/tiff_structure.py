"""TIFF structure: read the directory of a TIFF, check what it announces, and reduce the file to what a decoder needs."""

import math
import struct
import zlib
from typing import NamedTuple

import numpy as np

from tasks.images.file_structure import SAVE_ANEW
from tasks.settings.errors import BadInput

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 274, 277, 278, 279
PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES = (
    317,
    320,
    322,
    323,
    324,
    325,
    338,
)
NAMES = {
    WIDTH: "ImageWidth", HEIGHT: "ImageLength", STRIP_OFFSETS: "StripOffsets", STRIP_BYTES: "StripByteCounts",
    TILE_HEIGHT: "TileLength", TILE_OFFSETS: "TileOffsets", TILE_BYTES: "TileByteCounts",
}  # fmt: skip
PICTURE = frozenset(NAMES) | {
    BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS_PER_STRIP, PREDICTOR, COLOR_MAP, TILE_WIDTH, EXTRA_SAMPLES,
}  # fmt: skip
NONE, LZW, DEFLATE = 1, 5, (8, 32946)
WHITE_IS_ZERO, RGB, PALETTE = 0, 2, 3
READABLE = {  # by tag: its name, its value where it is missing, and the values that are read
    BITS: ("BitsPerSample", 1, (1, 2, 4, 8, 16)),
    COMPRESSION: ("Compression", NONE, (NONE, LZW, *DEFLATE, 32773)),  # the last is PackBits
    PHOTOMETRIC: ("PhotometricInterpretation", WHITE_IS_ZERO, (WHITE_IS_ZERO, 1, RGB, PALETTE)),
    266: ("FillOrder", 1, (1,)),
    SAMPLES: ("SamplesPerPixel", 1, (1, 2, 3, 4)),
    284: ("PlanarConfiguration", 1, (1,)),
    PREDICTOR: ("Predictor", 1, (1, 2)),
    339: ("SampleFormat", 1, (1,)),
}
EXPECTED = "gray or RGB, whole numbers of at most 16 bits, stored together, without compression or with LZW, deflate or PackBits"
INTEGERS = {1: "u1", 3: "u2", 4: "u4"}  # by the number of the type
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
LONG = 4
SPARE_PIXELS = 2**20  # that a tile may have beyond the picture


class TiffDirectory(NamedTuple):
    """The directory of the first page."""

    content: bytes
    order: str
    """Of bytes, as `struct` writes it."""
    entries: dict[int, bytes]
    """The 12 bytes of each tag."""
    has_more_pages: bool

    def values(self, tag: int, default: int | None = None) -> np.ndarray:
        """Return the whole numbers of a tag, int64. Raises ValueError where it is missing without a default, or holds others."""
        if tag not in self.entries and default is not None:
            return np.array([default])
        entry = self.entries.get(tag, bytes(12))
        kind, count = struct.unpack_from(f"{self.order}HI", entry, 2)
        if not count or kind not in INTEGERS:
            raise ValueError(f"its directory has no whole number for the tag {NAMES.get(tag, tag)}")
        place = value_place(self.order, entry, TYPE_BYTES[kind] * count)
        start, source = (place, self.content) if place else (8, entry)
        return np.frombuffer(source, self.order + INTEGERS[kind], count, start).astype(np.int64)

    def value(self, tag: int, default: int | None = None) -> int:
        """Return the first number of a tag."""
        return int(self.values(tag, default)[0])

    @property
    def width(self) -> int:
        """Return the width in pixels."""
        return self.value(WIDTH)

    @property
    def height(self) -> int:
        """Return the height in pixels."""
        return self.value(HEIGHT)

    @property
    def samples(self) -> int:
        """Return the number of samples of a pixel."""
        return self.value(SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Return the bits of a sample."""
        return self.value(BITS, 1)

    @property
    def compression(self) -> int:
        """Return the number of the compression."""
        return self.value(COMPRESSION, NONE)

    @property
    def photometric(self) -> int:
        """Return the number that says what samples mean."""
        return self.value(PHOTOMETRIC, WHITE_IS_ZERO)

    @property
    def has_tiles(self) -> bool:
        """Return whether the picture is stored in tiles, not in strips."""
        return TILE_WIDTH in self.entries


def value_place(order: str, entry: bytes, size: int) -> int:
    """Return the position of a value of `size` bytes in the file; 0 where the entry holds it itself."""
    return int(struct.unpack_from(f"{order}I", entry, 8)[0]) if size > 4 else 0


def tiff_directory(content: bytes) -> TiffDirectory:
    """Return the directory of the first page. Raises ValueError where the file breaks off, and BadInput for a BigTIFF."""
    order = "<" if content[:2] == b"II" else ">"
    if 43 in content[2:4]:
        raise BadInput("the TIFF is a BigTIFF, which is for files over 4 GB: save it as an ordinary TIFF")
    (start,) = struct.unpack_from(f"{order}I", content.ljust(8, b"\0"), 4)
    if start < 8 or start + 2 > len(content):
        raise ValueError("the file breaks off before its directory")
    (count,) = struct.unpack_from(f"{order}H", content, start)
    end = start + 2 + 12 * count
    if end + 4 > len(content):
        raise ValueError("the file breaks off inside its directory")
    entries = {}
    for position in range(end - 12, start, -12):  # the first of a tag counts
        entry = content[position : position + 12]
        tag, kind, number = struct.unpack_from(f"{order}HHI", entry)
        size = TYPE_BYTES.get(kind, 0) * number
        if value_place(order, entry, size) + (size if size > 4 else 0) > len(content):
            raise ValueError(f"the file breaks off before the value of its tag {tag}")
        entries[tag] = entry
    return TiffDirectory(content, order, entries, content[end : end + 4] != bytes(4))


def unreadable_tag(directory: TiffDirectory) -> str:
    """Say which tag has a value that is not read; an empty text where there is none."""
    for tag, (name, default, readable) in READABLE.items():
        values = sorted(set(directory.values(tag, default).tolist()))
        if len(values) > 1 or values[0] not in readable:
            return f"its tag {name} is {' and '.join(map(str, values[:4]))}, expected {EXPECTED}"
    return ""


class Pieces(NamedTuple):
    """The strips or tiles of a picture, and how many bytes one has when unpacked."""

    offsets: np.ndarray
    sizes: np.ndarray
    """As packed, in bytes."""
    width: int
    height: int
    columns: int
    rows: int


def tiff_pieces(directory: TiffDirectory) -> Pieces:
    """Return the strips or tiles. Raises ValueError where they do not lie in the file, and BadInput where tiles are too large."""
    width, height = directory.width, directory.height
    if directory.has_tiles:
        piece_width, piece_height = directory.value(TILE_WIDTH), directory.value(TILE_HEIGHT)
        if piece_width % 16 or piece_height % 16 or not piece_width * piece_height:
            raise ValueError(f"its tiles have {piece_width} x {piece_height} pixels, expected multiples of 16")
        if piece_width * piece_height > width * height + SPARE_PIXELS:
            raise BadInput(
                f"the TIFF has tiles of {piece_width} x {piece_height} pixels, more than it shows: {SAVE_ANEW}"
            )
        tags = TILE_OFFSETS, TILE_BYTES
    else:
        piece_width, piece_height = width, min(directory.value(ROWS_PER_STRIP, height), height)
        tags = STRIP_OFFSETS, STRIP_BYTES
    columns, rows = math.ceil(width / piece_width), math.ceil(height / max(1, piece_height))
    offsets, sizes = map(directory.values, tags)
    if not len(offsets) == len(sizes) == columns * rows:
        raise ValueError(f"its picture has {len(offsets):,} parts of {len(sizes):,} sizes, expected {columns * rows:,}")
    if (offsets + sizes).max() > len(directory.content):
        raise ValueError("the file breaks off before its picture ends")
    return Pieces(offsets, sizes, piece_width, piece_height, columns, rows)


def refuse_damaged_pieces(directory: TiffDirectory, pieces: Pieces) -> None:
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


def reduced_tiff(directory: TiffDirectory, changes: dict[int, int | None] | None = None) -> bytes:
    """Return the TIFF with a directory of what decides the picture alone.

    The tags of `changes` have these numbers; None leaves one out. The new directory stands at the end, so that all other bytes
    stay where they are.
    """
    content, order = directory.content, directory.order
    entries = {tag: entry for tag, entry in directory.entries.items() if tag in PICTURE}
    for tag, number in (changes or {}).items():
        entries[tag] = b"" if number is None else struct.pack(f"{order}HHII", tag, LONG, 1, number)
    table = [entries[tag] for tag in sorted(entries) if entries[tag]]
    start, count = struct.pack(f"{order}I", len(content)), struct.pack(f"{order}H", len(table))
    return b"".join((content[:4], start, content[8:], count, *table, bytes(4)))
