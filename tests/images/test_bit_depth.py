"""Bit depth: 16 bits become 8 by the picture alone, and pictures of cameras of 10 and 12 bits are as bright as those of 8."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz_files import write_tiff
from tasks.images.bit_depth import DEPTHS, deep_gray
from tasks.images.decoding import decode
from tasks.images.file_structure import PNG_SIGNATURE, png_chunk

CHANNELS = {"gray": 1, "gray alpha": 2, "color": 3, "color alpha": 4}
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of a PNG, by channels


def draw(depth: int, channels: int) -> np.ndarray:
    """Noise of so many bits in 16, which contains the greatest number."""
    samples = np.random.default_rng(depth).integers(0, 1 << depth, (40, 30, channels)).astype(np.uint16)
    samples[0, 0, 0] = (1 << depth) - 1
    return samples


def expected(samples: np.ndarray, depth: int) -> np.ndarray:
    levels = (samples >> (depth - 8)).astype(np.uint8)
    return levels[..., 0] if samples.shape[2] < 3 else np.asarray(Image.fromarray(levels[..., :3]).convert("L"))


def png(samples: np.ndarray) -> bytes:
    """A PNG of 16 bits whose rows are filtered in turn by nothing, the pixel before (Sub) and the row before (Up)."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    before = np.pad(rows, [(0, 0), (2 * channels, 0)])[:, : rows.shape[1]]
    above = np.pad(rows, [(1, 0), (0, 0)])[:-1]
    filtered = [rows, rows - before, rows - above]
    data = b"".join(bytes([line % 3]) + filtered[line % 3][line].tobytes() for line in range(height))
    header = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) for kind, part in chunks)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize(("write", "suffix"), [(png, ".png"), (write_tiff, ".tiff")], ids=["PNG", "TIFF"])
def test_the_upper_8_of_the_bits_in_use_are_kept(write, suffix, channels, depth):
    samples = draw(depth, channels)
    decoded = decode(write(samples), suffix, 40)
    assert decoded.reason == ""
    assert np.array_equal(decoded.pixels, expected(samples, depth))


@pytest.mark.parametrize(
    ("greatest", "depth"),
    [
        (0, 8),
        (1, 8),
        (255, 8),
        (256, 10),
        (1_023, 10),
        (1_024, 12),
        (4_095, 12),
        (4_096, 14),
        (16_384, 16),
        (65_535, 16),
    ],
)
def test_the_depth_is_the_least_that_holds_the_greatest_sample(greatest, depth):
    samples = np.array([[[greatest], [greatest // 2]]], np.uint16)
    assert np.asarray(deep_gray(samples)).tolist() == [[greatest >> (depth - 8), greatest // 2 >> (depth - 8)]]


def test_transparency_does_not_decide_the_depth():
    samples = np.dstack([np.full((4, 5), 200, np.uint16), np.full((4, 5), 65_535, np.uint16)])
    assert set(np.asarray(deep_gray(samples)).ravel()) == {200}


def test_pictures_of_8_bits_that_are_stored_in_16_are_the_same_in_either_way_to_store_them():
    levels = draw(8, 1)
    for samples in (levels, levels * 257, levels << 8):
        assert np.array_equal(decode(png(samples), ".png", 40).pixels, levels[..., 0])


def test_a_gray_picture_of_pillow_is_read():
    file, samples = io.BytesIO(), draw(12, 1)
    Image.fromarray(samples[..., 0]).save(file, "PNG")
    assert np.array_equal(decode(file.getvalue(), ".png", 40).pixels, expected(samples, 12))
