"""Folds: parts stay whole, labels and origins are spread evenly, and no judged part is learned from."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.folds import assign_folds, divided_images, split_by_fold
from tasks.records.rows import BASE, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, SplitSettings
from tasks.storage.tables import read_table

DEFECT, GOOD = Classes().defect, Classes().good
SHARE = SplitSettings().validation_fraction
MANY = st.lists(st.integers(1, 30), min_size=4, max_size=20)


def rows_of(images: list[int], label: str, origin: str = BASE) -> list[Row]:
    """So many images of each casting in turn."""
    return [
        Row(f"train/{label}/{casting}-{number}.jpeg", f"{origin}-{label}-{casting}-{number}", label, origin, "train",
            300, 300, 120.0, 110.0, 9.0, group=f"{origin}-{label}-{casting}")
        for casting, count in enumerate(images)
        for number in range(count)
    ]  # fmt: skip


@given(MANY, MANY, st.integers(2, 4), st.integers(0, 9))
def test_every_casting_lies_whole_in_one_fold_and_labels_are_spread_evenly(defective, good, number, seed):
    rows = rows_of(defective, DEFECT) + rows_of(good, GOOD)
    parts = assign_folds(rows, number, seed)
    assert Counter(group for part in parts for group in part) == Counter({row.group for row in rows})
    for label, sizes in ((DEFECT, defective), (GOOD, good)):
        images = [sum(row.group in part and row.label == label for row in rows) for part in parts]
        assert min(images) > 0
        assert max(images) - min(images) <= max(sizes), "one casting more would even it out"
    assert assign_folds(rows[::-1], number, seed) == parts


def test_folds_that_would_lack_a_label_are_refused():
    with pytest.raises(BadInput, match=f"{GOOD} has 2 parts, and 3 folds need as many"):
        assign_folds(rows_of([3] * 5, DEFECT) + rows_of([3] * 2, GOOD), 3, 0)


@given(st.integers(2, 5), st.integers(0, 9))
def test_a_camera_of_few_parts_is_in_every_fold_that_it_can_be_in(number, seed):
    few = rows_of([3] * number, DEFECT, "line 2")
    rows = rows_of([9, 1, 5, 2, 7, 30], DEFECT) + rows_of([4] * 6, GOOD) + few
    assert all({row.group for row in few} & fold for fold in assign_folds(rows, number, seed))


@given(MANY, MANY, st.integers(0, 9))
def test_a_judged_casting_is_not_learnt_from_and_others_validate(defective, good, seed):
    rows = rows_of(defective, DEFECT) + rows_of(good, GOOD)
    part = assign_folds(rows, 2, seed)[0]
    split = split_by_fold(rows, part, SHARE, seed)
    assert {row.group for row in split if row.split == "test"} == part
    assert [row._replace(split="") for row in split] == rows
    sides = defaultdict(set)
    for one in split:
        sides[one.group].add(one.split)
    assert all(len(found) == 1 for found in sides.values())
    for label in (DEFECT, GOOD):
        others = {row.group for row in rows if row.label == label} - part
        if len(others) >= 3:  # with fewer, chance decides which side has none
            assert {row.split for row in split if row.group in others} == {"train", "validation"}


def test_rows_are_handed_on_as_split_does(places):
    rows = split_by_fold(rows_of([4] * 6, DEFECT) + rows_of([4] * 6, GOOD), set(), SHARE, 0)
    splits = divided_images(rows, Classes(), places, castings=True)
    assert read_table(splits.table.path(places), Row) == rows
    assert splits.by_split["train"] + splits.by_split["validation"] == splits.images == 48
    assert splits.castings_by_split["train"] + splits.castings_by_split["validation"] == 12
    assert divided_images(rows, Classes(), places, castings=False).castings_by_split is None
