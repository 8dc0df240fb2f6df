"""Stamps: station, part and time come from the path or from the camera, and nothing that is odd stops a photograph."""

import io
from datetime import datetime

import pytest
from PIL import Image

from tasks.images.exposure_time import exposure_time
from tasks.sources.stamps import Stamp, parse_time, read_stamp, require_groups

PATTERN = r"(?P<station>[^/]+)/(?P<part>p[0-9]+)_(?P<time>[0-9T-]+)\."


def photograph(form: str, **tags: str) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    if "taken" in tags:
        exif.get_ifd(0x8769)[36_867] = tags["taken"]
    if "changed" in tags:
        exif[306] = tags["changed"]
    Image.new("L", (8, 8)).save(buffer, form, exif=exif)
    return buffer.getvalue()


def test_a_path_tells_station_part_and_time(tmp_path):
    stamp = read_stamp("line-3/p17_20261201T065500.png", tmp_path / "gone.png", PATTERN)
    assert stamp == Stamp("line-3", "p17", "2026-12-01T06:55:00")
    assert read_stamp("elsewhere.png", tmp_path / "gone.png", PATTERN) == Stamp()
    assert read_stamp("elsewhere.png", tmp_path / "gone.png", None) == Stamp()


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T06:55:00",
        "20261201-065500",
        "20261201T065500",
        "20261201_065500",
        "2026-12-01_06-55-00",
        "20261201065500",
    ],
)
def test_times_have_many_forms(text):
    assert parse_time(text) == datetime(2026, 12, 1, 6, 55)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-45", "99999999999999"])
def test_what_is_no_time_is_left_empty(text):
    assert parse_time(text) is None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_camera_tells_the_time_where_the_path_does_not(tmp_path, form):
    path = tmp_path / "a.bin"
    path.write_bytes(photograph(form, taken="2026:12:01 06:55:00", changed="2020:01:01 00:00:00"))
    assert read_stamp("a.bin", path, None).taken == "2026-12-01T06:55:00"
    path.write_bytes(photograph(form, changed="2020:01:01 00:00:00"))
    assert read_stamp("a.bin", path, None).taken == "2020-01-01T00:00:00"


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "soon", ""])
def test_a_camera_without_a_clock_has_no_time(taken):
    assert exposure_time(photograph("JPEG", taken=taken)) is None


def test_damaged_bytes_have_no_time():
    whole = photograph("JPEG", taken="2026:12:01 06:55:00")
    for length in range(0, len(whole), 7):
        exposure_time(whole[:length])
        exposure_time(whole[:length] + b"\xff" * 40)
    assert exposure_time(b"no picture") is None


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "is no regular expression"),
        ("part", "has the named groups none"),
        ("(?P<line>x)", "has the named groups line"),
    ],
)
def test_a_pattern_names_what_it_finds(pattern, fault):
    with pytest.raises(ValueError, match=fault):
        require_groups(pattern)
    assert require_groups(PATTERN) == PATTERN
