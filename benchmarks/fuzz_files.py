"""Fuzz files: write small BMP, TIFF and WebP files, also in ways that Pillow does not write, and take them to pieces."""

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Literal

import numpy as np
from PIL import Image

from tasks.images.tiff_structure import DEFLATE, LONG, LZW, NONE, PACKBITS, RGB, Tag
from tasks.images.webp_structure import HEAD, START, webp_chunks

Order = Literal["<", ">"]  # of bytes, as `struct` writes it
CLEAR, LAST = 256, 257  # codes of LZW
ODD_NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32, 63, 300, 65_500, 65_535, 2**24, 2**31 - 1, 2**32 - 1)
BMP_FIELDS = {10: "I", 14: "I", 18: "i", 22: "i", 26: "H", 28: "H", 30: "I", 34: "I", 46: "I"}  # by position
EXIF = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, Tag.Orientation, 3, 1, 6, 0, 0)  # a quarter turn


def save_image(image: Image.Image, form: str, **options: object) -> bytes:
    """Return an image as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def draw_bmps(levels: np.ndarray) -> Iterator[bytes]:
    """Yield BMPs of gray levels uint8 (height, width) in all depths that Pillow writes, and one from top to bottom."""
    picture = Image.fromarray(levels)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield save_image(picture.convert("RGB").convert(mode), "BMP")
    upside_down = bytearray(save_image(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "BMP"))
    struct.pack_into("<i", upside_down, 22, -picture.height)
    yield bytes(upside_down)


def draw_webps(levels: np.ndarray) -> Iterator[bytes]:
    """Yield lossy and lossless WebP files, with and without transparency and Exif."""
    for mode, lossless, exif in product(("RGB", "RGBA"), (False, True), (b"", EXIF)):
        picture = Image.fromarray(np.repeat(levels[..., None], len(mode), axis=2))
        yield save_image(picture, "WEBP", lossless=lossless, quality=80, exif=exif, method=0)


def draw_tiffs(levels: np.ndarray, compression: int) -> Iterator[bytes]:
    """Yield TIFFs of gray levels uint8 (height, width) in gray and color, 8 and 16 bits, strips and tiles, and both orders of bytes."""
    predictors = (1, 2) if compression in (LZW, *DEFLATE) else (1,)
    for depth, channels, tile, predictor in product((8, 16), (1, 3, 4), (0, 32), predictors):
        samples = np.repeat(levels[..., None], channels, axis=2)
        samples = samples if depth == 8 else samples.astype(np.uint16) * 257
        order: Order = "<" if tile else ">"
        yield write_tiff(samples, order, compression, predictor=predictor, tile=tile, tags={Tag.Orientation: [6]})
    for mode in ("1", "P"):
        yield save_image(Image.fromarray(levels).convert(mode), "TIFF")


def write_tiff(
    samples: np.ndarray,
    order: Order = "<",
    compression: int = NONE,
    *,
    predictor: int = 1,
    tile: int = 0,
    tags: dict[int, list[int]] | None = None,
) -> bytes:
    """Return a TIFF of samples, uint8 or uint16 (height, width, channels), in strips of 16 rows or in square tiles.

    The directory stands behind the picture. `tags` are added to it, or replace its own.
    """
    height, width, channels = samples.shape
    pieces = [pack(data, compression) for data in cut_samples(samples, order, predictor, tile)]
    offsets = [8 + sum(map(len, pieces[:number])) for number in range(len(pieces))]
    sizes = [len(piece) for piece in pieces]
    own = {
        Tag.ImageWidth: [width], Tag.ImageLength: [height], Tag.BitsPerSample: [8 * samples.itemsize] * channels,
        Tag.Compression: [compression], Tag.PhotometricInterpretation: [RGB if channels > 2 else 1],
        Tag.SamplesPerPixel: [channels], Tag.Predictor: [predictor],
    }  # fmt: skip
    own |= {Tag.ExtraSamples: [0]} if channels in (2, 4) else {}
    strips = {Tag.StripOffsets: offsets, Tag.RowsPerStrip: [16], Tag.StripByteCounts: sizes}
    tiles = {Tag.TileWidth: [tile], Tag.TileLength: [tile], Tag.TileOffsets: offsets, Tag.TileByteCounts: sizes}
    start = 8 + sum(sizes)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + b"".join(pieces) + write_directory(own | (tiles if tile else strips) | (tags or {}), order, start)


def cut_samples(samples: np.ndarray, order: Order, predictor: int, tile: int) -> Iterator[bytes]:
    """Yield the bytes of each strip of 16 rows, or of each tile, which is padded."""
    height, width, _ = samples.shape
    for top, left in product(range(0, height, tile or 16), range(0, width, tile or width)):
        piece = samples[top : top + (tile or 16), left : left + (tile or width)]
        if tile:
            piece = np.pad(piece, [(0, tile - piece.shape[0]), (0, tile - piece.shape[1]), (0, 0)])
        if predictor == 2:
            piece = np.diff(piece, axis=1, prepend=np.zeros_like(piece[:, :1]))
        yield piece.astype(piece.dtype.newbyteorder(order)).tobytes()


def write_directory(tags: dict[int, list[int]], order: str, start: int) -> bytes:
    """Return a directory of whole numbers that lies at `start`, and behind it the numbers that do not fit into it."""
    values, entries = b"", b""
    behind = start + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        entries += struct.pack(f"{order}HHI", tag, LONG, len(numbers))
        entries += data if len(data) == 4 else struct.pack(f"{order}I", behind + len(values))
        values += data if len(data) > 4 else b""
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values


def pack(data: bytes, compression: int) -> bytes:
    """Return the bytes of a strip or a tile as stored. LZW and PackBits write all bytes as they are, which is valid."""
    if compression in DEFLATE:
        return zlib.compress(data)
    if compression == PACKBITS:
        parts = [data[start : start + 128] for start in range(0, len(data), 128)]
        return b"".join(bytes([len(part) - 1]) + part for part in parts)
    if compression == LZW:  # of 9 bits, since the table never grows beyond 512
        codes = [code for start in range(0, len(data), 200) for code in (CLEAR, *data[start : start + 200])]
        bits = "".join(f"{code:09b}" for code in (*codes, LAST))
        return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8))
    return data


def cut_bmp(content: bytes) -> list[bytes]:
    """Return the two headers, the palette, and eight parts of the picture."""
    (start,) = struct.unpack_from("<I", content, 10)
    places = [14, 54, *np.linspace(start, len(content), 9).astype(int)[:-1].tolist()]
    return [content[first:last] for first, last in zip([0, *places], [*places, len(content)], strict=True)]


def cut_tiff(content: bytes) -> list[bytes]:
    """Return the header, eight parts of the picture, and the entries of the directory."""
    order = "<" if content.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    entries = [start + 2 + 12 * number for number in range(count)]
    places = sorted({8, *np.linspace(8, start, 9).astype(int).tolist(), *entries})
    return [content[first:last] for first, last in zip([0, *places], [*places, len(content)], strict=True)]


def cut_webp(content: bytes) -> list[bytes]:
    """Return the start and the chunks."""
    chunks = [HEAD.pack(kind, len(data)) + data + bytes(len(data) % 2) for kind, data in webp_chunks(content)]
    return [content[:START], *chunks]


def mend_webp_chunk(piece: bytes) -> bytes:
    """Return a chunk with the right length; a piece that is too short for one as it is."""
    if len(piece) < HEAD.size:
        return piece
    (kind, length), data = HEAD.unpack_from(piece), piece[HEAD.size :]
    if length + length % 2 == len(data):
        return piece
    return HEAD.pack(kind, len(data)) + data + bytes(len(data) % 2)


def mend_webp(content: bytes) -> bytes:
    """Return a WebP with the right length in its start."""
    return content[:4] + struct.pack("<I", len(content) - HEAD.size) + content[HEAD.size :]


def resize_bmp(content: bytes, rng: Random) -> bytes:
    """Change a number of the headers."""
    changed = bytearray(content)
    position, kind = rng.choice(sorted(BMP_FIELDS.items()))
    struct.pack_into(f"<{kind.upper()}", changed, position, rng.choice(ODD_NUMBERS) % (2**16 if kind == "H" else 2**32))
    return bytes(changed)


def resize_tiff(content: bytes, rng: Random) -> bytes:
    """Change the type, the count or the number of a tag."""
    order = "<" if content.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    changed, entry = bytearray(content), start + 2 + 12 * rng.randrange(count)
    if rng.random() < 0.2:
        struct.pack_into(f"{order}H", changed, entry + 2, rng.randrange(15))
    else:
        struct.pack_into(f"{order}I", changed, entry + rng.choice((4, 8, 8, 8)), rng.choice(ODD_NUMBERS))
    return bytes(changed)


def resize_webp(content: bytes, rng: Random) -> bytes:
    """Change a byte at the start of the first chunk, which holds sides, features and partitions."""
    changed = bytearray(content)
    changed[rng.randrange(START + HEAD.size, START + HEAD.size + 14)] = rng.choice((0, 1, 2, 16, 47, 63, 127, 255))
    return bytes(changed)
