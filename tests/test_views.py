"""Views: the whole picture in the size of the network."""

import numpy as np
import pytest

from tasks.images.views import VIEWS, raw

NOISE = np.random.default_rng(3).integers(0, 256, (64, 64), np.uint8)


def test_a_picture_of_the_right_size_is_not_touched():
    assert np.array_equal(raw(NOISE, 64), NOISE)


def test_a_smaller_view_averages_all_pixels():
    blocks = NOISE.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(raw(NOISE, 32) - blocks).max() <= 1  # rounded twice, across and down


@pytest.mark.parametrize("shape", [(64, 64), (30, 90), (90, 30), (1, 1), (500, 40)])
@pytest.mark.parametrize("name", VIEWS)
def test_every_view_of_every_shape_is_a_square_of_grey_bytes(name, shape):
    pixels = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    seen = VIEWS[name](pixels, 48)
    assert seen.shape == (48, 48)
    assert seen.dtype == np.uint8


@pytest.mark.parametrize("shape", [(64, 64), (20, 20)])
def test_up_stays_up_and_left_stays_left(shape):
    pixels = np.zeros(shape, np.uint8)
    pixels[: shape[0] // 2, : shape[1] // 2] = 200
    seen = raw(pixels, 32)
    assert seen[4, 4] == 200
    assert seen[4, 28] == seen[28, 4] == seen[28, 28] == 0


def test_an_even_picture_stays_even():
    assert (raw(np.full((100, 70), 137, np.uint8), 75) == 137).all()
