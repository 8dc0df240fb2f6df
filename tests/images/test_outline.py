"""Outline: the part is found against plain, lit and textured backgrounds; a crop never cuts off a piece of it."""

import numpy as np
import pytest
from scipy import ndimage

from tasks.images.outline import MARGIN, find_part
from tasks.settings.crops import WHOLE, Shares

SHAPE = (300, 400)


def background(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Gray levels without a part, float64 (300, 400)."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] / SHAPE[1]
    levels = {
        "dark": np.full(SHAPE, 20.0),
        "bright": np.full(SHAPE, 215.0),
        "slope": 60 + 80 * x + 50 * y,
        "vignette": 170 - 130 * ((x - 0.5) ** 2 + (y - 0.4) ** 2),
        "texture": 120 + 150 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3),
        "stripes": 120 + 15 * np.sin(200 * x),
    }[kind]
    return levels + rng.normal(0, 3, SHAPE)


BACKGROUNDS = ["dark", "bright", "slope", "vignette", "texture", "stripes"]


def disc(middle: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    return (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2


def plate(top: int, left: int, height: int, width: int) -> np.ndarray:
    pixels = np.zeros(SHAPE, bool)
    pixels[top : top + height, left : left + width] = True
    return pixels


def box_of(part: np.ndarray) -> np.ndarray:
    """The box about a part, as shares."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    return np.array(
        [columns[0] / SHAPE[1], rows[0] / SHAPE[0], (columns[-1] + 1) / SHAPE[1], (rows[-1] + 1) / SHAPE[0]]
    )


def find(levels: np.ndarray) -> Shares:
    return find_part(levels.clip(0, 255).astype(np.uint8))


def assert_fits(found: Shares, part: np.ndarray, slack: float = 0.07) -> None:
    """The box holds the part as a whole, and hardly more."""
    outwards = (box_of(part) - found) * [1, 1, -1, -1]
    assert (outwards >= -1e-9).all(), f"{found} cuts off a piece of {box_of(part)}"
    assert (outwards <= MARGIN + slack).all(), f"{found} is much larger than {box_of(part)}"


@pytest.mark.parametrize("kind", BACKGROUNDS)
@pytest.mark.parametrize("part", [disc((110, 250), 50), plate(60, 40, 70, 150)], ids=["disc", "plate"])
def test_a_part_is_found_whatever_lies_behind_it(kind, part):
    levels = background(kind, np.random.default_rng(3))
    levels[part] += 90 if levels[part].mean() < 128 else -90
    assert_fits(find(levels), part)


def test_a_part_with_a_hole_and_two_levels_is_seen_as_a_whole():
    levels, part = background("slope", np.random.default_rng(1)), disc((150, 180), 70)
    ring = part & ~disc((150, 180), 30)
    levels[ring & (np.arange(SHAPE[1]) < 180)], levels[ring & (np.arange(SHAPE[1]) >= 180)] = 245, 15
    assert_fits(find(levels), part)


def test_a_part_that_differs_by_its_texture_alone_is_found():
    rng = np.random.default_rng(2)
    levels, part = background("slope", rng), plate(80, 120, 140, 160)
    levels[part] += rng.normal(0, 35, part.sum())
    assert_fits(find(levels), part, slack=0.09)


@pytest.mark.parametrize("part", [disc((20, 200), 80), disc((150, 380), 90), plate(0, 0, 150, 170)])
def test_a_part_that_the_picture_cuts_off_reaches_to_its_edge(part):
    levels = background("slope", np.random.default_rng(4))
    levels[part] = 235
    assert_fits(find(levels), part, slack=0.1)


def test_a_box_holds_both_of_two_parts_and_leaves_out_dirt():
    levels = background("dark", np.random.default_rng(5))
    parts = disc((100, 80), 40) | disc((160, 250), 35)
    levels[parts | disc((280, 385), 6)] = 150
    assert_fits(find(levels), parts)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_where_no_part_is_found_the_picture_is_seen_whole(kind):
    assert find(background(kind, np.random.default_rng(6))) == WHOLE


def test_a_small_spot_on_a_surface_that_fills_the_picture_is_no_part():
    """Else good parts would be seen whole, and defective ones at their defect."""
    levels = background("texture", np.random.default_rng(7))
    levels[disc((150, 200), 14)] = 5
    assert find(levels) == WHOLE


def test_a_part_that_fills_nearly_all_is_seen_whole():
    levels, part = background("dark", np.random.default_rng(8)), plate(12, 12, 280, 380)
    levels[part] = 160
    assert find(levels) == WHOLE


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (11, 11), (32, 32), (2_000, 24)])
def test_pictures_of_any_shape_have_a_box(shape):
    found = find_part(np.random.default_rng(9).integers(0, 256, shape, np.uint8))
    assert 0 <= found.left < found.right <= 1
    assert 0 <= found.top < found.bottom <= 1


def test_the_box_is_the_same_each_time():
    levels = background("texture", np.random.default_rng(10))
    levels[disc((150, 200), 60)] = 240
    assert find(levels) == find(levels.copy())
