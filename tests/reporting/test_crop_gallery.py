"""Crop gallery: the box of what the network sees is drawn on training photographs, the smallest and the largest among them."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.records.rows import Row
from tasks.reporting.contact_sheet import GAP, LINE, SIDE
from tasks.reporting.crop_gallery import pictures


@pytest.fixture
def rows(places, store_images) -> list[Row]:
    """Seven photographs of a bright part, of other size in each, and an empty one."""
    contents = []
    for size in (*range(40, 110, 10), 0):
        pixels = np.full((160, 200), 20, np.uint8)
        pixels[20 : 20 + size, 30 : 30 + size] = 200
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        contents.append(file.getvalue())
    return [row._replace(width=200, height=160, split="train") for row in store_images(*contents)]


def is_red(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture).astype(int)
    return (pixels[..., 0] > 150) & (pixels[..., 1] < 90)


def test_where_whole_pictures_are_seen_there_is_nothing_to_show(rows, places):
    assert list(pictures(rows, None, places)) == []
    assert list(pictures([row._replace(split="test") for row in rows], "part", places)) == []


def test_a_box_is_drawn_where_it_is_cut(rows, places):
    (picture,) = pictures(rows, "0.25,0.5,0.75,1", places)
    assert picture.name == "crops"
    first = is_red(picture.image)[GAP + LINE : GAP + LINE + SIDE, GAP : GAP + SIDE]
    down, across = np.nonzero(first)
    assert (across.min() / SIDE, across.max() / SIDE) == pytest.approx((0.25, 0.75), abs=0.02)
    assert (down.min() / SIDE, down.max() / SIDE) == pytest.approx((0.5, 1), abs=0.02)
    assert "seen whole" not in picture.caption


def test_by_the_outline_the_smallest_and_the_largest_boxes_are_shown_and_those_without_a_part_counted(rows, places):
    (picture,) = pictures(rows, "part", places)
    assert "1 of 8 training photographs are seen whole" in picture.caption
    height = picture.image.height // 3
    areas = []
    for row in (1, 2):
        first = is_red(picture.image)[row * height : (row + 1) * height, GAP : GAP + SIDE]
        down, across = np.nonzero(first)
        areas.append(np.ptp(down) * np.ptp(across) / SIDE**2)
    assert areas[0] < 0.25
    assert areas[1] > 0.9
