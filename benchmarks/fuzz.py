"""Does a damaged or hostile image file ever cost more than its own refusal?

python benchmarks/fuzz.py --files 100000 --json fuzz.json

Valid files of each format that is read are drawn, damaged at random, and looked at as validation and prediction do. Exits
with 1 for any exception that is no refusal, and for any file that takes too long.
"""

import argparse
import io
import random
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
from PIL import Image

from benchmarks.fuzz_files import (
    cut_bmp,
    cut_tiff,
    cut_webp,
    draw_bmps,
    draw_tiffs,
    draw_webps,
    mend_webp,
    mend_webp_chunk,
    resize_bmp,
    resize_tiff,
    resize_webp,
)
from benchmarks.preparation import write_figures
from tasks.images.decoding import decode, orientation
from tasks.images.file_structure import PNG_SIGNATURE, SEGMENT, jpeg_segments, png_chunk, png_chunks
from tasks.images.loading import MAX_MEGAPIXELS, Unreadable, decode_content
from tasks.images.statistics import QUARTER
from tasks.images.tiff_structure import DEFLATE, LZW, NONE, PACKBITS

SIZE = 61, 45  # pixels of a drawn picture: no multiple of a block
SHOWN = 10  # failures that are listed
SIDES = (0, 1, 2, 7, 8, 9, 44, 46, 60, 62, 300, 1_000, 65_500, 65_535)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced PNG: first column and row, steps across and down (W3C PNG, section 8.2)."""
CHANNELS = {"gray": (0, 1), "color": (2, 3), "palette": (3, 1), "gray alpha": (4, 2), "color alpha": (6, 4)}
"""Of a PNG: the number of the color type, and the samples of a pixel."""
COMPRESSIONS = {"uncompressed": NONE, "LZW": LZW, "deflate": DEFLATE[0], "PackBits": PACKBITS}  # of a TIFF
DEPTHS = {"gray": (1, 2, 4, 8, 16), "palette": (1, 2, 4, 8)}  # of the others 8 and 16

Random = random.Random


class FuzzTarget(NamedTuple):
    """A format to fuzz: files of one kind, and how to take them to pieces."""

    name: str
    suffix: str
    files: tuple[bytes, ...]
    """Valid ones."""
    cut: Callable[[bytes], list[bytes]]
    """A valid file into its segments or chunks, what stands before them first."""
    mend: Callable[[bytes], bytes]
    """Puts right the checksums of a piece, so that a decoder goes on to what is wrong inside."""
    resize: Callable[[bytes, Random], bytes]
    """A valid file whose header declares another picture."""
    mend_whole: Callable[[bytes], bytes] = bytes
    """Puts right what a file says of its whole, after pieces were changed."""


class FuzzResult(NamedTuple):
    """The counts of the files of one format."""

    files: int
    accepted: int
    refused: int
    exceptions: int
    too_slow: int
    slowest_seconds: float
    """Processor time of one file, looked at twice."""
    failures: tuple[str, ...]
    """Number of the file and what happened, of the first."""


def main() -> int:
    """Look at damaged files of each format, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="damaged files of each format")
    parser.add_argument("--seed", type=int, default=0, help="draws other damage")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time that a file may take")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    figures = {}
    print(f"{'format':<28}{'files':>9}{'accepted':>10}{'refused':>9}{'exceptions':>12}{'too slow':>10}{'slowest':>10}")
    for target in fuzz_targets():
        figures[target.name] = row = fuzz(target, options.files, options.seed, options.seconds)
        counts = f"{row.files:>9,}{row.accepted:>10,}{row.refused:>9,}{row.exceptions:>12,}{row.too_slow:>10,}"
        print(f"{target.name:<28}{counts}{row.slowest_seconds:>8.3f} s", *row.failures, sep="\n  ", flush=True)
        write_figures({name: row._asdict() for name, row in figures.items()}, options.json)
    return int(any(row.exceptions or row.too_slow for row in figures.values()))


def fuzz(target: FuzzTarget, files: int, seed: int, seconds: float) -> FuzzResult:
    """Look at so many damaged files. The same seed gives the same files."""
    accepted, slowest, failures, too_slow = 0, 0.0, [], 0
    for number in range(files):
        content = damage_file(target, Random(f"{seed} {target.name} {number}"))
        began = time.thread_time()
        try:
            accepted += is_accepted(content, target.suffix)
        except Exception as error:
            failures.append(f"{number}: {type(error).__name__}: {error}")
        seconds_taken = time.thread_time() - began
        slowest, too_slow = max(slowest, seconds_taken), too_slow + (seconds_taken > seconds)
    refused = files - accepted - len(failures)
    return FuzzResult(files, accepted, refused, len(failures), too_slow, round(slowest, 3), tuple(failures[:SHOWN]))


