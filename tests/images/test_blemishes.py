"""Blemishes: what is drawn into good parts lies in the picture, is marked, and leaves the rest as it was."""

import numpy as np
import pytest
from scipy import ndimage

from tasks.images.blemishes import FILLINGS, draw_blemishes, draw_cover, filled_box, replace_detail
from tasks.images.detail import (
    DARK,
    FAR,
    NEAR,
    NOTHING,
    QUIET,
    STEP,
    UNIT,
    Box,
    content_box,
    detail,
    letterbox,
)
from tasks.images.marks import DEFECT, SOUND
from tasks.images.views import VIEWS

FRAMES = [(96, 128), (32, 32)]
SHAPES = [(240, 320), (64, 64), (64, 500), (500, 64)]
SMALLER, LARGER = (33, 700), (96, 128)  # of the frame of 96 x 128 the first fills 6 rows, the second all


def make_picture(seed: int, shape: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    levels = np.random.default_rng(seed).normal(120, 6, shape).clip(0, 255).astype(np.uint8)
    return VIEWS["detail"].make_input(levels, frame).levels


def make_pictures(frame: tuple[int, int], shapes: list[tuple[int, int]] = SHAPES) -> np.ndarray:
    return np.stack([make_picture(seed, shape, frame) for seed, shape in enumerate(shapes)])


def repeat_numbers(pictures: np.ndarray, copies: int = 80) -> np.ndarray:
    return np.arange(copies) % len(pictures)


def test_equal_seeds_give_equal_copies_and_others_give_others():
    pictures = make_pictures((96, 128))
    numbers = repeat_numbers(pictures)
    first, again, other = (draw_blemishes(pictures, numbers, seeds) for seeds in ((0, 1), (0, 1), (0, 2)))
    assert all(np.array_equal(one, same) for one, same in zip(first, again, strict=True))
    for one, different in zip(first, other, strict=True):
        assert (one != different).reshape(len(numbers), -1).any(axis=1).all()


def test_two_copies_of_a_picture_have_blemishes_of_their_own():
    copies, marks = draw_blemishes(make_pictures((96, 128), SHAPES[:1]), np.zeros(30, int))
    assert len({copy.tobytes() for copy in copies}) == len({mark.tobytes() for mark in marks}) == 30


def test_a_copy_does_not_depend_on_how_many_others_are_drawn():
    """Nor on the pieces that threads get."""
    pictures = make_pictures((32, 32))
    few, many = (draw_blemishes(pictures, repeat_numbers(pictures, count), (3,)) for count in (7, 700))
    assert all(np.array_equal(one, other[:7]) for one, other in zip(few, many, strict=True))


@pytest.mark.parametrize("frame", FRAMES)
def test_marks_and_changes_lie_in_the_picture_and_nowhere_beside_it(frame):
    pictures = make_pictures(frame)
    numbers = repeat_numbers(pictures)
    copies, marks = draw_blemishes(pictures, numbers)
    assert (copies.shape, copies.dtype) == ((80, *frame, 2), np.uint8)
    assert (marks.shape, marks.dtype) == ((80, *frame), np.uint8)
    assert set(np.unique(marks)) == {DEFECT, SOUND}
    assert (marks == DEFECT).any(axis=(1, 2)).mean() > 0.95
    for number, copy, mark in zip(numbers, copies, marks, strict=True):
        outside = np.ones(frame, bool)
        outside[content_box(SHAPES[number], frame).slices] = False
        assert (copy[outside] == NOTHING).all()
        assert (mark[outside] == SOUND).all()


@pytest.mark.parametrize("frame", FRAMES)
def test_what_is_marked_has_changed_and_most_of_the_rest_has_not(frame):
    pictures = make_pictures(frame)
    numbers = repeat_numbers(pictures, 400)
    copies, marks = draw_blemishes(pictures, numbers)
    has_changed = np.abs(copies[..., 0].astype(int) - pictures[numbers][..., 0]) > 1
    assert has_changed[marks == DEFECT].mean() > 0.75
    assert has_changed[marks == SOUND].mean() < 0.25
    assert has_changed.any(axis=(1, 2)).mean() > 0.9


def test_no_plane_of_a_copy_differs_from_its_original_far_from_its_blemishes():
    """Else a network could tell copies from originals without seeing a blemish."""
    pictures = make_pictures((256, 256), [(256, 256), (192, 256)])
    numbers = repeat_numbers(pictures, 40)
    copies, _ = draw_blemishes(pictures, numbers)
    steps = copies.astype(int) - pictures[numbers]
    is_near = np.stack([ndimage.distance_transform_edt(step[..., 0] == 0) <= NEAR // 2 + FAR // 2 for step in steps])
    far = steps[~is_near]
    assert len(far) > 0.5 * is_near.size
    assert (far[:, 0] == 0).all()
    assert (far[:, 1] != 0).mean() < 1e-3
    assert np.abs(far).max() <= 1


def test_blemishes_are_small_beside_the_picture():
    pictures = make_pictures((256, 256), SHAPES[:1])
    copies, marks = draw_blemishes(pictures, np.zeros(100, int))
    assert 0 < (marks == DEFECT).mean(axis=(1, 2)).max() < 0.1
    unchanged = np.abs(copies[..., 0].astype(int) - pictures[..., 0]) <= 1
    assert unchanged.mean(axis=(1, 2)).min() > 0.8


@pytest.mark.parametrize("shapes", [[SMALLER, LARGER], [LARGER, SMALLER]])
def test_detail_comes_from_smaller_and_from_larger_pictures(shapes):
    pictures = make_pictures((96, 128), shapes)
    copies, marks = draw_blemishes(pictures, np.zeros(60, int))
    box = content_box(shapes[0], (96, 128))
    assert copies.shape == (60, 96, 128, 2)
    assert all(box == filled_box(copy) for copy in copies)
    assert (marks == DEFECT).any(axis=(1, 2)).mean() > 0.95


def test_replaced_detail_is_that_of_the_other_picture_whatever_its_size():
    difference, cover = np.zeros((20, 30)), np.ones((20, 30), np.float32)
    for shape in ((1, 1), (7, 90), (90, 7)):
        other = np.full(shape, 0.1)
        changed = replace_detail(difference, other, cover, np.random.default_rng(0))
        assert changed.shape == difference.shape
        assert 0.1 <= changed.min() == changed.max() <= 0.25


@pytest.mark.parametrize("frame", FRAMES)
def test_in_even_pictures_spots_and_lines_are_seen_too(frame):
    even = np.full((1, *frame, 2), NOTHING, np.uint8)
    copies, marks = draw_blemishes(even, np.zeros(100, int))
    assert (marks == DEFECT).any(axis=(1, 2)).mean() > 0.95
    assert (copies != NOTHING).any(axis=(1, 2, 3)).mean() > 0.5


def test_the_pictures_are_never_changed():
    pictures = make_pictures((96, 128))
    before = pictures.copy()
    pictures.setflags(write=False)
    draw_blemishes(pictures, repeat_numbers(pictures))
    assert np.array_equal(pictures, before)


def test_no_copy_is_drawn_where_none_is_asked_for():
    copies, marks = draw_blemishes(make_pictures((32, 32)), np.zeros(0, int))
    assert (copies.shape, marks.shape) == ((0, 32, 32, 2), (0, 32, 32))


@pytest.mark.parametrize("filling", sorted(set(FILLINGS), key=lambda filling: filling.__name__))
def test_far_from_what_a_blemish_covers_the_detail_stays(filling):
    random = np.random.default_rng(0)
    difference, other = random.normal(0, 0.05, (60, 80)), random.normal(0, 0.05, (50, 90))
    cover = np.zeros((60, 80), np.float32)
    cover[20:26, 30:40] = 1
    changed = filling(difference, other, cover, random)
    reach, far = NEAR // 2, np.ones((60, 80), bool)
    far[20 - reach : 26 + reach, 30 - reach : 40 + reach] = False
    assert changed[far] == pytest.approx(difference[far], abs=1e-6)
    assert np.abs(changed - difference)[20:26, 30:40].mean() > 0.03


@pytest.mark.parametrize("shape", [(1, 1), (6, 128), (96, 128)])
def test_a_cover_is_a_share_of_each_pixel(shape):
    covers = [draw_cover(shape, np.random.default_rng(seed)) for seed in range(50)]
    assert {cover.shape for cover in covers} == {shape}
    assert min(cover.min() for cover in covers) >= 0
    assert 0.25 < max(cover.max() for cover in covers) <= 1


def test_the_box_of_a_picture_is_where_something_is_seen():
    picture = np.full((20, 30, 2), NOTHING, np.uint8)
    assert filled_box(picture) == Box(0, 0, 20, 30)
    picture[4, 7, 1] = picture[9, 5, 0] = NOTHING + 1
    assert filled_box(picture) == Box(4, 5, 6, 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_detail_of_a_picture_is_what_it_was_before_there_were_blemishes(shape):
    """Else each model in use would see other pictures than those that it learned from."""
    levels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    framed, box = letterbox(levels, (96, 128)), content_box(shape, (96, 128))
    logarithm = np.log(framed[box.slices].astype(np.float32) + DARK)
    difference = logarithm - ndimage.uniform_filter(logarithm, NEAR, mode="reflect")
    deviation = np.sqrt(ndimage.uniform_filter(difference**2, FAR, mode="reflect").clip(0) + QUIET**2)
    expected = np.full((96, 128, 2), NOTHING, np.uint8)
    expected[box.slices] = np.stack(
        [(level + NOTHING).clip(0, 255) for level in (STEP * difference, UNIT * difference / deviation)], axis=-1
    )
    assert np.array_equal(detail(framed, box), expected)
