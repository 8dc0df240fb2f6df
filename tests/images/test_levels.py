"""Levels: what is special to a BMP. The other formats are tested where they are taken to pieces, and all in `test_decoding`."""

import struct

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz_files import save_image
from tasks.images.decoding import decode

NOISE = np.random.default_rng(7).integers(0, 256, (45, 61), np.uint8)
BMP = save_image(Image.fromarray(NOISE), "BMP")
SIDES, BITS, COMPRESSION = 18, 28, 30  # positions in a BMP


def changed(position: int, kind: str, *numbers: int) -> bytes:
    content = bytearray(BMP)
    struct.pack_into(f"<{kind}", content, position, *numbers)
    return bytes(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_every_depth_of_a_bmp_gives_its_levels(mode):
    picture = Image.fromarray(NOISE).convert(mode)
    assert np.array_equal(decode(save_image(picture, "BMP"), ".bmp", 40).pixels, np.asarray(picture.convert("L")))


def test_a_bmp_may_begin_with_its_first_row():
    upside_down = decode(changed(SIDES, "ii", 61, -45), ".bmp", 40)
    assert np.array_equal(upside_down.pixels, NOISE[::-1])


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (changed(SIDES, "ii", 2**31 - 1, 1), "side", "2147483647 x 1 pixels, at most 65,500"),
        (changed(SIDES, "ii", 60_000, 60_000), "megapixels", "60000 x 60000 pixels, at most 40 megapixels"),
        (changed(SIDES, "ii", 0, 45), "undecodable", "its header is not one of a BMP file"),
        (changed(SIDES, "ii", 61, 46), "undecodable", "the file breaks off: it has 3,958 of 4,022 bytes"),
        (changed(10, "I", 2**31), "undecodable", "the file breaks off"),
        (changed(COMPRESSION, "I", 1), "mode", "its picture is run-length coded (RLE), expected"),
        (changed(COMPRESSION, "I", 4), "undecodable", "Unsupported BMP compression"),
        (changed(BITS, "H", 9), "undecodable", "Unsupported BMP pixel depth"),
        (BMP[:30], "undecodable", "Truncated"),
        (b"BMW is a car", "undecodable", "its header is not one of a BMP file"),
    ],
    ids=[
        "an endless row", "over the cap", "no column", "a row too many", "far off", "RLE", "JPEG inside", "9 bits", "half a header",
        "a text",
    ],
)  # fmt: skip
def test_a_bmp_that_is_broken_or_costly_is_refused_before_it_is_decoded(monkeypatch, content, code, reason):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was decoded"))
    decoded = decode(content, ".bmp", 40)
    assert decoded.code == code
    assert reason in decoded.reason
