"""Stamps: station, part and time come from the path or from the camera, and nothing that is odd stops a photograph."""

from datetime import datetime

import pytest
from PIL import Image

from tasks.settings.errors import BadInput
from tasks.sources.stamps import Stamp, add_camera_time, parse_time, path_stamps, require_groups

PATTERN = r"(?P<station>[^/]+)/(?P<part>p[0-9]+)_(?P<time>[0-9T-]+)\."


def test_paths_tell_station_part_and_time(process):
    names = ["line-3/p17_20261201T065500.png", "elsewhere.png", "line-3/p18_soon.png", "caf\udce9/p19_2.png"]
    assert path_stamps(names, PATTERN) == [
        Stamp("line-3", "p17", "2026-12-01T06:55:00"),
        Stamp(),
        Stamp(),
        Stamp("caf\\udce9", "p19"),
    ]


def test_groups_without_names_and_groups_that_match_nothing_say_nothing(process):
    assert path_stamps(["x7/p1", "8/p2"], "(x)?([0-9])/(?P<part>p1)?") == [Stamp(part="p1"), Stamp()]


def test_without_a_pattern_paths_tell_nothing():
    assert path_stamps(["line-3/p17_20261201T065500.png", "a"], None) == [Stamp(), Stamp()]


def test_a_pattern_that_would_search_for_years_is_refused(process):
    with pytest.raises(BadInput, match=r"--stamp \(\?P<part>\(a\+\)\+\)\$ takes more than 0\.202 s"):
        path_stamps(["a", "a" * 200 + "!"], "(?P<part>(a+)+)$", seconds=0.2)


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


def test_a_camera_tells_the_time_where_the_path_does_not(tmp_path):
    path, exif = tmp_path / "a.jpeg", Image.Exif()
    exif[306] = "2026:12:01 06:55:00"
    Image.new("L", (8, 8)).save(path, exif=exif)
    assert add_camera_time(Stamp("line-3"), path) == Stamp("line-3", taken="2026-12-01T06:55:00")
    told = Stamp("line-3", "p1", "2020-01-01T00:00:00")
    assert add_camera_time(told, path) == told
    assert add_camera_time(Stamp("line-3"), tmp_path / "gone.jpeg") == Stamp("line-3")


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "is no regular expression"),
        ("part", "has the named groups none"),
        ("(?P<part>a{99999999999999999999})", "is no regular expression"),
        ("(?P<line>x)", "has the named groups line"),
    ],
)
def test_a_pattern_names_what_it_finds(pattern, fault):
    with pytest.raises(ValueError, match=fault):
        require_groups(pattern)
    assert require_groups(PATTERN) == PATTERN
