"""Decoding: grey levels of every ordinary picture, and a reason for every other file."""

import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.images import decoding
from tasks.images.decoding import decode
from tasks.sources.faults import DAMAGES

NOISE = np.random.default_rng(7).integers(0, 256, (40, 30), np.uint8)


def encoded(picture: np.ndarray | Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, format=form, **options)
    return file.getvalue()


JPEG, PNG = encoded(NOISE, "JPEG", quality=90), encoded(NOISE, "PNG")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header tells of a size that its pixels do not have."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def jpeg_of_size(width: int, height: int) -> bytes:
    start = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:start] + struct.pack(">HH", height, width) + JPEG[start + 4 :]


@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "L"), ("JPEG", "RGB"), *(("PNG", mode) for mode in ("L", "LA", "RGB", "RGBA", "P", "1"))],
)
def test_ordinary_pictures_become_grey_levels(photograph, form, mode):
    decoded = decode(photograph(size=(60, 48), form=form, mode=mode), f".{form.lower()}", 40)
    assert decoded.reason == ""
    assert decoded.pixels.shape == (48, 60)
    assert decoded.pixels.dtype == np.uint8


def test_a_png_gives_the_very_levels_that_were_put_in():
    assert np.array_equal(decode(PNG, ".png", 40).pixels, NOISE)


def test_transparency_plays_no_part():
    colours = Image.fromarray(NOISE).convert("P")
    palette = encoded(colours, "PNG", transparency=bytes(range(256)))
    see_through = encoded(np.stack([NOISE] * 3 + [np.zeros_like(NOISE)], axis=-1), "PNG")
    assert np.array_equal(decode(palette, ".png", 40).pixels, np.asarray(colours.convert("L")))
    assert np.array_equal(decode(see_through, ".png", 40).pixels, NOISE)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".JPEG"])
def test_the_case_of_the_suffix_does_not_matter(suffix):
    assert decode(JPEG, suffix, 40).pixels is not None


@pytest.mark.parametrize(
    ("content", "suffix", "code"),
    [
        (b"", ".jpeg", "empty"),
        (b"<!DOCTYPE html><title>Sign in</title>", ".jpeg", "signature"),
        (PNG, ".jpeg", "signature"),
        (JPEG, ".png", "signature"),
        (JPEG, ".bmp", "not_an_image"),
        (JPEG, "", "not_an_image"),
        (JPEG[:-2], ".jpeg", "undecodable"),
        (JPEG[: len(JPEG) // 2], ".jpeg", "undecodable"),
        (JPEG[:3] + b"nonsense" * 9, ".jpeg", "undecodable"),
        (PNG[:-2], ".png", "undecodable"),
        (PNG[:-12], ".png", "undecodable"),
        (PNG[: len(PNG) // 2], ".png", "undecodable"),
        (PNG[:200] + b"\0" + PNG[201:], ".png", "undecodable"),
        (PNG[:-13] + bytes([PNG[-13] ^ 1]) + PNG[-12:], ".png", "undecodable"),
        (encoded(NOISE.astype(np.uint16) * 257, "PNG"), ".png", "mode"),
        (encoded(Image.fromarray(NOISE).convert("CMYK"), "JPEG"), ".jpeg", "mode"),
    ],
    ids=[
        "no bytes", "a web page", "a PNG named JPEG", "a JPEG named PNG", "another suffix", "no suffix",
        "a JPEG without its last 2 bytes", "half a JPEG", "a JPEG of nonsense", "a PNG without its last 2 bytes",
        "a PNG without its end", "half a PNG", "a PNG with a wrong byte", "a PNG with a wrong checksum", "16 bits", "CMYK",
    ],
)  # fmt: skip
def test_what_is_no_whole_picture_is_refused_with_a_code(content, suffix, code):
    decoded = decode(content, suffix, 40)
    assert decoded.pixels is None
    assert decoded.code == code
    assert decoded.reason
    assert "\n" not in decoded.reason


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_that_the_sample_plants_is_refused(photograph, damage):
    assert decode(DAMAGES[damage](photograph(size=(300, 300))), ".jpeg", 40).pixels is None


@pytest.mark.parametrize("size", [(8_000, 5_001), (10_000, 10_000), (20_000, 20_000), (30_000, 30_000)])
def test_a_picture_over_the_cap_is_refused_before_it_is_decoded(monkeypatch, size):
    def forbidden(*_: object, **__: object) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(decoding, "png_levels", forbidden)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", forbidden)
    for content, suffix in ((png_of_size(*size), ".png"), (jpeg_of_size(*size), ".jpeg")):
        decoded = decode(content, suffix, 40)
        assert decoded.code == "megapixels"
        assert decoded.reason.startswith(f"{size[0]} x {size[1]} pixels, at most 40 megapixels")


def test_a_picture_of_just_the_cap_is_taken():
    assert decode(PNG, ".png", 0.0012).pixels is not None
    assert decode(PNG, ".png", 0.0011).code == "megapixels"


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(JPEG, ".jpeg"), (PNG, ".png")]),
    st.lists(st.tuples(st.integers(3, 1_100), st.integers(0, 255)), max_size=4),
    st.integers(0, 1_200),
)
def test_no_damage_whatever_ends_in_an_error(picture, changes, cut):
    content, suffix = bytearray(picture[0]), picture[1]
    for place, value in changes:
        content[place % len(content)] = value
    decoded = decode(bytes(content[: max(0, len(content) - cut)]), suffix, 1)
    assert (decoded.pixels is None) == bool(decoded.code)
    if cut:
        assert decoded.pixels is None
