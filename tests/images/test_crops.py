"""Crops: a picture is cut where its setting says, and enough of its pixels are decoded."""

import numpy as np
import pytest

from tasks.images.crops import crop_levels, describe_crop, find_shares, least_of_crop, pixel_box
from tasks.images.detail import Box
from tasks.images.levels import Least
from tasks.settings.crops import WHOLE, Shares


def test_a_box_cuts_the_pixels_that_it_touches():
    pixels = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert np.array_equal(crop_levels(pixels, "0.1,0.2,0.9,0.8"), pixels[2:8, 2:18])
    assert np.array_equal(crop_levels(pixels, "0.12,0.25,0.88,0.71"), pixels[2:8, 2:18])
    assert crop_levels(pixels, None) is pixels


@pytest.mark.parametrize("side", [1, 3, 10, 997])
def test_a_box_has_a_pixel_in_pictures_of_any_size(side):
    for shares in (WHOLE, Shares(0.99, 0.99, 1, 1), Shares(0, 0, 0.01, 0.01), Shares(0.7, 0.7, 0.8, 0.8)):
        box = pixel_box(shares, (side, 2 * side))
        assert box.height >= 1 <= box.width
        assert np.zeros((side, 2 * side))[box.slices].shape == (box.height, box.width)
    assert pixel_box(WHOLE, (side, 2 * side)) == Box(0, 0, side, 2 * side)


def test_a_crop_of_a_tenth_needs_ten_times_the_pixels():
    assert least_of_crop(Least(75), "0.45,0.2,0.55,0.8") == Least(750)
    assert least_of_crop(Least(75), None) == Least(75)
    assert least_of_crop(Least(75), "part") == Least(), "nobody knows yet how small the part is"
    assert least_of_crop(Least(), "0.45,0.2,0.55,0.8") == Least()


def test_only_the_outline_depends_on_the_picture():
    empty = np.full((60, 80), 20, np.uint8)
    with_part = empty.copy()
    with_part[10:40, 20:50] = 200
    assert find_shares(empty, "part") == WHOLE != find_shares(with_part, "part")
    assert find_shares(empty, "0.1,0.2,0.9,0.8") == find_shares(with_part, "0.1,0.2,0.9,0.8")


def test_a_crop_is_described_in_a_sentence():
    assert describe_crop(None) == ""
    assert describe_crop("part").startswith("Of each photograph it sees the part alone")
    assert describe_crop("0.1,0.2,0.905,1") == (
        "Of each photograph it sees the box from 10% to 90.5% of the width and from 20% to 100% of the height."
    )
