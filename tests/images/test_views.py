"""Views: the whole picture in the size of the network, or the ring of a round part, unwrapped."""

import numpy as np
import pytest

from tasks.images import ring_search, rings
from tasks.images.views import VIEWS, raw, ring, shape, square
from tasks.sources.synthetic.cameras import CAMERAS
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph as take

NOISE = np.random.default_rng(3).integers(0, 256, (64, 64), np.uint8)
SHAPES = [(64, 64), (30, 90), (90, 30), (1, 1), (500, 40)]


@pytest.fixture(scope="module")
def casting() -> np.ndarray:
    """A photograph of a round part, uint8 (300, 300)."""
    rng = np.random.default_rng(2)
    return take(draw_casting(rng), CAMERAS[0], rng).pixels


def test_a_picture_of_the_right_size_is_not_touched():
    assert np.array_equal(square(NOISE, 64), NOISE)


def test_a_smaller_square_averages_all_pixels():
    blocks = NOISE.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(square(NOISE, 32) - blocks).max() <= 1  # rounded twice, across and down


@pytest.mark.parametrize("size", SHAPES)
def test_every_picture_becomes_a_square_of_grey_bytes(size):
    pixels = np.random.default_rng(5).integers(0, 256, size, np.uint8)
    found = square(pixels, 48)
    assert (found.shape, found.dtype) == ((48, 48), np.uint8)
    network_input = raw(pixels, 48)
    assert np.array_equal(network_input.levels[..., 0], found)
    assert network_input.residual == 0


@pytest.mark.parametrize("size", [(64, 64), (20, 20)])
def test_up_stays_up_and_left_stays_left(size):
    pixels = np.zeros(size, np.uint8)
    pixels[: size[0] // 2, : size[1] // 2] = 200
    seen = square(pixels, 32)
    assert seen[4, 4] == 200
    assert seen[4, 28] == seen[28, 4] == seen[28, 28] == 0


def test_an_even_picture_stays_even():
    assert (square(np.full((100, 70), 137, np.uint8), 75) == 137).all()


@pytest.mark.parametrize("name", VIEWS)
def test_a_network_input_has_the_shape_that_is_told_beforehand(name, casting):
    network_input = VIEWS[name].make_input(casting, 100)
    assert (network_input.levels.shape, network_input.levels.dtype) == (shape(name, 100), np.uint8)


def test_a_ring_is_unwrapped_to_one_size_always(casting):
    assert shape("ring", 40) == shape("ring", 512)
    assert np.array_equal(ring(casting, 40).levels, ring(casting, 512).levels)


def test_a_ring_shows_the_detail_of_what_is_unwrapped(casting):
    found = ring_search.find(casting)
    network_input = ring(casting, 512)
    assert network_input.residual == found.residual
    assert np.array_equal(network_input.levels, rings.detail(rings.unwrap(casting, found)[None])[0])


def test_what_has_no_ring_shows_nothing(photograph):
    assert ring(np.full((300, 300), 90, np.uint8), 512) is None
    assert ring(NOISE, 512) is None
