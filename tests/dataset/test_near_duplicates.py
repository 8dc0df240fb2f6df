"""Near duplicates: a photograph is found again however it was turned, lit, moved or encoded, and no other photograph is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset import near_duplicates, registration
from tasks.dataset.near_duplicates import (
    MAX_CANDIDATES,
    POSES,
    Pairs,
    apply_pose,
    best_correlations,
    find_near_duplicates,
    low_frequencies,
)
from tasks.dataset.registration import SIDE, apply_shift, register
from tasks.images.views import square
from tasks.settings.settings import AuditSettings
from tasks.sources.synthetic.cameras import CAMERAS
from tasks.sources.synthetic.corruptions import TRANSFORMS, decode, encode, relight, requality
from tasks.sources.synthetic.corruptions import shifted as moved
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph

LIMIT = AuditSettings().copy_limit
WIDTH = 300  # pixels of a photograph
NAMES = [name for name, *_ in POSES]
JPEGs = list[bytes]


def draw_photographs() -> JPEGs:
    """Photographs of three castings, each by every camera and twice by the first."""
    found = []
    for part in range(3):
        rng = np.random.default_rng([part, 3])
        casting = draw_casting(rng)
        found += [encode(photograph(casting, camera, rng).pixels, 85) for camera in (*CAMERAS, CAMERAS[0])]
    return found


@pytest.fixture(scope="module")
def jpegs() -> JPEGs:
    return draw_photographs()


def thumbnails(jpegs: JPEGs) -> np.ndarray:
    return np.stack([square(decode(jpeg), SIDE) for jpeg in jpegs])


def find_pairs(jpegs: JPEGs, limit: float = LIMIT) -> Pairs:
    return find_near_duplicates(thumbnails(jpegs), np.zeros(len(jpegs), bool), limit)


def asymmetric_picture(seed: int = 0, side: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def pose_by_name(picture: np.ndarray, name: str) -> np.ndarray:
    """What the words say: mirrored left and right, if at all, then turned anticlockwise."""
    if "mirror" in name:
        picture = picture[:, ::-1]
    return np.rot90(picture, int(name.rpartition("turn ")[2]) // 90) if "turn" in name else picture


def test_the_poses_are_those_of_the_sample_and_the_upright_one():
    assert sorted(NAMES) == sorted(["", *(name for name in TRANSFORMS if name.startswith(("turn", "mirror")))])


@pytest.mark.parametrize(("pose", "name"), list(enumerate(NAMES)), ids=lambda value: str(value))
def test_a_pose_does_what_its_name_says(pose, name):
    picture = asymmetric_picture()
    assert np.array_equal(apply_pose(picture[None], np.array([pose]))[0], pose_by_name(picture, name))
    if name:  # and what the sample calls so; JPEG changes the levels a little
        smooth = np.kron(asymmetric_picture(side=4), np.ones((16, 16), np.uint8))
        drawn = decode(TRANSFORMS[name](encode(smooth, 95)))
        assert np.abs(drawn.astype(float) - pose_by_name(smooth, name)).mean() < 4


def test_the_eight_poses_are_eight():
    pictures = np.stack([asymmetric_picture()] * 8)
    assert len({picture.tobytes() for picture in apply_pose(pictures, np.arange(8))}) == 8


@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 5))
def test_four_products_know_the_greatest_of_eight(seed, ones, others):
    generator = np.random.default_rng(seed)
    one, other = (generator.integers(0, 256, (number, SIDE, SIDE), np.uint8) for number in (ones, others))
    turned = [low_frequencies(apply_pose(one, np.full(ones, pose))) for pose in range(8)]
    still = low_frequencies(other).reshape(others, -1)
    every = np.stack([low.reshape(ones, -1) @ still.T for low in turned])
    assert best_correlations(low_frequencies(one), low_frequencies(other)) == pytest.approx(every.max(axis=0), abs=1e-5)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_change_that_the_sample_plants_is_found_and_named(jpegs, name):
    for jpeg in jpegs[::5]:
        pairs = find_pairs([jpeg, TRANSFORMS[name](jpeg)])
        assert (*pairs.earlier, *pairs.later) == (0, 1)
        assert NAMES[pairs.pose[0]] == (name if name in NAMES else "")
        right, down = map(int, name.split()[1:]) if name.startswith("shift") else (0, 0)
        assert pairs.shift[0] * WIDTH / SIDE == pytest.approx([right, down], abs=0.5)


@pytest.mark.parametrize("right", [-3, 0, 2, 3])
@pytest.mark.parametrize("down", [-3, -1, 0, 3])
def test_a_shift_is_found_to_half_a_pixel(jpegs, right, down):
    for jpeg in jpegs[2::5]:
        pairs = find_pairs([jpeg, moved(right, down)(jpeg)])
        assert pairs.shift[0] * WIDTH / SIDE == pytest.approx([right, down], abs=0.5)


@pytest.mark.parametrize("pose", range(8), ids=lambda pose: NAMES[pose] or "upright")
def test_a_shift_is_told_as_it_is_after_the_turn(jpegs, pose):
    turned = encode(np.ascontiguousarray(pose_by_name(decode(jpegs[1]), NAMES[pose])), 90)
    pairs = find_pairs([jpegs[1], moved(3, -2)(turned)])
    assert NAMES[pairs.pose[0]] == NAMES[pose]
    assert pairs.shift[0] * WIDTH / SIDE == pytest.approx([3, -2], abs=0.5)


@pytest.mark.parametrize("gain", [0.7, 0.85, 1.15, 1.3])
@pytest.mark.parametrize("quality", [60, 90])
def test_light_and_quality_together_hide_no_copy(jpegs, gain, quality):
    for jpeg in jpegs[::4]:
        turned = TRANSFORMS["mirror, turn 270"](jpeg)
        pairs = find_pairs([jpeg, requality(quality)(relight(gain)(turned))])
        assert [NAMES[pose] for pose in pairs.pose] == ["mirror, turn 270"]


def test_other_photographs_are_no_copies_though_they_show_the_same_casting(jpegs):
    assert len(find_pairs(jpegs).earlier) == 0
    again = [TRANSFORMS["turn 90"](jpeg) for jpeg in jpegs]
    pairs = find_pairs([*jpegs, *again])
    assert list(zip(pairs.earlier, pairs.later, strict=True)) == [(n, n + len(jpegs)) for n in range(len(jpegs))]


@pytest.mark.parametrize("is_test", ["none", "some", "all"])
@pytest.mark.parametrize("block", [2, 7, 1_024])
def test_every_pair_is_found_once_with_the_earlier_one_first(jpegs, is_test, block, monkeypatch):
    for size in ("QUERIES", "PIECE"):
        monkeypatch.setattr(near_duplicates, size, block)
    monkeypatch.setattr(registration, "PIECE", block)
    kinds = ["mirror", "turn 90", "brightness 0.85", "shift 3 -2"]
    copies = [TRANSFORMS[kind](jpeg) for kind in kinds for jpeg in jpegs[:3]]
    contents = [*jpegs[:3], *copies]
    named = {"none": np.zeros(15, bool), "some": np.arange(15) % 3 == 0, "all": np.ones(15, bool)}[is_test]
    pairs = find_near_duplicates(thumbnails(contents), named, LIMIT)
    expected = [(one, other) for one, other in combinations(range(15), 2) if one % 3 == other % 3]
    assert list(zip(pairs.earlier, pairs.later, strict=True)) == expected


def test_a_score_is_of_the_pair_and_not_of_its_company(jpegs):
    """To the last bit: or a new image could change the table of copies, and with it every later step."""
    several = [jpegs[0], *jpegs[5:12], TRANSFORMS["turn 180"](jpegs[0]), *jpegs[1:4]]
    alone, among = find_pairs([several[0], several[8]]), find_pairs(several)
    assert [column.tolist() for column in among[2:]] == [column.tolist() for column in alone[2:]]


def test_among_many_copies_a_copy_of_the_test_is_still_found(jpegs):
    """As when train holds twenty copies of a picture that test holds too, and the nearest twelve are all of train."""
    plain = [encode(decode(jpegs[0]), quality) for quality in range(70, 95)]
    far = relight(0.7)(moved(3, 3)(jpegs[0]))
    for place in (0, 12, 25):
        contents = [*plain[:place], far, *plain[place:]]
        is_test = np.arange(26) == place
        pairs = find_near_duplicates(thumbnails(contents), is_test, LIMIT)
        both = zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True)
        copies = {one + other - place for one, other in both if place in (one, other)}
        assert copies == set(range(26)) - {place}


def test_of_very_many_copies_some_are_listed_for_each(jpegs):
    contents = [encode(decode(jpegs[0]), quality) for quality in range(60, 95)]
    pairs = find_pairs(contents)
    earlier = np.bincount(pairs.later, minlength=len(contents))
    assert list(earlier) == [min(number, MAX_CANDIDATES) for number in range(len(contents))]
    assert (pairs.earlier < pairs.later).all()


@pytest.mark.parametrize("level", [0, 7, 255])
def test_an_even_picture_does_no_harm(jpegs, level):
    even = np.full((2, SIDE, SIDE), level, np.uint8)
    assert len(find_near_duplicates(even, np.ones(2, bool), 0.6).earlier) == 0
    among = np.concatenate([even, thumbnails([jpegs[0], TRANSFORMS["mirror"](jpegs[0])]), even])
    pairs = find_near_duplicates(among, np.zeros(6, bool), LIMIT)
    assert (*pairs.earlier, *pairs.later) == (2, 3)
    assert np.isfinite(pairs.score).all()
    assert np.isfinite(pairs.shift).all()


def test_a_picture_that_is_even_but_for_one_pixel_does_no_harm():
    one = np.full((3, SIDE, SIDE), 100, np.uint8)
    one[0, 60, 60], one[1, 20, 90] = 101, 255
    pairs = find_near_duplicates(one, np.zeros(3, bool), 0.6)
    assert np.isfinite(pairs.score).all()


@pytest.mark.parametrize("number", [0, 1])
def test_none_and_one_have_no_copies(jpegs, number):
    pairs = find_near_duplicates(thumbnails(jpegs)[:number], np.ones(number, bool), LIMIT)
    assert [len(column) for column in pairs] == [0] * 5
    assert pairs.shift.shape == (0, 2)


def test_moving_by_whole_pixels_moves_right_and_down():
    picture = np.zeros((1, 12, 12), np.int8)
    picture[0, 5, 4] = 9
    inside = apply_shift(picture, np.array([[2, -1]]), margin=3)
    assert np.argwhere(inside[0]).tolist() == [[5 - 1 - 3, 4 + 2 - 3]]


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (0.4, 0.0), (0.0, -0.4), (0.3, 0.3)])
def test_a_part_of_a_pixel_is_found_from_the_slopes(right, down):
    def waves(right: float, down: float) -> np.ndarray:
        y, x = np.mgrid[:40, :40].astype(np.float32)
        return 30 * (np.sin((x - right) / 3) + np.cos((y - down) / 4) + np.sin((x - right + y - down) / 5))[None]

    shift, score = register(waves(right, down), waves(0, 0)[:, 3:-3, 3:-3])
    assert shift[0] == pytest.approx([right, down], abs=0.05)
    assert score[0] > 0.995


def test_the_pairs_that_are_taken_keep_their_numbers(jpegs):
    pairs = find_pairs([*jpegs[:2], *(TRANSFORMS["turn 90"](jpeg) for jpeg in jpegs[:2])])
    last = pairs.take(pairs.earlier == 1)
    assert (last.earlier.tolist(), last.later.tolist(), last.score.tolist()) == ([1], [3], [pairs.score[1]])