def is_accepted(content: bytes, suffix: str) -> bool:
    """Look at a file as validation and as prediction do, and return whether they accept it.

    Raises whatever they raise, and ValueError where they differ or give no plain reason.
    """
    decoded = decode(content, suffix, MAX_MEGAPIXELS, QUARTER)
    if not decoded.code:
        orientation(content)
    refused = isinstance(decode_content(content, suffix, "raw", 75), Unreadable)
    if refused != bool(decoded.code):
        raise ValueError("validation and prediction differ")
    if refused and not (decoded.reason and decoded.reason.isprintable()):
        raise ValueError(f"no plain reason: {decoded.reason!r}")
    return not refused


def damage_file(target: FuzzTarget, rng: Random) -> bytes:
    """Return a valid file after one to three kinds of damage."""
    content = rng.choice(target.files)
    if rng.random() < 0.2:
        content = target.resize(content, rng)
    if rng.random() < 0.5:
        content = target.mend_whole(b"".join(edit_pieces(target.cut(content), target, rng)))
    for damage in rng.sample(DAMAGES, rng.choice((0, 0, 1, 1, 2))):
        content = damage(content, target, rng)
    return content


def edit_pieces(pieces: list[bytes], target: FuzzTarget, rng: Random) -> list[bytes]:
    """Leave out, repeat, move or change one of the segments or chunks, or insert one of another file."""
    position, destination = rng.randrange(len(pieces)), rng.randrange(len(pieces))
    piece = pieces.pop(position)
    kind = rng.randrange(5)
    if kind == 1:
        return [*pieces[:position], *[piece] * rng.choice((2, 3, 300)), *pieces[position:]]
    if kind == 2:
        return [*pieces[:destination], piece, *pieces[destination:]]
    if kind == 3:
        return [*pieces[:position], piece, rng.choice(target.cut(rng.choice(target.files))), *pieces[position:]]
    if kind == 4:
        changed = target.mend(rng.choice((flip_bits, truncate, overwrite))(piece, target, rng))
        return [*pieces[:position], changed, *pieces[position:]]
    return pieces


