"""Crop boxes: where the network looks in a stored image is what its picture says, found once a content."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.images import crop_boxes
from tasks.images.crop_boxes import crop_shares, pack, unpack
from tasks.images.outline import find_part
from tasks.settings.crops import WHOLE, Shares


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Two pictures of a bright part, and an empty one."""
    found = [np.full((150, 200), 20, np.uint8) for _ in range(3)]
    found[0][20:80, 30:100], found[1][60:140, 90:180] = 200, 130
    return found


@pytest.fixture
def rows(pictures, store_images):
    files = [io.BytesIO() for _ in pictures]
    for picture, file in zip(pictures, files, strict=True):
        Image.fromarray(picture).save(file, "PNG")
    return store_images(*(file.getvalue() for file in files))


def test_the_box_is_that_of_the_picture_and_is_looked_for_once(rows, pictures, places, monkeypatch):
    expected = [find_part(picture) for picture in pictures]
    assert expected[2] == WHOLE
    assert WHOLE not in expected[:2]
    assert crop_shares(rows, "part", places) == expected
    monkeypatch.setattr(crop_boxes, "load_levels", lambda *_: pytest.fail("decoded again"))
    assert crop_shares([*rows[::-1], rows[0]], "part", places) == [*expected[::-1], expected[0]]


def test_a_box_that_is_given_needs_no_picture(rows, places, monkeypatch):
    monkeypatch.setattr(crop_boxes, "load_levels", lambda *_: pytest.fail("decoded"))
    assert crop_shares(rows, "0.1,0.2,0.9,0.8", places) == [Shares(0.1, 0.2, 0.9, 0.8)] * 3
    assert crop_shares(rows, None, places) == [WHOLE] * 3


def test_shares_are_stored_without_loss():
    assert unpack(pack(Shares(1 / 3, 0.1, 2 / 3, 0.7))) == Shares(1 / 3, 0.1, 2 / 3, 0.7)
