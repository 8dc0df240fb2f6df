"""Parts by detail: photographs of one part are found under any light, and different parts are never joined, however equal they are."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage

from tasks.dataset.detail_parts import (
    DetailGroups,
    correlate_pairs,
    find_limit,
    index_detail,
    join_by_detail,
)
from tasks.dataset.near_duplicates import POSES, apply_pose
from tasks.dataset.registration import SIDE
from tasks.settings.settings import AuditSettings

SHARE = AuditSettings().false_partner_share
EDGE = 8  # pixels that a photograph may be shifted by


def texture(rng: np.random.Generator) -> np.ndarray:
    """The detail of one part, of deviation 1, larger than a photograph."""
    grain = ndimage.gaussian_filter(rng.normal(size=(SIDE + 2 * EDGE,) * 2), 1.2)
    return grain / grain.std()


def photograph(detail: np.ndarray, rng: np.random.Generator, edge: int = 4) -> np.ndarray:
    """A photograph of a part, shifted, under a lamp of its own, with a camera's noise."""
    down, right = EDGE + rng.integers(-edge, edge + 1, 2)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    lamp = np.exp(rng.uniform(0.5, 1.5) * (np.cos(turn) * x + np.sin(turn) * y) + 0.4 * np.sin(rng.uniform(2, 6) * x))
    seen = 100 * lamp * np.exp(0.12 * detail[down : down + SIDE, right : right + SIDE])
    return (seen + rng.normal(0, 2, seen.shape)).clip(0, 255).astype(np.uint8)


def draw(details: Sequence[np.ndarray], photographs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """So many photographs of each part in any order, and the part of each."""
    rng = np.random.default_rng(seed)
    parts = rng.permutation(np.repeat(np.arange(len(details)), photographs))
    return np.stack([photograph(details[part], rng) for part in parts]), parts


def textures(number: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [texture(rng) for _ in range(number)]


def join(thumbnails: np.ndarray, base: int | None = None, leaders: Sequence[int] | None = None) -> DetailGroups:
    number = len(thumbnails)
    is_base = np.arange(number) < (number if base is None else base)
    return join_by_detail(
        thumbnails, np.full((number, 2), 300), is_base, range(number) if leaders is None else leaders, SHARE
    )


def first_places(parts: np.ndarray) -> list[int]:
    """The place of the first photograph of each photograph's part."""
    return [int(np.flatnonzero(parts == part)[0]) for part in parts]


def test_forty_textures_under_six_lights_are_forty_parts():
    thumbnails, parts = draw(textures(40), 6)
    groups = join(thumbnails)
    assert groups.leaders == first_places(parts)
    assert all((score == 1) == (leader == place) for place, (leader, score) in enumerate(zip(*groups[:2], strict=True)))


def test_a_part_is_found_however_it_was_turned():
    thumbnails, parts = draw(textures(30), 2)
    for place, part in enumerate(parts):
        if place not in first_places(parts):
            thumbnails[place] = apply_pose(thumbnails[place : place + 1], np.array([part % len(POSES)]))[0]
    assert join(thumbnails).leaders == first_places(parts)


def test_parts_that_are_photographed_once_are_not_joined():
    assert join(draw(textures(120), 1)[0]).leaders == list(range(120))


@pytest.mark.parametrize("own", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("designs", [1, 3])
def test_equal_products_are_not_joined(own, designs):
    """Each differs from the others by its own noise alone."""
    shared = textures(designs, seed=2)
    details = [shared[number % designs] + own * noise for number, noise in enumerate(textures(120))]
    assert join(draw(details, 1)[0]).leaders == list(range(120))


def test_stripes_that_a_tool_leaves_on_all_parts_join_none():
    stripes = 2 * np.tile(np.random.default_rng(3).normal(size=SIDE + 2 * EDGE), (SIDE + 2 * EDGE, 1))
    thumbnails, parts = draw([stripes + noise for noise in textures(40)], 3)
    assert join(thumbnails).leaders == first_places(parts)


def test_a_group_never_chains():
    """The second is alike to the first, and the third to the second, but not to the first."""
    first, third, *others = textures(62)
    rng = np.random.default_rng(4)
    chain = [photograph(detail, rng) for detail in (first, (first + third) / np.sqrt(2), third)]
    groups = join(np.concatenate([np.stack(chain), draw(others, 1)[0]]))
    assert groups.leaders[:3] == [0, 0, 2]


def test_an_arrival_moves_no_earlier_image():
    thumbnails, parts = draw(textures(40), 3)
    arrivals, arrived = draw(textures(40)[:5] + textures(5, seed=9), 2, seed=5)
    before, after = join(thumbnails), join(np.concatenate([thumbnails, arrivals]), base=len(thumbnails))
    assert after.leaders[: len(thumbnails)] == before.leaders
    assert after.limit == before.limit
    assert after.leaders == first_places(np.concatenate([parts, np.where(arrived < 5, arrived, arrived + 100)]))


def test_what_led_so_far_takes_its_group_along():
    thumbnails, parts = draw(textures(30), 3)
    leaders = list(range(len(parts)))
    leaders[-1] = len(parts) - 2  # copies, perhaps; whatever they show
    groups = join(thumbnails, leaders=leaders)
    assert groups.leaders == [*first_places(parts)[:-1], first_places(parts)[-2]]
    assert groups.scores[-1] == 1


def test_pieces_of_one_part_of_unequal_size_are_found_at_one_scale():
    """The second photograph of each part shows less of it, both as thumbnails of one size."""
    rng = np.random.default_rng(6)
    whole = [photograph(detail, rng) for detail in textures(30)]
    pieces = [ndimage.zoom(picture[6:122, 2:122].astype(float), (SIDE / 116, SIDE / 120), order=1) for picture in whole]
    thumbnails = np.stack([*whole, *(piece.clip(0, 255).astype(np.uint8) for piece in pieces)])
    sizes = np.repeat([(256, 256), (232, 240)], 30, axis=0)
    everything = np.ones(60, bool)
    assert join_by_detail(thumbnails, sizes, everything, range(60), SHARE).leaders == [*range(30), *range(30)]


def test_a_pair_is_as_alike_in_any_company():
    thumbnails, _ = draw(textures(12), 2)
    thumbnails[5] = thumbnails[3].T
    sizes = np.random.default_rng(0).integers(200, 400, (24, 2))
    index = index_detail(thumbnails, sizes, np.ones(24, bool))
    earlier, later = np.triu_indices(24, 1)
    together = correlate_pairs(index, earlier, later)
    alone = [correlate_pairs(index, earlier[[pair]], later[[pair]])[0] for pair in range(len(earlier))]
    assert together.tolist() == alone


def test_a_stricter_share_sets_a_higher_limit():
    thumbnails, _ = draw(textures(40), 2)
    index = index_detail(thumbnails, np.full((80, 2), 300), np.ones(80, bool))
    limits = [find_limit(index, np.arange(80), share) for share in (0.1, 0.01, 0.001)]
    assert limits == sorted(limits)
    assert 0.3 < limits[0] < limits[2] < 0.7


@pytest.mark.parametrize("number", [0, 1, 19])
def test_few_pictures_tell_nothing(number):
    thumbnails = np.repeat(draw(textures(1), 1)[0], number, axis=0)
    assert join(thumbnails) == (list(range(number)), [1.0] * number, 1.0)


def test_blank_pictures_are_alike_to_nothing():
    thumbnails = np.full((30, SIDE, SIDE), 120, np.uint8)
    groups = join(thumbnails)
    assert groups.leaders == list(range(30))
