"""TIFF structure: every ordinary layout gives its levels, and a file that is broken, costly or of several pages is refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz_files import save_image, write_tiff
from tasks.images.decoding import decode, orientation
from tasks.images.tiff_structure import EXPECTED, LZW, NONE, PACKBITS, Tag, tiff_directory, unreadable_tag

NOISE = np.random.default_rng(7).integers(0, 256, (45, 61, 4), np.uint8)
COMPRESSIONS = {"none": NONE, "LZW": LZW, "deflate": 8, "old deflate": 32946, "PackBits": PACKBITS}
GRAY = NOISE[..., :1]


def levels_of(channels: int) -> np.ndarray:
    return NOISE[..., 0] if channels < 3 else np.asarray(Image.fromarray(NOISE[..., :3]).convert("L"))


@pytest.mark.parametrize("compression", COMPRESSIONS.values(), ids=COMPRESSIONS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [0, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("predictor", [1, 2])
def test_every_layout_gives_the_levels_that_were_put_in(compression, order, tile, channels, predictor):
    if predictor == 2 and compression in (NONE, PACKBITS):
        return  # which have none
    for samples in (NOISE[..., :channels], NOISE[..., :channels].astype(np.uint16) * 257):
        decoded = decode(write_tiff(samples, order, compression, predictor=predictor, tile=tile), ".tif", 40)
        assert decoded.reason == ""
        assert np.array_equal(decoded.pixels, levels_of(channels))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_what_pillow_writes_is_read(mode, compression):
    picture = Image.fromarray(NOISE[..., :3]).convert("L").convert(mode)
    decoded = decode(save_image(picture, "TIFF", compression=compression), ".tiff", 40)
    assert np.array_equal(decoded.pixels, np.asarray(picture.convert("L")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_zero_is_white_the_levels_are_turned(dtype):
    samples = GRAY.astype(dtype) * (257 if dtype == np.uint16 else 1)
    content = write_tiff(samples, tags={Tag.PhotometricInterpretation: [0]})
    assert np.array_equal(decode(content, ".tif", 40).pixels, 255 - GRAY[..., 0])


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({Tag.Compression: [7]}, "Compression is 7"),
        ({Tag.PhotometricInterpretation: [5]}, "PhotometricInterpretation is 5"),
        ({Tag.PhotometricInterpretation: [32803]}, "PhotometricInterpretation is 32803"),
        ({Tag.BitsPerSample: [32]}, "BitsPerSample is 32"),
        ({Tag.BitsPerSample: [8, 16]}, "BitsPerSample is 8 and 16"),
        ({Tag.SamplesPerPixel: [5]}, "SamplesPerPixel is 5"),
        ({Tag.Predictor: [3]}, "Predictor is 3"),
        ({266: [2]}, "FillOrder is 2"),
        ({284: [2]}, "PlanarConfiguration is 2"),
        ({Tag.PhotometricInterpretation: [2]}, "SamplesPerPixel is 1, which does not fit its colors"),
        ({Tag.SamplesPerPixel: [3]}, "SamplesPerPixel is 3, which does not fit its colors"),
        ({339: [3]}, "SampleFormat is 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_read_is_told_by_the_tag_that_says_so(tags, reason):
    content = write_tiff(GRAY, tags=tags)
    decoded = decode(content, ".tif", 40)
    assert decoded.code == "mode"
    assert decoded.reason == f"its tag {reason}, expected {EXPECTED}"
    assert unreadable_tag(tiff_directory(write_tiff(GRAY))) == ""


def test_several_pages_are_refused():
    content = save_image(Image.fromarray(GRAY[..., 0]), "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])
    decoded = decode(content, ".tif", 40)
    assert (decoded.code, decoded.reason) == (
        "pages", "the TIFF has several pages, one is read: save the page that shows the part",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "code", "reason"),
    [
        ({Tag.ImageWidth: [2**31]}, "side", "2147483648 x 45 pixels, at most 65,500 a side"),
        ({Tag.ImageWidth: [0]}, "side", "0 x 45 pixels, at least 1 a side"),
        ({Tag.ImageWidth: [60_000], Tag.ImageLength: [60_000]}, "megapixels", "60000 x 60000 pixels, at most 40 megapixels"),
        ({Tag.ImageWidth: [600]}, "undecodable", "breaks off in part 1, which has 976 of 9,600 bytes"),
        ({Tag.RowsPerStrip: [2**32 - 1]}, "undecodable", "has 3 parts of 3 sizes, expected 1"),
        ({Tag.RowsPerStrip: [0]}, "undecodable", "has 3 parts of 3 sizes, expected 45"),
        ({Tag.StripByteCounts: [976]}, "undecodable", "has 3 parts of 1 sizes, expected 3"),
        ({Tag.StripOffsets: [8, 99, 2**32 - 1]}, "undecodable", "breaks off before its picture ends"),
        ({Tag.TileWidth: [2**31], Tag.TileLength: [2**31]}, "costly", "tiles of 2147483648 x 2147483648 pixels, more than"),
        ({Tag.TileWidth: [1], Tag.TileLength: [1]}, "undecodable", "its tiles have 1 x 1 pixels, expected multiples of 16"),
        ({Tag.TileWidth: [0], Tag.TileLength: [16]}, "undecodable", "its tiles have 0 x 16 pixels"),
        ({Tag.TileWidth: [16]}, "undecodable", "no whole number for the tag TileLength"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_header_that_announces_too_much_is_refused_before_a_decoder_begins(monkeypatch, tags, code, reason):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was decoded"))
    decoded = decode(write_tiff(GRAY, tags=tags), ".tif", 40)
    assert decoded.code == code
    assert reason in decoded.reason


@pytest.mark.parametrize(
    "tag", [Tag.BitsPerSample, Tag.ImageWidth, Tag.ColorMap, Tag.Predictor], ids=lambda tag: tag.name
)
def test_a_tag_of_endless_numbers_is_refused_before_they_are_read(monkeypatch, tag):
    monkeypatch.setattr(np, "frombuffer", lambda *_: pytest.fail("it was read"))
    decoded = decode(write_tiff(GRAY, tags={tag: [8] * 100_000}), ".tif", 40)
    assert decoded.code == "costly"
    assert decoded.reason.startswith(f"the TIFF has 100,000 numbers for its tag {tag.name}: open it")


def test_strips_beside_tiles_are_not_read():
    content = write_tiff(GRAY, tile=32, tags={Tag.StripOffsets: [2**31] * 9_000, Tag.StripByteCounts: [1] * 9_000})
    assert np.array_equal(decode(content, ".tif", 40).pixels, GRAY[..., 0])


def test_a_bigtiff_is_told_apart():
    for start in (b"II+\0", b"MM\0+"):
        assert "is a BigTIFF" in decode(start + bytes(60), ".tif", 40).reason


def test_the_value_of_any_tag_must_lie_in_the_file():
    content = write_tiff(GRAY, tags={700: [1, 2, 3]})
    assert decode(content, ".tif", 40).code == ""
    assert decode(content[:-1], ".tif", 40).reason == "ValueError: the file breaks off before the value of its tag 700"


@pytest.mark.parametrize("compression", [8, 32946])
@pytest.mark.parametrize("tile", [0, 32])
def test_a_wrong_byte_in_what_deflate_packed_is_found(compression, tile):
    content = write_tiff(GRAY, "<", compression, tile=tile)
    (start,) = struct.unpack_from("<I", content, 4)
    for place in range(8, start):
        damaged = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        decoded = decode(damaged, ".tif", 40)
        assert decoded.code == "undecodable" or np.array_equal(decoded.pixels, GRAY[..., 0]), (
            "bits that fill a byte are not read"
        )


@pytest.mark.parametrize(("compression", "damage"), [(LZW, b"\xff"), (PACKBITS, b"\0")], ids=["LZW", "PackBits"])
def test_a_decoder_that_finds_damage_writes_nothing_itself(compression, damage, capfd):
    content = bytearray(write_tiff(GRAY, "<", compression))
    content[20:900] = damage * 880
    assert decode(bytes(content), ".tif", 40).code == "undecodable"
    assert capfd.readouterr() == ("", "")


def test_tags_that_say_nothing_of_the_picture_are_not_read():
    tags = {305: [1] * 9_000, 330: [8], 33432: [2**32 - 1], 34665: [5], 700: [7] * 99}
    assert np.array_equal(decode(write_tiff(GRAY, tags=tags), ".tif", 40).pixels, GRAY[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_found_and_not_applied(order):
    for turned in range(1, 9):
        content = write_tiff(GRAY, order, tags={Tag.Orientation: [turned]})
        assert orientation(content) == turned
        assert np.array_equal(decode(content, ".tif", 40).pixels, GRAY[..., 0])
    assert orientation(write_tiff(GRAY)[:-1]) == 1


def test_a_short_strip_of_the_last_rows_is_whole():
    file = io.BytesIO()
    Image.fromarray(GRAY[..., 0]).save(file, "TIFF", tiffinfo={Tag.RowsPerStrip: 40})
    assert np.array_equal(decode(file.getvalue(), ".tif", 40).pixels, GRAY[..., 0])
