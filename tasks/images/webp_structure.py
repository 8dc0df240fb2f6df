"""WebP structure: walk the chunks of a WebP file, and reduce it to its picture, so that a costly file is refused before decoding."""

import struct
from collections.abc import Iterator

from tasks.images.file_structure import SAVE_ANEW, parts_allowed
from tasks.settings.errors import BadInput

HEAD = struct.Struct("<4sI")  # of a chunk: kind, length
START = 12  # bytes before the first chunk: RIFF, length, WEBP
LOSSY, LOSSLESS = b"VP8 ", b"VP8L"
KEY_FRAME, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
SIDE = 0x3FFF  # the bits of a side


def webp_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and data of each chunk. Raises ValueError where the file breaks off, and BadInput where there are too many chunks."""
    view, position, most = memoryview(content), START, parts_allowed(content)
    end = HEAD.size + HEAD.unpack_from(content)[1]
    if end > len(content):
        raise ValueError(f"the file breaks off: it has {len(content):,} of {end:,} bytes")
    for _ in range(most):
        if position == end:
            return
        if position + HEAD.size > end:
            raise ValueError("the file breaks off inside a chunk")
        kind, length = HEAD.unpack_from(content, position)
        data = position + HEAD.size
        position = data + length + length % 2
        if position > end:
            raise ValueError(f"the file breaks off inside its chunk {kind!r}")
        yield kind, view[data : data + length]
    raise BadInput(f"the WebP has more than {most:,} chunks, the most for its bytes: {SAVE_ANEW}")


def webp_picture(content: bytes) -> tuple[bytes, int, int]:
    """Return the WebP reduced to its picture, without transparency and texts; and its width and height.

    Raises ValueError where it is broken, and BadInput where it is an animation.
    """
    chunks = dict(reversed(list(webp_chunks(content))))  # the first of a kind
    if not chunks.keys().isdisjoint((b"ANIM", b"ANMF")):
        raise BadInput("the WebP is an animation, one picture is read: save the picture that shows the part")
    kind = next((kind for kind in (LOSSY, LOSSLESS) if kind in chunks), None)
    if kind is None:
        raise ValueError("the file has no picture (no chunk VP8 or VP8L)")
    data = bytes(chunks[kind])
    width, height = lossy_size(data) if kind == LOSSY else lossless_size(data)
    padded = HEAD.pack(kind, len(data)) + data + bytes(len(data) % 2)
    return HEAD.pack(b"RIFF", 4 + len(padded)) + b"WEBP" + padded, width, height


def lossy_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the header of a VP8 key frame (RFC 6386, section 9.1)."""
    if len(data) < 10 or data[3:6] != KEY_FRAME:
        raise ValueError("its picture does not begin like a key frame of VP8")
    width, height = struct.unpack_from("<HH", data, 6)
    return width & SIDE, height & SIDE


def lossless_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the header of a VP8L picture (RFC 9649, section 3.4)."""
    if len(data) < 5 or data[0] != LOSSLESS_START:
        raise ValueError("its picture does not begin like one of VP8L")
    (bits,) = struct.unpack_from("<I", data, 1)
    return (bits & SIDE) + 1, (bits >> 14 & SIDE) + 1
