"""Detail: a picture keeps its aspect in its frame, light disappears, and small marks stay."""

import numpy as np
import pytest

from tasks.images.detail import NOTHING, content_box, detail, letterbox, resize
from tasks.images.views import VIEWS

FRAME = (96, 128)


def texture(seed: int = 0, shape: tuple[int, int] = (240, 320)) -> np.ndarray:
    return np.random.default_rng(seed).normal(120, 6, shape).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((240, 320), (0, 0, 96, 128)),
        ((320, 240), (0, 28, 96, 72)),
        ((100, 400), (32, 0, 32, 128)),
        ((1, 5_000), (47, 0, 1, 128)),
        ((5_000, 1), (0, 63, 96, 1)),
    ],
)
def test_a_picture_lies_in_the_middle_of_its_frame_as_large_as_it_fits(shape, box):
    assert tuple(content_box(shape, FRAME)) == box


def test_beside_the_picture_the_frame_is_empty_and_inside_it_nothing_is_cut_off():
    picture = np.full((64, 64), 200, np.uint8)
    framed = letterbox(picture, FRAME)
    assert framed.shape == FRAME
    assert (framed[:, 16:112] == 200).all()
    assert (framed[:, :16] == 0).all() and (framed[:, 112:] == 0).all()


@pytest.mark.parametrize("shape", [(64, 64), (64, 500), (500, 64), (33, 700)])
def test_beside_the_picture_there_is_no_detail(shape):
    planes = VIEWS["detail"].make_input(texture(shape=shape), FRAME).levels
    outside = np.ones(FRAME, bool)
    outside[content_box(shape, FRAME).slices] = False
    assert (planes[outside] == NOTHING).all()
    assert planes[~outside].std() > 1


def test_an_even_picture_has_no_detail():
    assert (VIEWS["detail"].make_input(np.full((240, 320), 90, np.uint8), FRAME).levels == NOTHING).all()


def test_light_that_falls_off_and_half_the_brightness_change_little():
    picture = texture().astype(float)
    light = np.linspace(1, 0.4, picture.shape[1])[None]
    planes, relit = (
        VIEWS["detail"].make_input(levels.astype(np.uint8), FRAME).levels.astype(float)
        for levels in (picture, picture * light)
    )
    assert np.corrcoef(planes[..., 1].ravel(), relit[..., 1].ravel())[0, 1] > 0.9


def test_a_dark_spot_stands_out_in_both_planes_where_it_lies():
    picture = texture()
    picture[100:112, 200:212] = 60
    planes = VIEWS["detail"].make_input(picture, FRAME).levels
    for plane in (planes[..., 0], planes[..., 1]):
        row, column = np.unravel_index(plane.argmin(), plane.shape)
        assert abs(row - 42) <= 3 and abs(column - 82) <= 3


@pytest.mark.parametrize("shape", [(40, 40), (500, 40), (40, 500), (1, 1)])
def test_pictures_of_every_size_are_enlarged_or_reduced_to_the_same_shape(shape):
    assert resize(texture(shape=shape), FRAME).shape == FRAME
    assert VIEWS["detail"].make_input(texture(shape=shape), FRAME).levels.shape == (*FRAME, 2)


def test_detail_does_not_change_the_picture_that_it_is_made_of():
    framed = letterbox(texture(), FRAME)
    before = framed.copy()
    detail(framed, content_box((240, 320), FRAME))
    assert np.array_equal(framed, before)
