"""Appearance: the statistics of a picture agree with numbers worked out by hand, and words name what is odd about it."""

import numpy as np
import pytest

from tasks.images.appearance import STATISTICS, appearance, border, remark


def test_an_even_picture_has_its_grey_level_everywhere_and_no_detail():
    found = appearance(np.full((1, 20, 20), 90, np.uint8))[0]
    assert found.tolist() == [90, 0, 90, 90, 90, 90, 90, 90, 0, 0, 0]


def test_a_bright_border_is_in_the_border_alone():
    picture = np.full((1, 20, 20), 100, np.uint8)
    picture[0, border(20, 20)] = 200
    mean, deviation, *quantiles, edge, uneven, gradient, detail = appearance(picture)[0]
    assert mean == pytest.approx(100 + 100 * 144 / 400)  # 400 - 16 * 16 pixels
    assert quantiles == [100, 100, 100, 200, 200]
    assert (edge, uneven) == (200, 0)
    assert min(deviation, gradient, detail) > 5


def test_a_ramp_has_its_slope_as_gradient_and_no_detail():
    ramp = np.tile(np.arange(0, 200, 4, dtype=np.uint8), (1, 50, 1))
    assert appearance(ramp)[0, -2:] == pytest.approx([4, 0])


def test_many_pictures_are_each_as_alone(rng=np.random.default_rng(0)):
    pictures = rng.integers(0, 256, (259, 12, 15), np.uint8)
    found = appearance(pictures)
    assert found.shape == (259, len(STATISTICS))
    np.testing.assert_allclose(found[-1], appearance(pictures[-1:])[0], rtol=1e-6)
    assert appearance(pictures[:0]).shape == (0, len(STATISTICS))


def test_quantiles_are_those_of_the_sorted_levels(rng=np.random.default_rng(1)):
    pictures = rng.integers(0, 256, (40, 12, 15), np.uint8)
    ordered = np.sort(pictures.reshape(40, -1), axis=1)
    assert appearance(pictures)[:, 2:7].tolist() == ordered[:, [9, 45, 90, 134, 170]].tolist()


def test_the_remark_names_what_is_furthest_off_and_where_to():
    usual, spread = np.full(11, 100.0), np.full(11, 10.0)
    odd = usual.copy()
    odd[[0, 7]] = 115, 231
    assert remark(odd, usual, spread) == "a brighter border (231, where 100 is usual)"
    odd[10] = -100
    assert remark(odd, usual, spread) == "less fine detail (-100, where 100 is usual)"
