"""Exposure time: Exif of each format tells it, wherever it lies, and no damage or size stops the others."""

import io
import struct
from datetime import datetime

import pytest
from PIL import Image

from tasks.images.exposure_time import DIRECTORIES, EXIF_TAGS, HEAD, exposure_time

MORNING, EARLIER = "2026:12:01 06:55:00", "2020:01:01 00:00:00"
FORMS = ["JPEG", "PNG", "WEBP", "TIFF"]


@pytest.fixture
def time_of(tmp_path):
    """Returns the time in a content."""

    def read(content: bytes) -> datetime | None:
        (tmp_path / "a.bin").write_bytes(content)
        return exposure_time(tmp_path / "a.bin")

    return read


def photograph(form: str, taken: str | None = None, changed: str | None = None, note: bytes | None = None) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    if taken is not None:
        exif.get_ifd(EXIF_TAGS)[36_867] = taken
    if changed is not None:
        exif[306] = changed
    if note is not None:
        exif[37_724] = note
    Image.new("L", (8, 8)).save(buffer, form, exif=exif.tobytes())
    return buffer.getvalue()


def with_directory_at_end(tiff: bytes, between: int) -> bytes:
    """Return a TIFF whose first directory is moved behind so many bytes more, as libtiff writes it behind the pixels."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    directory = tiff[start : start + 2 + 12 * count + 4]
    emptied = tiff[8:start] + bytes(len(directory)) + tiff[start + len(directory) :] + bytes(between)
    return tiff[:4] + struct.pack("<I", 8 + len(emptied)) + emptied + directory


@pytest.mark.parametrize("form", FORMS)
def test_the_time_of_the_exposure_comes_before_that_of_the_last_change(time_of, form):
    assert time_of(photograph(form, MORNING, EARLIER)) == datetime(2026, 12, 1, 6, 55)
    assert time_of(photograph(form, MORNING)) == datetime(2026, 12, 1, 6, 55)
    assert time_of(photograph(form, changed=EARLIER)) == datetime(2020, 1, 1)
    assert time_of(photograph(form)) is None


@pytest.mark.parametrize("between", [0, 2 * HEAD, 2 * (HEAD + DIRECTORIES)])
def test_the_directory_of_a_tiff_may_lie_at_its_end(time_of, between):
    moved = with_directory_at_end(photograph("TIFF", MORNING, EARLIER), between)
    assert time_of(moved) == datetime(2026, 12, 1, 6, 55)


def test_the_pixels_of_a_tiff_are_not_read(time_of):
    whole = photograph("TIFF", MORNING)
    with Image.open(io.BytesIO(whole)) as picture:
        (offset,) = picture.tag_v2[273]
    assert offset + 64 == len(whole)  # they come last
    assert time_of(whole[:offset]) == datetime(2026, 12, 1, 6, 55)


def test_a_tiff_with_large_values_is_read_within_a_limit(time_of):
    assert time_of(photograph("TIFF", changed=EARLIER, note=bytes(DIRECTORIES // 2))) == datetime(2020, 1, 1)
    assert time_of(photograph("TIFF", changed=EARLIER, note=bytes(DIRECTORIES + HEAD))) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "soon", ""])
def test_a_camera_without_a_clock_has_no_time(time_of, form, taken):
    assert time_of(photograph(form, taken)) is None


@pytest.mark.parametrize("form", FORMS)
def test_damaged_bytes_have_no_other_time(time_of, form):
    whole = photograph(form, MORNING)
    for length in range(0, len(whole), 7):
        for content in (whole[:length], whole[:length] + b"\xff" * 40):
            assert time_of(content) in (None, datetime(2026, 12, 1, 6, 55))


def test_what_is_no_photograph_or_no_file_has_no_time(time_of, tmp_path):
    assert time_of(b"no picture") is None
    assert time_of(b"") is None
    assert time_of(b"II+\0" + bytes(40)) is None  # a BigTIFF
    assert exposure_time(tmp_path / "gone.tiff") is None
    assert exposure_time(tmp_path) is None