def flip_bits(content: bytes, target: FuzzTarget, rng: Random) -> bytes:
    """Flip up to 64 bits."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(content: bytes, target: FuzzTarget, rng: Random) -> bytes:
    """Cut off the end."""
    return content[: rng.randrange(len(content) + 1)]


def overwrite(content: bytes, target: FuzzTarget, rng: Random) -> bytes:
    """Set a part to zeros, or to ones."""
    start, stop = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + bytes([rng.choice((0, 0, 255))]) * (stop - start) + content[stop:]


def splice(content: bytes, target: FuzzTarget, rng: Random) -> bytes:
    """Put a part of another file in the place of a part of this one."""
    donor = rng.choice(target.files)
    start, stop = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    first, last = sorted(rng.randrange(len(donor) + 1) for _ in range(2))
    return content[:start] + donor[first:last] + content[stop:]


DAMAGES = (flip_bits, truncate, overwrite, splice)


def fuzz_targets() -> Iterator[FuzzTarget]:
    """Yield each format that is read, with drawn files."""
    for name, progressive in (("JPEG baseline", False), ("JPEG progressive", True)):
        files = tuple(draw_jpegs(progressive))
        yield FuzzTarget(name, ".jpeg", files, cut_jpeg, bytes, resize_jpeg)
    for color in CHANNELS:
        for depth in DEPTHS.get(color, (8, 16)):
            files = tuple(draw_png(color, depth, interlaced) for interlaced in (False, True))
            yield FuzzTarget(f"PNG {color}, {depth} bits", ".png", files, cut_png, mend_chunk, resize_png)
    yield FuzzTarget("BMP", ".bmp", tuple(draw_bmps(draw_picture())), cut_bmp, bytes, resize_bmp)
    for name, compression in COMPRESSIONS.items():
        files = tuple(draw_tiffs(draw_picture(), compression))
        yield FuzzTarget(f"TIFF {name}", ".tiff", files, cut_tiff, bytes, resize_tiff)
    files = tuple(draw_webps(draw_picture()))
    yield FuzzTarget("WebP", ".webp", files, cut_webp, mend_webp_chunk, resize_webp, mend_webp)


def draw_jpegs(progressive: bool) -> Iterator[bytes]:
    """Yield JPEGs in gray and in color, with and without subsampling, restarts and Exif."""
    exif = Image.Exif()
    exif[0x0112] = 6
    restarts: Sequence[dict[str, object]] = ({}, {"restart_marker_blocks": 4, "exif": exif})
    for mode, sampling, options in product(("L", "RGB"), (0, 2), restarts):
        file = io.BytesIO()
        Image.fromarray(draw_picture()).convert(mode).save(
            file, "JPEG", quality=80, progressive=progressive, subsampling=sampling, **options
        )
        yield file.getvalue()


def draw_picture() -> np.ndarray:
    """Return uint8 (height, width): a slope, noise, and a dark spot."""
    y, x = np.indices(SIZE[::-1])
    levels = 60 + 2 * x + np.random.default_rng(0).normal(0, 9, x.shape)
    return np.where(np.hypot(y - 20, x - 30) < 9, 20, levels).clip(0, 255).astype(np.uint8)


def draw_png(color: str, depth: int, interlaced: bool) -> bytes:
    """Return a PNG with texts and Exif, written by hand: Pillow writes few depths, and no interlaced one."""
    number, samples = CHANNELS[color]
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(
        bytes([line % 5]) + pack_row(levels, samples, depth)
        for left, top, across, down in passes
        for line, levels in enumerate(draw_picture()[top::down, left::across])
    )
    palette = [(b"PLTE", bytes(range(256)) * 3), (b"tRNS", bytes(256))] if color == "palette" else []
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    header = struct.pack(">IIBBBBB", *SIZE, depth, number, 0, 0, interlaced)
    texts = [(b"zTXt", b"a\0\0" + zlib.compress(b"text" * 99)), (b"iCCP", b"b\0\0" + zlib.compress(bytes(999)))]
    packet = zlib.compress(rows)
    data = [(b"IDAT", packet[:99]), (b"IDAT", b""), (b"IDAT", packet[99:])]
    chunks = [(b"IHDR", header), *palette, *texts, (b"eXIf", exif), *data, (b"tEXt", b"c\0text"), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) for kind, part in chunks)


def pack_row(levels: np.ndarray, samples: int, depth: int) -> bytes:
    """Return the bytes of a row of gray levels uint8 (width,), each as so many samples of `depth` bits."""
    values = np.repeat(levels, samples)
    if depth == 16:
        return (values.astype(np.uint16) * 257).astype(">u2").tobytes()
    bits = np.unpackbits(values[:, None], axis=1)[:, :depth]
    return np.packbits(bits).tobytes()


def cut_jpeg(content: bytes) -> list[bytes]:
    """Return what stands before the segments, and the segments."""
    return cut_at(content, [body - SEGMENT.size for _, body in jpeg_segments(content)])


def cut_png(content: bytes) -> list[bytes]:
    """Return the signature and the chunks."""
    chunks = [png_chunk(kind, data) for kind, data in png_chunks(content)]
    return [PNG_SIGNATURE, *chunks]


def cut_at(content: bytes, positions: list[int]) -> list[bytes]:
    """Return the pieces between these positions."""
    return [content[start:stop] for start, stop in zip([0, *positions], [*positions, len(content)], strict=True)]


def mend_chunk(piece: bytes) -> bytes:
    """Return a chunk with the right checksum; a piece that is too short for one as it is."""
    return png_chunk(piece[4:8], piece[8:-4]) if len(piece) >= 12 else piece


def resize_jpeg(content: bytes, rng: Random) -> bytes:
    """Change height, width, precision, components or sampling of the frame, or the interval of restarts."""
    frame = next(body for marker, body in jpeg_segments(content) if 0xC0 <= marker <= 0xC2)
    changed = bytearray(content)
    if rng.random() < 0.5:
        struct.pack_into(">HH", changed, frame + 1, rng.choice(SIDES), rng.choice(SIDES))
    else:
        changed[frame + rng.choice((-3, 0, 5, 6, 7, 8))] = rng.choice((0, 1, 2, 3, 4, 8, 12, 0x11, 0x14, 0x41, 0x44))
    return bytes(changed)


def resize_png(content: bytes, rng: Random) -> bytes:
    """Change width, height, depth, color type or another number of the header, with a true checksum."""
    signature, header, *rest = cut_png(content)
    changed = bytearray(header[8:-4])
    if rng.random() < 0.5:
        struct.pack_into(">II", changed, 0, rng.choice((*SIDES, 2**31 - 1)), rng.choice((*SIDES, 2**32 - 1)))
    else:
        changed[8 + rng.randrange(5)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return signature + png_chunk(b"IHDR", bytes(changed)) + b"".join(rest)


if __name__ == "__main__":
    sys.exit(main())
