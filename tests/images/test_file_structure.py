"""File structure: segments and chunks show what a file costs to decode, before a decoder begins."""

import io
import math
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tasks.images import file_structure
from tasks.images.decoding import decode
from tasks.images.file_structure import (
    BYTES_A_PART,
    MAX_SCANS,
    PARTS,
    PNG_SIGNATURE,
    jpeg_segments,
    png_chunk,
    png_chunks,
    png_picture,
    refuse_costly_jpeg,
)
from tasks.settings.errors import BadInput

NOISE = np.random.default_rng(7).integers(0, 256, (40, 30), np.uint8)
SCAN = 0xDA


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def many_scans(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG that is valid, and in which each scan refines one bit of one coefficient of all blocks."""
    blocks = (side // 8) ** 2
    tables = segment(0xDB, bytes(1) + bytes([1] * 64)) + segment(0xC4, bytes([0, 1, *[0] * 15, 0]))
    runs = segment(0xC4, bytes([0x10, 0, 0, 0, 15, *[0] * 12, *(length << 4 for length in range(15))]))
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    first = [segment(SCAN, bytes([1, 1, 0, 0, 0, 13])) + bytes(blocks // 8)]
    length = (
        blocks.bit_length() - 1
    )  # of the run of blocks without anything: its code, its bits, ones to the end of the byte
    bits = f"{length:04b}{blocks - (1 << length):0{length}b}"
    run = int(bits.ljust(math.ceil(len(bits) / 8) * 8, "1"), 2).to_bytes(math.ceil(len(bits) / 8))
    others = [
        segment(SCAN, bytes([1, 1, 0, place, place, (bit + 1 if bit < 13 else 0) << 4 | bit])) + run
        for bit in range(13, -1, -1)
        for place in range(1, 64)
    ]
    return b"\xff\xd8" + tables + runs + frame + b"".join((first + others)[:scans]) + b"\xff\xd9"


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (30, 40), data: bytes | None = None) -> bytes:
    """The noise as a PNG; `chunks` stand behind the header."""
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in NOISE)) if data is None else data
    parts = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) for kind, part in parts)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"optimize": True}], ids=str
)
def test_what_an_encoder_writes_is_no_costly_jpeg(mode, options):
    refuse_costly_jpeg(jpeg(mode, **options))


def test_the_scans_of_a_progressive_jpeg_are_counted():
    content = jpeg(progressive=True)
    scans = [marker for marker, _ in jpeg_segments(content)].count(SCAN)
    assert scans == content.count(b"\xff\xda") == 10
    assert decode(many_scans(MAX_SCANS), ".jpeg", 40).reason == "", "what is counted here is a picture"
    refuse_costly_jpeg(many_scans(MAX_SCANS))
    with pytest.raises(BadInput, match=f"the JPEG has {MAX_SCANS + 1} scans, at most {MAX_SCANS} are read: open it"):
        refuse_costly_jpeg(many_scans(MAX_SCANS + 1))


@pytest.mark.parametrize("filling", [b"", b"\xff", b"\xff\xff\xff", b"\xff\x00\xff\xd3\x07"])
def test_what_lies_between_segments_hides_no_scan(filling):
    with pytest.raises(BadInput, match="has 100 scans"):
        refuse_costly_jpeg(many_scans(100).replace(b"\xff\xda", filling + b"\xff\xda"))


def test_scans_inside_a_comment_a_thumbnail_or_behind_the_end_do_not_count():
    noise = segment(0xFE, b"\xff\xda\0\x02" * 500)
    content = many_scans(5)
    refuse_costly_jpeg(content[:2] + noise + content[2:])
    refuse_costly_jpeg(content.replace(b"\xff\xda", noise + b"\xff\xda"))
    refuse_costly_jpeg(content + content[2:] * 100)  # as a burst of pictures, or a film, is appended


def test_a_picture_of_one_scan_is_not_walked_to_its_end():
    refuse_costly_jpeg(jpeg()[:-2] + b"\xff\xda\0\x02" * 1_000)
    assert decode(jpeg()[:-2] + many_scans(100)[2:], ".jpeg", 40).code == "undecodable", "nor read by the decoder"
    sequential = many_scans(100).replace(b"\xff\xc2", b"\xff\xc0").replace(b"\x08\0@\0@\x01", b"\x08\0@\0@\x02")
    with pytest.raises(BadInput, match="has 100 scans"):
        refuse_costly_jpeg(sequential)  # each holds one of two components


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xDB, 0xC4])
def test_segments_are_allowed_in_proportion_to_bytes(marker):
    content = jpeg()
    refuse_costly_jpeg(content[:2] + segment(marker, b"") * (PARTS - 20) + content[2:])
    refuse_costly_jpeg(content[:2] + segment(marker, bytes(BYTES_A_PART)) * 3 * PARTS + content[2:])
    with pytest.raises(BadInput, match="the JPEG has more than 1,0.. segments, the most for its bytes"):
        refuse_costly_jpeg(content[:2] + segment(marker, b"") * (PARTS + 200) + content[2:])


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xda\0", b"\xff" * 99]
)
def test_what_breaks_off_has_no_more_segments(content):
    refuse_costly_jpeg(content)
    assert len(list(jpeg_segments(content))) <= 1


def test_filling_and_restarts_are_stepped_over_and_not_one_by_one(monkeypatch):
    found = []
    monkeypatch.setattr(file_structure, "MARKER", CountingPattern(file_structure.MARKER, found))
    list(jpeg_segments(b"\xff\xd8" + b"\xff" * 10_000 + b"\xd0\0" + b"\xff\xd0" * 10_000 + b"\xff\xd9"))
    assert len(found) == 1


class CountingPattern:
    """A pattern that notes its searches."""

    def __init__(self, pattern, found):
        self.pattern, self.found = pattern, found

    def search(self, *asked):
        self.found.append(asked[1])
        return self.pattern.search(*asked)


def test_the_chunks_of_a_png_are_those_that_were_put_in():
    assert [(kind, bytes(data)) for kind, data in png_chunks(png((b"tEXt", b"a\0b")))][1::2] == [
        (b"tEXt", b"a\0b"),
        (b"IEND", b""),
    ]


def test_a_picture_is_the_same_without_all_that_is_none():
    many = [(b"tEXt", b"a\0b"), (b"iCCP", b"a\0\0" + zlib.compress(bytes(2**21))), (b"eXIf", b"MM"), (b"prIv", b"")]
    assert png_picture(png(*many)) == png_picture(png()) == png()
    assert np.array_equal(decode(png(*many), ".png", 40).pixels, NOISE)


def test_a_picture_may_be_cut_into_any_number_of_chunks():
    whole = zlib.compress(b"".join(b"\0" + row.tobytes() for row in NOISE))
    for size in (2, 7, len(whole)):
        parts = [(b"IDAT", whole[start : start + size]) for start in range(0, len(whole), size)]
        if len(parts) <= PARTS:
            assert png_picture(png(*parts, data=b"")) == png(data=whole)


def test_an_animation_is_read_as_its_first_picture():
    file = io.BytesIO()
    frames = [Image.fromarray(np.roll(NOISE, shift)) for shift in range(4)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(file.getvalue()))))) == 4
    assert np.array_equal(decode(file.getvalue(), ".png", 40).pixels, NOISE)


@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT", b"prIv", b"PLTE"])
def test_chunks_are_allowed_in_proportion_to_bytes(kind):
    png_picture(png(*[(kind, b"")] * (PARTS - 9)))
    with pytest.raises(BadInput, match="the PNG has more than 1,0.. chunks, the most for its bytes: open it"):
        png_picture(png(*[(kind, b"")] * (PARTS + 99)))
    large = b"a\0" + bytes(BYTES_A_PART)
    assert len(list(png_chunks(png(*[(b"tEXt", large)] * 2 * PARTS)))) == 2 * PARTS + 3


def test_data_is_allowed_in_proportion_to_pixels():
    empty = b"\0\0\0\xff\xff"  # a block of deflate without anything in it
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in NOISE))
    content = png(data=rows[:2] + empty * 50_000 + rows[2:])
    with pytest.raises(
        BadInput, match=r"the PNG has 251,\d+ bytes for 30 x 40 pixels, at most 84,736 are read: open it"
    ):
        png_picture(content)
    assert np.array_equal(decode(png(data=rows[:2] + empty * 9_000 + rows[2:]), ".png", 40).pixels, NOISE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PNG_SIGNATURE, "breaks off before its last chunk"),
        (png()[:45], "breaks off inside its chunk b'IDAT'"),
        (png()[:-12], "breaks off before its last chunk"),
        (png()[:-4] + b"nope", "b'IEND' has a wrong checksum"),
        (PNG_SIGNATURE + png()[33:], "does not begin with one header"),
        (PNG_SIGNATURE + png_chunk(b"IHDR", b"123") + png()[33:], "does not begin with one header of 13 bytes"),
        (png((b"IHDR", png()[16:29])), "does not begin with one header"),
        (png()[:33] + png_chunk(b"IEND", b""), "has no picture"),
        (PNG_SIGNATURE + png_chunk(b"IEND", b""), "does not begin with one header"),
    ],
    ids=[
        "nothing", "half", "no end", "half an end", "no header", "a short header", "two headers", "no picture", "an end alone",
    ],
)  # fmt: skip
def test_a_broken_png_is_told_apart(content, reason):
    with pytest.raises(ValueError, match=reason):
        png_picture(content)
