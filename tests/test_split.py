"""Split: every row once, no content or group on two sides, and nothing moves when images arrive."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.images.copies import Member, groups
from tasks.images.manifest import SPLITS, Row
from tasks.runs.config import Classes, Splitting
from tasks.runs.errors import BadInput
from tasks.runs.records import Audit, Manifest
from tasks.runs.tables import read_table, store_table
from tasks.split import assign, drawn, refuse_one_sided, share, split

PROTOCOLS = ("cleaned", "published", "grouped")


def row(number: int, content: str, *, group: str = "", published: str = "train", origin: str = "base") -> Row:
    label = ("def_front", "ok_front")[sum(map(ord, content)) % 2]
    return Row(f"{published}/{number}.jpeg", content, label, origin, published, 48, 48, 120.0, group=group or content)


def numbered(parts: Sequence[tuple[int, str]], origin: str = "base") -> list[Row]:
    """A row a part (content, published split); three contents are a group."""
    return [
        row(number, f"content {content}", group=f"content {content - content % 3}", published=published, origin=origin)
        for number, (content, published) in enumerate(parts)
    ]


CONTENTS = st.integers(0, 29)
BASES = st.sampled_from([("",), ("train", "test"), ("train", "test", "validation")]).flatmap(
    lambda published: st.lists(st.tuples(CONTENTS, st.sampled_from(published)), max_size=40)
)
ARRIVALS = st.lists(st.lists(CONTENTS, max_size=10), max_size=3)
SPLITTINGS = st.builds(
    Splitting,
    protocol=st.sampled_from(PROTOCOLS),
    validation_fraction=st.floats(0.05, 0.45),
    test_fraction=st.floats(0.05, 0.45),
    seed=st.integers(0, 99),
)


def with_arrivals(base: Sequence[tuple[int, str]], arrivals: Sequence[Sequence[int]]) -> list[Row]:
    rows = numbered(base)
    for number, batch in enumerate(arrivals):
        rows += numbered([(content, "") for content in batch], origin=f"batch {number}")
    return rows


@given(BASES, ARRIVALS, SPLITTINGS)
def test_every_row_is_in_one_split_and_nothing_else_about_it_changes(base, arrivals, splitting):
    rows = with_arrivals(base, arrivals)
    assigned = assign(rows, splitting)
    assert [one._replace(split="") for one in assigned] == rows
    assert {one.split for one in assigned} <= set(SPLITS)


@given(BASES, ARRIVALS, SPLITTINGS)
def test_no_content_and_no_group_lies_on_two_sides(base, arrivals, splitting):
    assigned = assign(with_arrivals(base, arrivals), splitting)
    if splitting.protocol == "published":  # which leaves the source as it came, but lets no arrival make it worse
        known = {one.group for one in assigned if one.origin == "base"}
        assigned = [one for one in assigned if one.group not in known]
    sides = defaultdict(set)
    for one in assigned:
        if one.split != "held_back":
            sides[one.group].add(one.split)
            sides[one.sha256].add(one.split)
    assert all(len(splits) == 1 for splits in sides.values())


@given(BASES, ARRIVALS, SPLITTINGS)
def test_an_image_that_arrives_never_trains_beside_a_copy_that_judges(base, arrivals, splitting):
    assigned = assign(with_arrivals(base, arrivals), splitting)
    judging = {one.group for one in assigned if one.split in ("test", "validation")}
    assert not any(one.split == "train" and one.group in judging for one in assigned if one.origin != "base")


@given(BASES, ARRIVALS, SPLITTINGS, st.data())
def test_an_image_that_arrives_moves_no_earlier_one(base, arrivals, splitting, data):
    before = data.draw(st.integers(0, len(arrivals)))
    earlier = assign(with_arrivals(base, arrivals[:before]), splitting)
    assert assign(with_arrivals(base, arrivals), splitting)[: len(earlier)] == earlier


@given(BASES, ARRIVALS, SPLITTINGS, st.randoms())
def test_the_order_of_the_rows_decides_nothing(base, arrivals, splitting, random):
    rows = with_arrivals(base, arrivals)
    shuffled = random.sample(rows, len(rows))
    assert sorted(assign(shuffled, splitting)) == sorted(assign(rows, splitting))


@given(BASES, ARRIVALS, SPLITTINGS)
def test_the_published_test_stays_whole(base, arrivals, splitting):
    if splitting.protocol != "grouped":
        for one in assign(with_arrivals(base, arrivals), splitting):
            if one.published == "test":
                assert one.split == "test"
            elif one.origin == "base" and any(published == "test" for _, published in base):
                assert one.split != "test"


LEAKY = [
    row(0, "seen", published="test"),
    row(1, "seen"),
    row(2, "turned", group="seen"),
    row(3, "own"),
    row(4, "seen", published="", origin="line 2"),
    row(5, "own", published="", origin="line 2"),
]


def test_cleaned_holds_back_what_shares_a_group_with_the_test():
    splits = [one.split for one in assign(LEAKY, Splitting(protocol="cleaned"))]
    assert splits[:3] == ["test", "held_back", "held_back"]
    assert splits[4] == "held_back"
    assert splits[3] == splits[5] != "held_back"


def test_published_leaves_the_copies_where_they_came():
    splits = [one.split for one in assign(LEAKY, Splitting(protocol="published"))]
    assert splits[0] == "test"
    assert {splits[1], splits[2]} <= {"train", "validation"}
    assert splits[4] == "held_back"  # what arrives is not to add to the leak


def test_grouped_minds_no_published_split():
    splits = [one.split for one in assign(LEAKY, Splitting(protocol="grouped"))]
    assert len({splits[0], splits[1], splits[2], splits[4]}) == 1
    assert "held_back" not in splits


def test_a_copy_of_a_published_validation_image_does_not_train():
    rows = [row(0, "test", published="test")]
    rows += [row(number, f"{number % 50}", published="validation" if number < 50 else "train") for number in range(100)]
    arrived = [row(number, f"{number}", published="", origin="line 2") for number in range(50)]
    assert {one.split for one in assign([*rows, *arrived], Splitting(protocol="cleaned"))[1:]} == {"validation"}


def test_an_arrival_alone_has_its_own_share_of_every_split():
    base = [row(0, "test", published="test"), row(1, "train")]
    arrived = [row(number, f"new {number}", published="", origin="line 2") for number in range(2_000)]
    found = Counter(one.split for one in assign([*base, *arrived], Splitting())[2:])
    assert found["test"] == pytest.approx(300, abs=60)
    assert found["validation"] == pytest.approx(0.15 * (2_000 - found["test"]), abs=60)
    assert found["held_back"] == 0


def test_a_part_of_the_groups_has_a_number_below_that_part():
    numbers = [share(f"{number}", "test", seed=0) for number in range(4_000)]
    assert all(0 <= number < 1 for number in numbers)
    assert sum(number < 0.15 for number in numbers) == pytest.approx(600, abs=90)


def test_the_draw_is_the_same_on_every_machine():
    assert share("group", "test", 0) == pytest.approx(0.4538253298, abs=1e-9)


def test_another_seed_draws_other_groups():
    names = [f"{number}" for number in range(100)]
    assert [drawn(name, Splitting(seed=0)) for name in names] != [drawn(name, Splitting(seed=1)) for name in names]


def test_test_and_validation_are_drawn_apart():
    names = [f"{number}" for number in range(1_000)]
    wide = Splitting(test_fraction=0.3, validation_fraction=0.3)
    assert Counter(drawn(name, wide) for name in names)["validation"] == pytest.approx(210, abs=45)


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_split_without_one_class_is_refused(missing):
    rows = [
        row(number, content)._replace(split=name)
        for number, (name, content) in enumerate(
            (name, content) for name in ("train", "validation", "test") for content in "ab"
        )
    ]
    refuse_one_sided(rows, Classes())
    kept = [one for one in rows if one.split != missing or one.label == "ok_front"]
    with pytest.raises(BadInput, match=rf"no image of def_front falls into {missing}: more images are needed"):
        refuse_one_sided(kept, Classes())
    with pytest.raises(BadInput, match=rf"no image of def_front or of ok_front falls into {missing}"):
        refuse_one_sided([one for one in rows if one.split != missing], Classes())


@pytest.fixture
def run(places):
    def step(rows: list[Row], members: list[Member], splitting: Splitting):
        table = store_table("manifest", rows, Row, places)
        manifest = Manifest(table=table, refused=table, classes=Classes(), images=len(rows), quarantined=0)
        audit = Audit(pairs=table, groups=store_table("groups", members, Member, places), exact_copies_across_splits=0)
        return split.fn(manifest, audit, splitting, places)

    return step


def test_the_record_counts_every_row(run, places):
    rows = [row(number, f"content {number}", published="test" if number < 40 else "train") for number in range(160)]
    rows += [row(number, f"content {number}") for number in range(10)]
    rows += [row(number, f"new {number}", published="", origin="line 2") for number in range(30)]
    bare = [one._replace(group="") for one in rows]
    record = run(bare, groups(bare), Splitting())
    table = read_table(record.table.path(places), Row)
    assert record.images == len(table) == 200
    for counts in (record.by_split, record.by_class, record.by_origin):
        assert sum(counts.values()) == 200
    assert tuple(record.by_split) == SPLITS
    assert record.by_split["held_back"] == record.held_back == 10
    assert record.by_origin == {"base": 170, "line 2": 30}
    assert [one.group for one in table] == [one.sha256 for one in rows]


def test_the_groups_of_the_audit_are_what_counts(run, places):
    rows = [row(number, f"content {number}", published="") for number in range(200)]
    members = [Member(f"content {number}", f"content {number - number % 5}") for number in range(200)]
    table = read_table(run(rows, members, Splitting()).table.path(places), Row)
    assert all(len({one.split for one in table[start : start + 5]}) == 1 for start in range(0, 200, 5))


def test_a_step_that_is_repeated_gives_the_same_table(run):
    rows = [row(number, f"content {number}", published="") for number in range(100)]
    assert run(rows, groups(rows), Splitting()) == run(rows, groups(rows), Splitting())


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_images_are_refused(run, count):
    rows = [row(number, f"content {number}", published="") for number in range(count)]
    with pytest.raises(BadInput, match="more images are needed"):
        run(rows, groups(rows), Splitting())
