"""Audit: every pair of equal files, and those that lie on both sides of the published split."""

import pytest

from tasks.audit import audit
from tasks.images.copies import Copy, Member, exact_copies, groups
from tasks.images.manifest import Row
from tasks.runs.config import Auditing, Classes
from tasks.runs.records import Manifest
from tasks.runs.tables import read_table, store_table


def row(path: str, content: str, published: str = "train", origin: str = "base") -> Row:
    return Row(path, content, "ok_front", origin, published, 48, 48, 120.0)


@pytest.fixture
def audited(places):
    def run(rows: list[Row]):
        table = store_table("manifest", rows, Row, places)
        manifest = Manifest(table=table, refused=table, classes=Classes(), images=len(rows), quarantined=0)
        return audit.fn(manifest, Auditing(), places)

    return run


@pytest.mark.parametrize(("copies", "pairs"), [(1, 0), (2, 1), (3, 3), (4, 6)])
def test_every_pair_is_listed_once(copies, pairs):
    rows = [row(f"{number}.jpeg", "aa") for number in range(copies)]
    found = exact_copies([*rows, row("other.jpeg", "bb")])
    assert len(found) == pairs
    assert len({(pair.path, pair.copy_path) for pair in found}) == pairs
    assert all(pair.path < pair.copy_path for pair in found)


def test_a_pair_says_where_both_come_from():
    (pair,) = exact_copies([row("train/1.jpeg", "aa"), row("ok/9.jpeg", "aa", "", "line 2")])
    assert pair == Copy("train/1.jpeg", "base", "train", "ok/9.jpeg", "line 2", "", "identity", 1.0)


def test_no_image_has_no_copy():
    assert exact_copies([]) == []
    assert groups([]) == []


def test_equal_contents_are_one_group_in_the_order_of_the_rows():
    assert groups([row("a", "bb"), row("b", "aa"), row("c", "bb")]) == [Member("bb", "bb"), Member("aa", "aa")]


def test_pairs_between_train_and_test_are_counted_and_no_others(audited, places):
    record = audited(
        [
            row("train/1", "aa"),
            row("train/2", "aa"),
            row("test/1", "aa", "test"),
            row("test/2", "bb", "test"),
            row("test/3", "bb", "test"),
            row("validation/1", "cc", "validation"),
            row("test/4", "cc", "test"),
            row("ok/1", "bb", "", "line 2"),
            row("train/3", "dd"),
        ]
    )
    assert record.exact_copies_across_splits == 2
    assert len(read_table(record.pairs.path(places), Copy)) == 3 + 3 + 1
    assert [member.sha256 for member in read_table(record.groups.path(places), Member)] == ["aa", "bb", "cc", "dd"]


def test_without_copies_nothing_is_found(audited, places):
    record = audited([row("train/1", "aa"), row("test/1", "bb", "test")])
    assert record.exact_copies_across_splits == 0
    assert read_table(record.pairs.path(places), Copy) == []


def test_what_is_not_looked_for_is_not_told(audited):
    record = audited([row("train/1", "aa")])
    assert (
        record.near_copies_across_splits,
        record.castings,
        record.copy_baseline_accuracy,
        record.brightness_auc,
    ) == (None,) * 4
