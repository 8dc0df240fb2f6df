"""Decoding: every ordinary picture gives its gray levels, and every other file a reason."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.images import decoding
from tasks.images.decoding import (
    EXIF_ORIENTATION,
    FORMATS,
    MAX_BYTES,
    READ_AT_ONCE,
    WHOLE,
    decode,
    orientation,
    read,
)
from tasks.images.file_structure import png_chunk
from tasks.images.levels import MAX_SIDE, Least
from tasks.sources.synthetic.corruptions import DAMAGES

QUARTER = Least(share=1 / 4)
NOISE = np.random.default_rng(7).integers(0, 256, (40, 30), np.uint8)


def encode(picture: np.ndarray | Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, format=form, **options)
    return file.getvalue()


JPEG, PNG = encode(NOISE, "JPEG", quality=90), encode(NOISE, "PNG")
BMP, TIFF, WEBP = encode(NOISE, "BMP"), encode(NOISE, "TIFF"), encode(NOISE, "WEBP", lossless=True)
FILES = {"JPEG": JPEG, "PNG": PNG, "BMP": BMP, "TIFF": TIFF, "WebP": WEBP}
EXACT = ("PNG", "BMP", "TIFF", "WebP")  # formats that keep every gray level; WebP as it is written here
SUFFIX = {row.name: row.suffixes[-1] for row in FORMATS}


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header tells of a size that its pixels do not have."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def jpeg_of_size(width: int, height: int) -> bytes:
    start = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:start] + struct.pack(">HH", height, width) + JPEG[start + 4 :]


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *(("JPEG", mode) for mode in ("L", "RGB")),
        *(("PNG", mode) for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "I;16")),
        *(("BMP", mode) for mode in ("L", "RGB", "RGBA", "P", "1")),
        *(("TIFF", mode) for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "I;16")),
        *(("WebP", mode) for mode in ("L", "RGB", "RGBA")),
    ],
)
def test_ordinary_pictures_become_grey_levels(photograph, form, mode):
    decoded = decode(photograph(size=(60, 48), form=form, mode=mode), SUFFIX[form], 40)
    assert decoded.reason == ""
    assert decoded.pixels.shape == (48, 60)
    assert decoded.pixels.dtype == np.uint8


def test_every_format_is_tested():
    assert list(FILES) == [row.name for row in FORMATS]


@pytest.mark.parametrize("form", EXACT)
def test_the_very_levels_that_were_put_in_are_found(form):
    assert np.array_equal(decode(FILES[form], SUFFIX[form], 40).pixels, NOISE)


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("suffix", decoding.BY_SUFFIX)
def test_the_content_and_not_the_suffix_names_the_format(form, suffix):
    found, expected = decode(FILES[form], suffix, 40), decode(FILES[form], SUFFIX[form], 40)
    assert found.reason == ""
    assert np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("form", EXACT)
def test_transparency_plays_no_part(form):
    see_through = np.stack([NOISE] * 3 + [np.zeros_like(NOISE)], axis=-1)
    options = {"lossless": True, "exact": True} if form == "WebP" else {}
    assert np.array_equal(decode(encode(see_through, form, **options), SUFFIX[form], 40).pixels, NOISE)


def test_transparency_of_a_palette_plays_no_part():
    colours = Image.fromarray(NOISE).convert("P")
    palette = encode(colours, "PNG", transparency=bytes(range(256)))
    assert np.array_equal(decode(palette, ".png", 40).pixels, np.asarray(colours.convert("L")))


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".JPEG", ".jpe", ".JFIF"])
def test_the_case_of_the_suffix_does_not_matter(suffix):
    assert decode(JPEG, suffix, 40).pixels is not None


@pytest.mark.parametrize(
    ("content", "suffix", "code"),
    [
        (b"", ".jpeg", "empty"),
        (b"<!DOCTYPE html><title>Sign in</title>", ".jpeg", "signature"),
        (encode(NOISE, "GIF"), ".jpeg", "signature"),
        (JPEG, ".gif", "not_an_image"),
        (JPEG, "", "not_an_image"),
        (JPEG[:-2], ".jpeg", "undecodable"),
        (JPEG[: len(JPEG) // 2], ".jpeg", "undecodable"),
        (JPEG[:3] + b"nonsense" * 9, ".jpeg", "undecodable"),
        (PNG[:8] + b"nonsense" * 9, ".png", "undecodable"),
        (PNG[:-2], ".png", "undecodable"),
        (PNG[:-12], ".png", "undecodable"),
        (PNG[: len(PNG) // 2], ".png", "undecodable"),
        (PNG[:200] + b"\0" + PNG[201:], ".png", "undecodable"),
        (PNG[:-13] + bytes([PNG[-13] ^ 1]) + PNG[-12:], ".png", "undecodable"),
        (encode(Image.fromarray(NOISE).convert("CMYK"), "JPEG"), ".jpeg", "mode"),
        (encode(Image.fromarray(NOISE).convert("CMYK"), "TIFF"), ".tiff", "mode"),
    ],
    ids=[
        "no bytes", "a web page", "a GIF named JPEG", "another suffix", "no suffix",
        "a JPEG without its last 2 bytes", "half a JPEG", "a JPEG of nonsense", "a PNG of nonsense", "a PNG without its last 2 bytes",
        "a PNG without its end", "half a PNG", "a PNG with a wrong byte", "a PNG with a wrong checksum", "a JPEG of inks", "a TIFF of inks",
    ],
)  # fmt: skip
def test_what_is_no_whole_picture_is_refused_with_a_code(content, suffix, code):
    decoded = decode(content, suffix, 40)
    assert decoded.pixels is None
    assert decoded.code == code
    assert decoded.reason
    assert "\n" not in decoded.reason
    assert decode(content, suffix, 40).reason == decoded.reason, "equal files have equal reasons, in any process"
    assert " at 0x" not in decoded.reason


def fail_if_decoded(*_: object, **__: object) -> None:
    pytest.fail("it was decoded")


RAISED = [
    IndexError("list index out of range"), MemoryError(), RecursionError("too deep"), SyntaxError("broken PNG file"), KeyError(7),
    struct.error("unpack requires 4 bytes"), zlib.error("Error -3"), AssertionError(), SystemError("error return"), EOFError(),
    UserWarning("of a palette"), Image.DecompressionBombWarning("40 pixels"), Image.DecompressionBombError("40 pixels"),
    OSError(28, "No space"), ValueError("two\nlines"), ValueError("\x1b[2J and \u202e"), UnicodeDecodeError("ascii", b"x", 0, 1, "ordinal"),
    OverflowError(), TypeError(),
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=repr)
@pytest.mark.parametrize("form", FILES)
def test_whatever_a_decoder_raises_is_the_refusal_of_this_file(monkeypatch, error, form):
    def fail(*_: object, **__: object) -> None:
        raise error

    for patched in ((simplejpeg, "decode_jpeg"), (Image, "open")):
        monkeypatch.setattr(*patched, fail)
    decoded = decode(FILES[form], SUFFIX[form], 40)
    assert decoded.pixels is None
    assert decoded.code == ("memory" if isinstance(error, MemoryError) else "undecodable")
    assert decoded.reason.isprintable()
    assert len(decoded.reason) > 10


def test_no_name_speaks_to_the_terminal():
    assert decode(JPEG, ".\x1b[2J", 40).reason.isprintable()


def test_the_user_who_stops_the_run_is_not_taken_for_a_bad_file(monkeypatch):
    interrupted = decoding.JPEG._replace(levels=lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(decoding, "FORMATS", (interrupted,))
    with pytest.raises(KeyboardInterrupt):
        decode(JPEG, ".jpeg", 40)


def test_a_png_without_a_picture_is_refused():
    assert len(PNG[:33] + PNG[-12:]) == 45
    assert decode(PNG[:33] + PNG[-12:], ".png", 40).reason == "ValueError: the file has no picture (no chunk IDAT)"


def test_a_warning_of_the_decoder_neither_refuses_nor_shows_up():
    animation = b"".join((PNG[:33], png_chunk(b"acTL", bytes(8)) * 2, PNG[33:]))
    for action in ("error", "ignore"):
        with warnings.catch_warnings(action=action):
            assert np.array_equal(decode(animation, ".png", 40).pixels, NOISE)


@pytest.mark.parametrize("size", [(1, 40_000_000), (40_000_000, 1), (MAX_SIDE + 1, 1), (2**31 - 1, 1)])
def test_a_picture_of_an_endless_side_is_refused_before_it_is_decoded(monkeypatch, size):
    monkeypatch.setattr(Image.Image, "convert", fail_if_decoded)
    decoded = decode(png_of_size(*size), ".png", float("inf"))
    assert decoded.code == "side"
    assert decoded.reason == f"{size[0]} x {size[1]} pixels, at most 65,500 a side are read: cut it up"


def test_a_costly_file_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail_if_decoded)
    monkeypatch.setattr(Image, "open", fail_if_decoded)
    comments = JPEG[:2] + b"\xff\xfe\0\2" * 5_000 + JPEG[2:]
    texts = PNG[:33] + png_chunk(b"tEXt", b"a\0b") * 5_000 + PNG[33:]
    for content, suffix in ((comments, ".jpeg"), (texts, ".png")):
        decoded = decode(content, suffix, 40)
        assert decoded.code == "costly"
        assert "more than 1," in decoded.reason


@pytest.mark.parametrize("size", [0, 1, READ_AT_ONCE - 1, READ_AT_ONCE, READ_AT_ONCE + 1, 3 * READ_AT_ONCE])
def test_a_file_is_read_whole(tmp_path, size):
    path = tmp_path / "a.jpeg"
    path.write_bytes(np.random.default_rng(0).bytes(size))
    assert read(path) == path.read_bytes()


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.jpeg"
    path.touch()
    os.truncate(path, 2**40)  # without a byte on the disk
    taken, reading = [], os.read
    monkeypatch.setattr(os, "read", lambda file, count: taken.append(count) or reading(file, count))
    assert read(path).reason == f"the file has {2**40:,} bytes, at most {MAX_BYTES:,} are read: save it smaller"
    assert sum(taken) == READ_AT_ONCE


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpeg")
    assert read(tmp_path / "pipe.jpeg") == b""
    with pytest.raises(OSError, match="device or a pipe"):
        read("/dev/zero")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_that_the_sample_plants_is_refused(photograph, damage):
    assert decode(DAMAGES[damage](photograph(size=(300, 300))), ".jpeg", 40).pixels is None


@pytest.mark.parametrize("size", [(8_000, 5_001), (10_000, 10_000), (20_000, 20_000), (30_000, 30_000)])
def test_a_picture_over_the_cap_is_refused_before_it_is_decoded(monkeypatch, size):
    monkeypatch.setattr(Image.Image, "convert", fail_if_decoded)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail_if_decoded)
    for content, suffix in ((png_of_size(*size), ".png"), (jpeg_of_size(*size), ".jpeg")):
        decoded = decode(content, suffix, 40)
        assert decoded.code == "megapixels"
        assert decoded.reason.startswith(f"{size[0]} x {size[1]} pixels, at most 40 megapixels")


@pytest.mark.parametrize("form", FILES)
def test_a_file_of_more_bytes_than_are_read_is_refused(monkeypatch, form):
    content, suffix = FILES[form], SUFFIX[form]
    monkeypatch.setattr(decoding, "MAX_BYTES", len(content))
    assert decode(content, suffix, 40).code == ""
    assert decode(content + b"\0", suffix, 40).code == "too_large"


@pytest.mark.parametrize("mode", ["YCCK", "CMYK"])
def test_inks_are_refused_by_the_color_space_in_the_header(monkeypatch, mode):
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", lambda content: (40, 30, mode, "444"))
    assert decode(JPEG, ".jpeg", 40).reason == f"color mode {mode}, expected gray or RGB of at most 16 bits"


def encode_turned(form: str, value: object) -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = value
    return encode(NOISE, form, exif=exif)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WebP"])
@pytest.mark.parametrize(("value", "found"), [(1, 1), (3, 3), (6, 6), (8, 8), (0, 1), (9, 1)])
def test_the_orientation_that_viewers_apply_is_found_and_not_applied(form, value, found):
    content = encode_turned(form, value)
    assert orientation(content) == found
    assert decode(content, SUFFIX[form], 40).pixels.shape == NOISE.shape


def test_without_exif_or_with_a_broken_one_a_picture_is_as_stored():
    assert {orientation(content) for content in (*FILES.values(), b"", b"MM\0*", b"RIFF....WEBP")} == {1}
    content = encode_turned("JPEG", 6)
    start = content.index(b"Exif\0\0") + 6
    assert orientation(content[:start] + b"\xff" * 8 + content[start + 8 :]) == 1


def test_the_exif_of_a_png_is_found_beside_texts_that_would_fill_the_memory():
    content = encode_turned("PNG", 6)
    bombs = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))
    assert orientation(content[:33] + bombs + content[33:]) == 6


@pytest.mark.parametrize("form", FILES)
def test_a_picture_of_just_the_cap_is_taken(form):
    assert decode(FILES[form], SUFFIX[form], 0.0012).pixels is not None
    assert decode(FILES[form], SUFFIX[form], 0.0011).code == "megapixels"


@pytest.mark.parametrize("least", [WHOLE, QUARTER], ids=["whole", "a quarter"])
@pytest.mark.parametrize("form", FILES)
def test_a_file_that_breaks_off_is_refused_wherever_it_does(form, least):
    content = FILES[form]
    codes = {decode(content[:end], SUFFIX[form], 40, least).code for end in range(len(content))}
    assert codes <= {"empty", "signature", "undecodable"}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(FILES[form], SUFFIX[form]) for form in FILES]),
    st.lists(st.tuples(st.integers(3, 1_100), st.integers(0, 255)), max_size=4),
    st.integers(0, 1_200),
)
def test_no_damage_whatever_ends_in_an_error(picture, changes, cut):
    content, suffix = bytearray(picture[0]), picture[1]
    for place, value in changes:
        content[place % len(content)] = value
    damaged = bytes(content[: max(0, len(content) - cut)])
    decoded = decode(damaged, suffix, 1)
    assert (decoded.pixels is None) == bool(decoded.code)
    assert decode(damaged, suffix, 1, QUARTER)[1:] == decoded[1:], "a view of a quarter finds the same"
    if cut:
        assert decoded.pixels is None


@pytest.mark.parametrize("size", [(300, 300), (64, 36), (8, 4), (4, 4)])
@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "RGB"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("BMP", "L"),
        ("TIFF", "L"),
        ("TIFF", "I;16"),
        ("WebP", "L"),
    ],
)
def test_a_quarter_of_the_size_is_the_mean_of_four_by_four(size, form, mode):
    smooth = Image.fromarray(NOISE).resize(size, Image.Resampling.BICUBIC).convert(mode)
    content, suffix = encode(smooth, form), SUFFIX[form]
    whole, quarter = decode(content, suffix, 40), decode(content, suffix, 40, QUARTER)
    assert (quarter.width, quarter.height) == (whole.width, whole.height) == size
    expected = np.asarray(Image.fromarray(whole.pixels).reduce(4)).astype(int)
    assert quarter.pixels.shape == expected.shape
    assert np.abs(quarter.pixels.astype(int) - expected).max() <= (2 if form == "JPEG" else 0)


@pytest.mark.parametrize("size", [(300, 300), (301, 303), (64, 33), (150, 151), (5, 9), (4, 1), (1, 1)])
@pytest.mark.parametrize("least", [Least(75), Least(32), Least(8), Least(share=1 / 4), Least(share=1 / 3)], ids=str)
@pytest.mark.parametrize("form", FILES)
def test_no_picture_becomes_smaller_than_asked(form, least, size):
    smooth = Image.fromarray(NOISE).resize(size, Image.Resampling.BICUBIC)
    content, suffix = encode(smooth, form), SUFFIX[form]
    whole, found = decode(content, suffix, 40), decode(content, suffix, 40, least)
    assert (found.width, found.height) == size
    assert found.pixels.dtype == np.uint8
    for side, before in zip(found.pixels.shape, whole.pixels.shape, strict=True):
        assert least.length_of(before) <= side <= before
    assert abs(float(found.pixels.mean()) - float(whole.pixels.mean())) <= 6, "it is the same picture"


def test_sides_are_asked_for_in_pixels_or_as_a_share():
    assert [WHOLE.length_of(side) for side in (1, 300)] == [1, 300]
    assert [Least(75).length_of(side) for side in (300, 75, 40)] == [75, 75, 40]
    assert [QUARTER.length_of(side) for side in (300, 301, 4, 1)] == [75, 76, 1, 1]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}], ids=str)
def test_at_a_quarter_of_the_size_the_same_damage_is_found(photograph, damage, options):
    picture = Image.open(io.BytesIO(photograph(size=(300, 300))))
    content = DAMAGES[damage](encode(picture, "JPEG", **options))
    assert decode(content, ".jpeg", 40, QUARTER) == decode(content, ".jpeg", 40)
