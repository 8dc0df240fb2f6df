"""TIFF structure: read the directory of a TIFF, check what it announces, and reduce it to what a decoder needs."""

import struct
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tasks.images.file_structure import SAVE_ANEW
from tasks.settings.errors import BadInput


class Tag(IntEnum):
    """The tags that decide a picture, by their names and numbers in TIFF 6.0."""

    ImageWidth = 256
    ImageLength = 257
    BitsPerSample = 258
    Compression = 259
    PhotometricInterpretation = 262
    FillOrder = 266
    StripOffsets = 273
    Orientation = 274
    SamplesPerPixel = 277
    RowsPerStrip = 278
    StripByteCounts = 279
    PlanarConfiguration = 284
    Predictor = 317
    ColorMap = 320
    TileWidth = 322
    TileLength = 323
    TileOffsets = 324
    TileByteCounts = 325
    ExtraSamples = 338
    SampleFormat = 339


STRIPS = frozenset({Tag.StripOffsets, Tag.RowsPerStrip, Tag.StripByteCounts})
TILES = frozenset({Tag.TileWidth, Tag.TileLength, Tag.TileOffsets, Tag.TileByteCounts})
PICTURE = frozenset(Tag) - {Tag.Orientation}
LISTS = frozenset({Tag.StripOffsets, Tag.StripByteCounts, Tag.TileOffsets, Tag.TileByteCounts})
MOST_NUMBERS = 768  # of a tag that is no list: a palette has three for each of 256 colors
NONE, LZW, DEFLATE, PACKBITS = 1, 5, (8, 32946), 32773
WHITE_IS_ZERO, RGB, PALETTE = 0, 2, 3
READABLE = {  # by tag: its value where it is missing, and the values that are read
    Tag.BitsPerSample: (1, (1, 2, 4, 8, 16)),
    Tag.Compression: (NONE, (NONE, LZW, *DEFLATE, PACKBITS)),
    Tag.PhotometricInterpretation: (WHITE_IS_ZERO, (WHITE_IS_ZERO, 1, RGB, PALETTE)),
    Tag.FillOrder: (1, (1,)),
    Tag.SamplesPerPixel: (1, (1, 2, 3, 4)),
    Tag.PlanarConfiguration: (1, (1,)),
    Tag.Predictor: (1, (1, 2)),
    Tag.SampleFormat: (1, (1,)),
}
EXPECTED = "gray or RGB, whole numbers of at most 16 bits, stored together, without compression or with LZW, deflate or PackBits"
INTEGERS = {1: "u1", 3: "u2", 4: "u4"}  # by the number of the type
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
LONG = 4


class TiffDirectory(NamedTuple):
    """The directory of the first page."""

    content: bytes
    order: str
    """Of bytes, as `struct` writes it."""
    entries: dict[int, bytes]
    """The 12 bytes of each tag."""
    has_more_pages: bool

    def values(self, tag: Tag, default: int | None = None) -> np.ndarray:
        """Return the whole numbers of a tag, int64. Raises ValueError where it is missing without a default, or holds others."""
        if tag not in self.entries and default is not None:
            return np.array([default])
        entry = self.entries.get(tag, bytes(12))
        kind, count = struct.unpack_from(f"{self.order}HI", entry, 2)
        if not count or kind not in INTEGERS:
            raise ValueError(f"its directory has no whole number for the tag {tag.name}")
        place = value_place(self.order, entry, TYPE_BYTES[kind] * count)
        start, source = (place, self.content) if place else (8, entry)
        return np.frombuffer(source, self.order + INTEGERS[kind], count, start).astype(np.int64)

    def value(self, tag: Tag, default: int | None = None) -> int:
        """Return the first number of a tag."""
        return int(self.values(tag, default)[0])

    @property
    def width(self) -> int:
        """Return the width in pixels."""
        return self.value(Tag.ImageWidth)

    @property
    def height(self) -> int:
        """Return the height in pixels."""
        return self.value(Tag.ImageLength)

    @property
    def samples(self) -> int:
        """Return the number of samples of a pixel."""
        return self.value(Tag.SamplesPerPixel, 1)

    @property
    def bits(self) -> int:
        """Return the bits of a sample."""
        return self.value(Tag.BitsPerSample, 1)

    @property
    def compression(self) -> int:
        """Return the number of the compression."""
        return self.value(Tag.Compression, NONE)

    @property
    def photometric(self) -> int:
        """Return the number that says what samples mean."""
        return self.value(Tag.PhotometricInterpretation, WHITE_IS_ZERO)

    @property
    def has_tiles(self) -> bool:
        """Return whether the picture is stored in tiles, not in strips."""
        return Tag.TileWidth in self.entries


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
        if tag in PICTURE - LISTS and number > MOST_NUMBERS:
            raise BadInput(f"the TIFF has {number:,} numbers for its tag {Tag(tag).name}: {SAVE_ANEW}")
        entries[tag] = entry
    return TiffDirectory(content, order, entries, content[end : end + 4] != bytes(4))


def unreadable_tag(directory: TiffDirectory) -> str:
    """Say which tag has a value that is not read; an empty text where there is none."""
    for tag, (default, readable) in READABLE.items():
        values = sorted(set(directory.values(tag, default).tolist()))
        if len(values) > 1 or values[0] not in readable:
            return f"its tag {tag.name} is {' and '.join(map(str, values[:4]))}, expected {EXPECTED}"
    if (directory.photometric == RGB) != (directory.samples > 2):
        return f"its tag SamplesPerPixel is {directory.samples}, which does not fit its colors, expected {EXPECTED}"
    return ""


def reduced_tiff(directory: TiffDirectory, changes: dict[Tag, int | None] | None = None) -> bytes:
    """Return the TIFF with a directory of what decides the picture alone.

    The tags of `changes` have these numbers; None leaves one out. The new directory stands at the end, so that all other bytes
    stay where they are.
    """
    content, order = directory.content, directory.order
    left_out = STRIPS if directory.has_tiles else TILES
    entries = {tag: entry for tag, entry in directory.entries.items() if tag in PICTURE - left_out}
    for tag, number in (changes or {}).items():
        entries[tag] = b"" if number is None else struct.pack(f"{order}HHII", tag, LONG, 1, number)
    table = [entries[tag] for tag in sorted(entries) if entries[tag]]
    start, count = struct.pack(f"{order}I", len(content)), struct.pack(f"{order}H", len(table))
    return b"".join((content[:4], start, content[8:], count, *table, bytes(4)))
