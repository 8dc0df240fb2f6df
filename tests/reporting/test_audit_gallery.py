"""Evidence: a leak counted once an image, the worst first, and pictures of what there is to see and of nothing else."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from tasks.dataset.duplicates import Copy
from tasks.records.rows import BASE, Row, stored_path
from tasks.reporting.audit_gallery import Album, Leak, Picture, leak, leak_bar, one_of_each, pictures, sample_tiles
from tasks.reporting.contact_sheet import GAP, LINE, PAPER, SIDE, SheetRow, Tile, sheet, stack_pictures
from tasks.reporting.words import ProductWords
from tasks.settings.settings import Classes
from tasks.sources.synthetic.corruptions import encode

GOOD, BAD = "ok_front", "def_front"
CASTINGS = ProductWords("casting", "castings")


def row(content: str, published: str = "train", group: str = "", label: str = GOOD, origin: str = BASE) -> Row:
    return Row(f"{published}/{content}.jpeg", content, label, origin, published, 300, 300, 1.0, 1.0, 1.0, group or content)  # fmt: skip


def pair(one: Row, other: Row, score: float = 0.98, transform: str = "turn 90") -> Copy:
    return Copy(
        one.path, one.sha256, one.origin, one.published,
        other.path, other.sha256, other.origin, other.published, transform, score,
    )  # fmt: skip


CONTENTS = st.integers(0, 9)
ROWS = st.lists(st.tuples(CONTENTS, st.sampled_from(["train", "test", "test", ""]), st.booleans()), max_size=25)


@given(ROWS, st.lists(st.tuples(CONTENTS, CONTENTS), max_size=6), st.lists(st.integers(0, 4), min_size=10, max_size=10))
def test_each_published_test_image_counts_once_as_the_worst_that_it_is(drawn, twins, groups):
    rows = [
        row(f"{content}", published, f"group {groups[content]}", origin="line 2" if arrived else BASE)
        for content, published, arrived in drawn
    ]
    copies = [pair(row(f"{one}"), row(f"{other}")) for one, other in twins]
    trained, tested = ([one for one in rows if one.origin == BASE and one.published == name] for name in ("train", "test"))  # fmt: skip
    near = {frozenset((f"{one}", f"{other}")) for one, other in twins}

    def way(test: Row) -> str:
        if any(test.sha256 == one.sha256 for one in trained):
            return "equal"
        if any(frozenset((test.sha256, one.sha256)) in near for one in trained):
            return "changed"
        return "part" if any(test.group == one.group for one in trained) else "new"

    found = leak(rows, copies)
    if not trained or not tested:
        assert found is None
    else:
        ways = [way(test) for test in tested]
        assert found == Leak(*(ways.count(name) for name in Leak._fields))
        assert sum(found) == len(tested)


def test_what_arrived_leaks_nothing():
    rows = [row("aa"), row("bb", "test"), row("bb", "train", origin="line 2")]
    assert leak(rows, [pair(rows[0], row("bb", "train", origin="line 2"))]) == Leak(0, 1, 0, 0)
    assert leak(rows, []) == Leak(0, 0, 0, 1)


def test_the_surest_pair_of_each_group_is_shown(places):
    rows = [row("a", group="1"), row("b", "test", "1"), row("c", "test", "1"), row("d", group="2"), row("e", "test", "2")]  # fmt: skip
    a, b, c, d, e = rows
    copies = [pair(a, b, 0.96), pair(d, e, 0.97), pair(a, c, 0.99)]
    assert [one.score for one in one_of_each(Album(rows, places), copies)] == [0.99, 0.97]


def test_the_largest_group_comes_first_and_every_content_once(places):
    rows = [row("a", group="1"), *(row(name, group="2") for name in "bcb"), row("d", group="3")]
    album = Album(rows, places)
    assert [[one.sha256 for one in group] for group in album.groups] == [["b", "c"], ["a"], ["d"]]


@pytest.fixture
def seen(places, photograph) -> Callable[..., dict[str, Picture]]:
    """Puts a photograph on the shelf for each row and gives the pictures by name."""

    def look(
        rows: list[Row],
        copies: list[Copy] = (),
        content: Callable[..., bytes] = photograph,
        words: ProductWords = CASTINGS,
    ) -> dict[str, Picture]:
        for one in rows:
            stored_path(one, places).parent.mkdir(parents=True, exist_ok=True)
            seed = int(hashlib.sha256(one.sha256.encode()).hexdigest()[:6], 16)
            stored_path(one, places).write_bytes(content(seed, size=(300, 300)))
        found = list(pictures(rows, list(copies), Classes(), words, places))
        assert len({one.name for one in found}) == len(found)
        return {one.name: one for one in found}

    return look


def leaking() -> tuple[list[Row], list[Copy]]:
    """Equal files, changed copies and castings on both sides, one casting with both labels."""
    rows = [row("equal"), row("equal", "test"), row("a", group="1"), row("b", "test", "1"), row("c", "test", "1", BAD)]
    rows += [row(f"new {number}", "test") for number in range(3)]
    return rows, [pair(rows[2], rows[3]), pair(rows[0], rows[1], 1.0, "equal")]


def test_all_there_is_to_see_stands_in_the_order_of_its_weight(seen):
    found = seen(*leaking())
    assert list(found) == ["leak", "copies", "castings", "shared", "mixed"]
    assert found["leak"].caption.startswith(
        "Of 6 published test images 1 lie in train byte by byte, 1 more are changed copies of train images, "
        "and 1 more show castings of train."
    )
    assert "Pairs of train and test" in found["copies"].caption
    assert "1 have several images" in found["castings"].caption
    assert "1 are published to train and to test" in found["shared"].caption
    assert "1 carry both labels" in found["mixed"].caption


@pytest.mark.parametrize("words", [CASTINGS, ProductWords("magnetic tile", "magnetic tiles")])
def test_titles_and_captions_name_the_product(seen, words):
    found = seen(*leaking(), words=words)
    assert f"and 1 more show {words.plural} of train." in found["leak"].caption
    assert f"one of each {words.singular}: how" in found["copies"].caption
    titles = [found[name].title.casefold() for name in ("castings", "shared", "mixed")]
    assert titles == [
        f"the largest {words.plural}",
        f"{words.plural} in train and test",
        f"{words.plural} with both labels",
    ]
    assert all(
        found[name].caption.startswith(f"Each row is one {words.singular}; ")
        for name in ("castings", "shared", "mixed")
    )
    assert words is CASTINGS or not any("casting" in f"{one.title} {one.caption}".casefold() for one in found.values())


def test_where_nothing_repeats_nothing_is_shown(seen):
    assert seen([row("a"), row("b", "test"), row("c", "")]) == {}
    assert seen([]) == {}


def test_copies_within_train_are_no_leak(seen):
    rows = [row("a", group="1"), row("b", group="1"), row("c", "test")]
    found = seen(rows, [pair(rows[0], rows[1])])
    assert list(found) == ["copies", "castings"]
    assert "Pairs of one photograph" in found["copies"].caption


def test_equal_files_alone_are_a_leak_without_pairs(seen):
    rows = [row("a"), row("a", "test"), row("b", "test")]
    assert list(seen(rows, [pair(rows[0], rows[1], 1.0, "equal")])) == ["leak"]


def test_a_casting_of_two_labels_on_one_side_is_mixed_and_not_shared(seen):
    assert list(seen([row("a", group="1"), row("b", group="1", label=BAD), row("c", "test")])) == ["castings", "mixed"]


def test_what_arrived_is_on_no_side_of_the_published_split(seen):
    rows = [row("a", group="1"), row("b", "test", "1", origin="line 2"), row("c", "test")]
    assert list(seen(rows)) == ["castings"]


def test_no_picture_is_too_large_for_the_database_of_the_ui(seen):
    def grain(seed: int, size: tuple[int, int]) -> bytes:
        """Has more detail than metal."""
        return encode(np.random.default_rng(seed).normal(120, 25, size).clip(0, 255).astype(np.uint8), 90)

    rows = [
        row(f"{number}", ("train", "test")[number % 2], f"{number % 13}", (GOOD, BAD)[number % 3 == 0])
        for number in range(130)
    ]
    copies = [pair(rows[number], rows[number + 13], 0.99, "mirror, turn 270, shift 3 -2") for number in range(26)]
    found = seen(rows, copies, grain)
    assert list(found) == ["leak", "copies", "castings", "shared", "mixed"]
    for one in found.values():
        file = io.BytesIO()
        one.image.save(file, format="JPEG", quality=85, optimize=True)
        assert file.tell() < 300_000, one.name
        assert max(one.image.size) < 1_200, one.name
        assert np.asarray(one.image.convert("L")).std() > 5, one.name
    assert "13 have several images" in found["castings"].caption


def test_photographs_of_a_group_are_taken_from_all_over_it(places, photograph):
    group = [row(f"{number:02}") for number in range(20)]
    for number, one in enumerate(group):
        stored_path(one, places).parent.mkdir(parents=True, exist_ok=True)
        stored_path(one, places).write_bytes(photograph(number))
    album = Album(group, places)
    for number in (1, 2, 6):
        assert len(sample_tiles(album, group, number)) == number
        assert len(sample_tiles(album, group[:2], number)) == min(number, 2)
    assert sample_tiles(album, [], 6) == ()
    shown = [tile.pixels.tobytes() for tile in sample_tiles(album, group, 2)]
    assert shown == [album.tile(group[place], "").pixels.tobytes() for place in (0, 10)]


def test_the_bar_is_divided_as_the_test_is():
    picture = np.asarray(leak_bar(Leak(equal=10, changed=20, part=30, new=40)))
    line = picture[GAP + 13, GAP + 1 : -GAP - 1]
    colours, counts = np.unique(line, axis=0, return_counts=True)
    assert len(colours) == 4
    assert sorted(counts / counts.sum()) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_what_does_not_occur_has_no_place_in_the_bar():
    line = np.asarray(leak_bar(Leak(equal=0, changed=20, part=0, new=0)))[GAP + 13, GAP : -GAP + 1]
    assert len(np.unique(line, axis=0)) == 1


@pytest.mark.parametrize("name", ["名前 🙂", "a\nb\n\nc", "x" * 300, "\u202eeivom", " "])
def test_a_name_may_be_anything(seen, name):
    rows = [row("a", group="1")._replace(path=f"{name}.jpeg"), row("b", "test", "1"), row("c", "test")]
    assert list(seen(rows)) == ["leak", "castings", "shared"]


def test_one_picture_stands_above_the_other_and_none_is_cut():
    picture = stack_pictures(Image.new("RGB", (30, 10), "#ff0000"), Image.new("RGB", (50, 20), "#0000ff"))
    assert picture.size == (50, 30)
    assert picture.getpixel((29, 9)) == (255, 0, 0)
    assert picture.getpixel((49, 29)) == (0, 0, 255)
    assert picture.getpixel((40, 5)) == (255, 255, 255)


def test_a_sheet_has_its_photographs_in_rows_beneath_headings():
    shades = [[40, 80, 120], [160]]
    tiles = [tuple(Tile(np.full((60, 60), level, np.uint8), "a word") for level in row) for row in shades]
    picture = sheet([SheetRow("A heading", row) for row in tiles])
    assert picture.width == 3 * (SIDE + GAP) + GAP
    step = (picture.height - GAP) // 2
    for across, row in enumerate(shades):
        for column, level in enumerate(row):
            place = GAP + column * (SIDE + GAP) + SIDE // 2, GAP + across * step + LINE + SIDE // 2
            assert picture.getpixel(place) == (level,) * 3
    assert picture.getpixel((GAP + 2 * (SIDE + GAP) + 75, GAP + step + LINE + 75)) == ImageColor.getrgb(PAPER)


@pytest.mark.parametrize("size", [(300, 300), (512, 512), (40, 90)])
def test_a_photograph_of_any_size_fills_its_place(size):
    picture = sheet([SheetRow("", (Tile(np.full(size, 77, np.uint8), ""),))])
    inside = np.asarray(picture)[GAP + LINE : GAP + LINE + SIDE, GAP : GAP + SIDE]
    assert (inside == 77).all()
