"""File structure: walk the segments of a JPEG and the chunks of a PNG without decoding, so that a costly file is refused first."""

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import takewhile

from tasks.settings.errors import BadInput

MAX_SCANS = 64  # each is another pass over the picture; encoders write some ten
PARTS, BYTES_A_PART = 1_000, 256  # segments or chunks that any file may have; one more for each so many bytes
BYTES_A_PIXEL, SPARE_BYTES = 16, 2**16  # of a PNG's compressed data; the deepest picture has 8 bytes a pixel
SEGMENT = struct.Struct(">BBH")  # of a JPEG: 255, marker, length
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # of a segment
BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD8), 0xFF})  # what else follows 255: a stuffed byte, a restart, filling
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the markers SOF of a JPEG
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
SCAN, END = 0xDA, 0xD9
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD, HEADER = struct.Struct(">I4s"), struct.Struct(">II5s")  # of a chunk; of a picture: width, height and the rest
SAVE_ANEW = "open it in an image editor and save it anew"


def refuse_costly_jpeg(content: bytes) -> None:
    """Raise BadInput for a JPEG with so many scans or segments that they are most of the work.

    The walk ends at the first scan of a sequential file if that holds all components: libjpeg reads no other scan
    (ITU-T T.81, annex B; `has_multiple_scans` in jdinput.c).
    """
    most = parts_allowed(content)
    frame, scans, sequential = 0, 0, False
    for number, (marker, body) in enumerate(jpeg_segments(content)):
        if number >= most:
            raise BadInput(f"the JPEG has more than {most:,} segments, the most for its bytes: {SAVE_ANEW}")
        if marker in FRAMES:
            frame, sequential = body, marker not in PROGRESSIVE
        elif marker == SCAN:
            scans += 1
            if sequential and content[body : body + 1] == content[frame + 5 : frame + 6]:  # components
                return
    if scans > MAX_SCANS:
        raise BadInput(f"the JPEG has {scans:,} scans, at most {MAX_SCANS} are read: {SAVE_ANEW}")


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment of a JPEG and the position of its body, in the steps of libjpeg."""
    position, last = 2, len(content) - SEGMENT.size
    while position <= last:
        first, marker, length = SEGMENT.unpack_from(content, position)
        if first != 0xFF or marker in BARE:  # the codes of a scan, or filling
            if not (next_marker := MARKER.search(content, position)):
                return
            position = next_marker.start()
        elif marker == END:
            return
        else:
            yield marker, position + SEGMENT.size
            position += 2 + max(2, length)


def parts_allowed(content: bytes) -> int:
    """Return the most segments or chunks that a file of this length may have."""
    return PARTS + len(content) // BYTES_A_PART


def png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and data of each chunk of a PNG, including the last one (IEND).

    Raises ValueError where a checksum is wrong or the end is missing, and BadInput where there are too many chunks.
    """
    view, position, most = memoryview(content), len(PNG_SIGNATURE), parts_allowed(content)
    for _ in range(most):
        if position + HEAD.size > len(view):
            raise ValueError("the file breaks off before its last chunk")
        length, kind = HEAD.unpack_from(view, position)
        data, end = position + HEAD.size, position + HEAD.size + length
        if end + 4 > len(view):
            raise ValueError(f"the file breaks off inside its chunk {kind!r}")
        if zlib.crc32(view[data - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ValueError(f"its chunk {kind!r} has a wrong checksum")
        yield kind, view[data:end]
        if kind == b"IEND":
            return
        position = end + 4
    raise BadInput(f"the PNG has more than {most:,} chunks, the most for its bytes: {SAVE_ANEW}")


def png_picture(content: bytes) -> bytes:
    """Return the PNG reduced to header, palette and picture. The other chunks cost time and memory and change no gray level.

    Raises ValueError where it is broken or has no picture, and BadInput where its data is larger than its pixels explain.
    """
    chunks = list(png_chunks(content))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or len(chunks[0][1]) != HEADER.size:
        raise ValueError("the file does not begin with one header of 13 bytes (IHDR)")
    if b"IDAT" not in kinds:
        raise ValueError("the file has no picture (no chunk IDAT)")
    first = kinds.index(b"IDAT")
    data = b"".join(part for _, part in takewhile(lambda chunk: chunk[0] == b"IDAT", chunks[first:]))
    width, height, _ = HEADER.unpack(chunks[0][1])
    most = BYTES_A_PIXEL * width * height + SPARE_BYTES
    if len(data) > most:
        raise BadInput(
            f"the PNG has {len(data):,} bytes for {width} x {height} pixels, at most {most:,} are read: {SAVE_ANEW}"
        )
    palettes = [(kind, part) for kind, part in chunks[:first] if kind == b"PLTE"]
    picture = [chunks[0], *palettes[-1:], (b"IDAT", memoryview(data)), (b"IEND", memoryview(b""))]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) for kind, part in picture)


def png_chunk(kind: bytes, data: bytes | memoryview) -> bytes:
    """Return the bytes of a chunk of a PNG, with its length and checksum."""
    return b"".join((HEAD.pack(len(data), kind), data, zlib.crc32(data, zlib.crc32(kind)).to_bytes(4)))
