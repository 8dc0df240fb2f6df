"""Duplicates: every pair of copies of one photograph is named, the earlier first, with words for what turns it into the other."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.duplicates import Copy, changed_copies, exact_copies, transform
from tasks.dataset.near_duplicates import POSES, Pairs
from tasks.dataset.registration import SIDE
from tasks.records.rows import Row

NAMES = [name for name, *_ in POSES]


def row(
    path: str, content: str, published: str = "train", origin: str = "base", brightness: float = 120.0, width: int = 300
) -> Row:
    return Row(path, content, "ok_front", origin, published, width, 300, brightness, 110.0, 9.0)


def pair(one: str, other: str, published: str = "train", copy_published: str = "test") -> Copy:
    return Copy("a", one, "base", published, "b", other, "base", copy_published, "turn 90", 0.99)


@pytest.mark.parametrize(("copies", "pairs"), [(1, 0), (2, 1), (3, 3), (4, 6)])
def test_every_pair_of_equal_files_is_listed_once(copies, pairs):
    rows = [row(f"{number}.jpeg", "aa") for number in range(copies)]
    found = exact_copies([*rows, row("other.jpeg", "bb")])
    assert len({(one.path, one.copy_path) for one in found}) == len(found) == pairs
    assert all(one.path < one.copy_path for one in found)


@given(st.lists(st.sampled_from("abcdef"), max_size=20))
def test_equal_files_are_those_of_equal_content_in_the_order_of_the_rows(contents):
    rows = [row(f"{number:02}", content) for number, content in enumerate(contents)]
    expected = {(one.path, other.path) for one, other in combinations(rows, 2) if one.sha256 == other.sha256}
    assert {(one.path, one.copy_path) for one in exact_copies(rows)} == expected


def test_a_pair_says_where_both_come_from():
    (found,) = exact_copies([row("train/1.jpeg", "aa"), row("ok/9.jpeg", "aa", "", "line 2")])
    assert found == Copy("train/1.jpeg", "aa", "base", "train", "ok/9.jpeg", "aa", "line 2", "", "equal", 1.0)


@pytest.mark.parametrize(
    ("published", "copy_published", "across"),
    [
        ("train", "test", True),
        ("test", "train", True),
        ("train", "train", False),
        ("test", "test", False),
        ("", "test", False),
        ("train", "", False),
        ("validation", "test", False),
        ("train", "validation", False),
    ],
)
def test_a_pair_lies_across_where_one_is_of_train_and_one_of_test(published, copy_published, across):
    assert pair("aa", "bb", published, copy_published).across() is across


def pairs(*found: tuple[int, int, int, float, float, float]) -> Pairs:
    """Of one, other, pose, shift right, shift down, score."""
    one, other, pose, right, down, score = np.array(found, float).reshape(-1, 6).T
    shift = np.stack([right, down], axis=1)
    return Pairs(one.astype(int), other.astype(int), pose.astype(int), shift, score.astype(np.float32))


def test_changed_copies_come_with_the_surest_first():
    images = [row(f"{number}.jpeg", f"{number}") for number in range(4)]
    found = changed_copies(images, pairs((0, 1, 0, 0, 0, 0.96), (0, 2, 6, 0, 0, 0.999), (1, 3, 3, 0, 0, 0.97)))
    assert [one.contents() for one in found] == [("0", "2"), ("1", "3"), ("0", "1")]
    assert [one.transform for one in found] == ["turn 90", "turn 180", "encoded again"]
    assert [one.score for one in found] == [0.999, 0.97, 0.96]


def test_no_pair_is_no_copy():
    assert changed_copies([], pairs()) == exact_copies([]) == []


def test_pairs_of_equal_score_keep_their_order():
    images = [row(f"{number}.jpeg", f"{number}") for number in range(5)]
    found = changed_copies(images, pairs(*((0, other, 0, 0, 0, 0.98) for other in range(1, 5))))
    assert [one.copy_path for one in found] == [f"{number}.jpeg" for number in range(1, 5)]


@pytest.mark.parametrize(
    ("pose", "right", "down", "brightness", "says"),
    [
        ("", 0, 0, 120, "encoded again"),
        ("turn 90", 0, 0, 120, "turn 90"),
        ("mirror, turn 270", 0, 0, 120, "mirror, turn 270"),
        ("", 3, -2, 120, "shift 3 -2"),
        ("", 0, 1, 120, "shift 0 1"),
        ("", 0.4, -0.4, 120, "encoded again"),
        ("", 0, 0, 138, "brightness 1.15"),
        ("", 0, 0, 84, "brightness 0.70"),
        ("", 0, 0, 123, "encoded again"),
        ("mirror", -1, 2, 156, "mirror, shift -1 2, brightness 1.30"),
    ],
)
def test_a_change_is_told_in_the_words_of_the_sample(pose, right, down, brightness, says):
    shift = np.array([right, down]) * SIDE / 300
    other = row("b", "bb", brightness=brightness)
    assert transform(row("a", "aa"), other, NAMES.index(pose), shift) == says


def test_a_shift_is_told_in_pixels_of_the_second_image():
    """As it is seen after the turn: across in its width, down in its height."""
    wide = row("b", "bb", width=600)
    assert transform(row("a", "aa"), wide, 0, np.array([1.28, 1.28])) == "shift 6 3"


def test_a_black_image_has_a_brightness_too():
    assert transform(row("a", "aa", brightness=0.0), row("b", "bb", brightness=1.0), 0, np.zeros(2)) == "encoded again"
