"""Suspects gallery: each suspect stands beside its part and the most alike parts of both classes, and nothing suspected is a neighbor."""

import numpy as np
import pytest

from tasks.records.rows import Row, Suspect
from tasks.reporting import suspects_gallery
from tasks.reporting.suspects_gallery import MOST, first_of_each_kind, nearest_parts, pictures, same_part
from tasks.settings.settings import Classes
from tasks.storage.tables import read_table

CLASSES = Classes()


def make_row(content: str, group: str, label: str = CLASSES.good) -> Row:
    return Row(f"{content}.jpeg", content, label, "base", "train", 300, 300, 1.0, 1.0, 1.0, group)


def suspect_of(row: Row) -> Suspect:
    return Suspect(
        row.path, row.sha256, row.origin, row.group, row.label, "other", 0.9, "part", 1, 1, 1, 0.9
    )  # fmt: skip


@pytest.fixture
def drawn_thumbnails(monkeypatch) -> dict[str, np.ndarray]:
    """The thumbnail of each content; a content that has none gets one of its own."""
    drawn: dict[str, np.ndarray] = {}

    def thumbnails(rows, places):
        for row in rows:
            drawn.setdefault(row.sha256, np.random.default_rng(len(drawn)).integers(0, 255, (128, 128), np.uint8))
        return np.array([drawn[row.sha256] for row in rows], np.uint8).reshape(-1, 128, 128)

    monkeypatch.setattr(suspects_gallery.loading, "thumbnails", thumbnails)
    return drawn


def test_the_most_alike_part_of_each_class_is_found_in_any_pose_and_never_the_part_itself(drawn_thumbnails, places):
    case = make_row("case", "a")
    own, mirrored = make_row("own", "a"), make_row("mirrored", "b")
    defect, further = make_row("defect", "c", CLASSES.defect), make_row("further", "d", CLASSES.defect)
    picture = np.random.default_rng(9).integers(0, 255, (128, 128)).astype(np.uint8)
    drawn_thumbnails |= {"case": picture, "own": picture, "mirrored": picture[:, ::-1].copy()}
    drawn_thumbnails["defect"] = (picture // 2 + np.rot90(picture) // 3).astype(np.uint8)
    references = [further, own, make_row("good", "e"), mirrored, defect]
    assert list(nearest_parts([case], references, CLASSES, places)) == [[defect, mirrored]]
    assert list(nearest_parts([case], [own, further], CLASSES, places)) == [[further]]
    assert list(nearest_parts([case], [], CLASSES, places)) == [[]]


def test_a_photograph_of_the_same_part_with_the_other_label_is_shown_before_one_with_the_same():
    case, same = make_row("case", "a"), make_row("same", "a")
    contrary, stranger = make_row("contrary", "a", CLASSES.defect), make_row("stranger", "b", CLASSES.defect)
    assert same_part(case, [case, same, contrary, stranger]) == [contrary]
    assert same_part(case, [case, same, stranger]) == [same]
    assert same_part(case, [case, stranger]) == []


def test_both_kinds_of_suspects_have_room_and_keep_the_order_and_the_numbers_of_the_table():
    rows = [make_row(f"{number}", f"part {number}") for number in range(2 * MOST)]
    singles = [suspect_of(row)._replace(kind="image") for row in rows[:-2]]
    parts = [suspect_of(row) for row in rows[-2:]]
    numbers = [*range(1, MOST - 1), 2 * MOST - 1, 2 * MOST]
    assert list(first_of_each_kind([*singles, *parts])) == numbers
    assert [suspect.kind for suspect in first_of_each_kind([*singles, *parts]).values()][-3:] == [
        "image",
        "part",
        "part",
    ]
    assert list(first_of_each_kind(singles)) == list(range(1, MOST + 1))
    assert first_of_each_kind([]) == {}


def test_a_picture_shows_the_first_parts_and_there_is_none_without_a_suspect(prepared, places):
    *_, splits = prepared(train=20, test=8)
    rows = read_table(splits.table.path(places), Row)
    suspects = [suspect_of(row) for row in rows if row.label == CLASSES.defect]
    (picture,) = pictures(suspects[:2], rows, CLASSES, places)
    (longer,) = pictures(suspects, rows, CLASSES, places)
    assert picture.name == "suspects"
    assert picture.caption.startswith("2 parts with their numbers in the table")
    assert longer.image.height / MOST == pytest.approx(picture.image.height / 2, rel=0.1)
    assert np.asarray(picture.image.convert("L")).std() > 5
    assert list(pictures([], rows, CLASSES, places)) == []
