"""Split: every row appears once, no content or casting lies on two sides, and a later image changes no draw."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.dataset.duplicates import Copy
from tasks.dataset.group_split import (
    assign,
    draw,
    fixed_splits,
    groups_by_stratum,
    hash_to_unit_interval,
    leaders,
    move_defects_to_test,
)
from tasks.records.results import Audit, Manifest, Splits
from tasks.records.rows import BASE, SPLITS, Member, Row, images_root, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, SplitSettings, ViewSettings
from tasks.split import crop_of_masks, refuse_one_sided, split
from tasks.storage.tables import read_table, store_table

PROTOCOLS = ("cleaned", "published", "grouped")
JUDGING = ("test", "validation")


def row(number: int, content: str, *, group: str = "", published: str = "train", origin: str = BASE) -> Row:
    label = ("def_front", "ok_front")[sum(map(ord, content)) % 2]
    path = f"{published}/{number}.jpeg"
    return Row(path, content, label, origin, published, 48, 48, 120.0, 110.0, 9.0, group=group or content)


def pair(one: str, other: str) -> Copy:
    return Copy("", one, "", "", "", other, "", "", "turned", 0.995)


class Case(NamedTuple):
    """Images by number of their content; the casting of a content is `castings[content % len(castings)]`."""

    base: Sequence[tuple[int, str]]
    """Content and published split."""
    arrivals: Sequence[Sequence[int]]
    castings: Sequence[int]
    pairs: Sequence[tuple[int, int]]
    splitting: SplitSettings

    def rows(self) -> list[Row]:
        """Each led by the first image of its casting, as audit leads them."""
        parts = [(BASE, content, published) for content, published in self.base]
        parts += [(f"batch {n}", content, "") for n, batch in enumerate(self.arrivals) for content in batch]
        led: dict[int, str] = {}
        return [
            row(
                number,
                f"{content}",
                group=led.setdefault(self.casting(content), f"{content}"),
                published=published,
                origin=origin,
            )
            for number, (origin, content, published) in enumerate(parts)
        ]

    def casting(self, content: int) -> int:
        return self.castings[content % len(self.castings)]

    def copies(self) -> list[Copy]:
        """Those of images that are there."""
        known = {one.sha256 for one in self.rows()}
        named = [(f"{one}", f"{other}") for one, other in self.pairs]
        return [pair(one, other) for one, other in named if one in known and other in known]

    def assigned(self) -> list[Row]:
        return assign(self.rows(), self.copies(), self.splitting)

    def alike(self) -> dict[str, set[str]]:
        """Every content with its copies and itself."""
        found = {one.sha256: {one.sha256} for one in self.rows()}
        for copy in self.copies():
            found[copy.sha256].add(copy.copy_sha256)
            found[copy.copy_sha256].add(copy.sha256)
        return found

    def settled(self) -> list[str]:
        return fixed_splits(self.rows(), self.copies(), self.splitting.protocol)

    def strata(self) -> dict[tuple[str, str], list[str]]:
        return groups_by_stratum(self.rows(), self.settled())

    def obeyed(self) -> bool:
        return self.splitting.protocol != "grouped" and any(
            published in ("test", "validation") for _, published in self.base
        )


CONTENTS = st.integers(0, 29)
PUBLISHED = st.sampled_from(
    [("",), ("train", "test"), ("train", "train", "test", "validation"), ("train", "train", "validation")]
)
SPLITTINGS = st.builds(
    SplitSettings,
    protocol=st.sampled_from(PROTOCOLS),
    validation_fraction=st.floats(0.05, 0.45),
    test_fraction=st.floats(0.05, 0.45),
    seed=st.integers(0, 99),
)
CASES = st.builds(
    Case,
    base=PUBLISHED.flatmap(lambda names: st.lists(st.tuples(CONTENTS, st.sampled_from(names)), max_size=40)),
    arrivals=st.lists(st.lists(CONTENTS, max_size=15), max_size=3),
    castings=st.lists(st.integers(0, 19), min_size=1, max_size=40),
    pairs=st.lists(st.tuples(CONTENTS, CONTENTS), max_size=20),
    splitting=SPLITTINGS,
)


@given(CASES)
def test_every_row_is_in_one_split_and_nothing_else_about_it_changes(case):
    assigned = case.assigned()
    assert [one._replace(split="") for one in assigned] == case.rows()
    assert {one.split for one in assigned} <= set(SPLITS)


def splits_by(rows: Iterable[Row], key: str) -> dict[str, set[str]]:
    """The splits of every content or group; what is held back lies nowhere."""
    found = defaultdict(set)
    for one in rows:
        if one.split != "held_back":
            found[getattr(one, key)].add(one.split)
    return found


@given(CASES)
def test_no_content_lies_on_two_sides(case):
    rows = case.assigned()
    if case.splitting.protocol == "published" and case.obeyed():  # which leaves the source as it came
        rows = [one for one in rows if one.origin != BASE]
    assert all(len(splits) == 1 for splits in splits_by(rows, "sha256").values())


@given(CASES)
def test_without_a_published_test_no_casting_lies_on_two_sides(case):
    if not case.obeyed():
        assert all(len(splits) == 1 for splits in splits_by(case.assigned(), "group").values())


@given(CASES)
def test_no_casting_trains_and_validates(case):
    if not case.obeyed() or all(published != "validation" for _, published in case.base):
        assert not any({"train", "validation"} <= splits for splits in splits_by(case.assigned(), "group").values())


@given(CASES)
def test_no_casting_that_arrived_trains_and_judges(case):
    led_by_base = {one.group for one in case.rows() if one.origin == BASE}
    arrived = [one for one in case.assigned() if one.group not in led_by_base]
    assert all(len(splits) == 1 for splits in splits_by(arrived, "group").values())


@given(CASES)
def test_no_copy_of_a_published_test_image_trains_or_validates(case):
    tested = {one.sha256 for one in case.rows() if one.published == "test"}
    alike = case.alike()
    for one in case.assigned():
        held = case.obeyed() and case.splitting.protocol == "cleaned" or one.origin != BASE
        if held and one.published != "test" and alike[one.sha256] & tested:
            assert one.split == "held_back"


@given(CASES)
def test_no_copy_of_a_published_validation_image_trains(case):
    watching = {one.sha256 for one in case.rows() if one.published == "validation"}
    alike = case.alike()
    if case.obeyed() and case.splitting.protocol == "cleaned":
        assert not any(one.split == "train" and alike[one.sha256] & watching for one in case.assigned())


@given(CASES)
def test_an_arrival_that_copies_an_earlier_origin_is_held_back_and_no_other_is(case):
    alike, earlier, origin, held = case.alike(), set(), BASE, []
    waiting = set()
    for one in case.assigned():
        if one.origin != origin:
            origin, earlier, waiting = one.origin, earlier | waiting, set()
        if one.origin != BASE:
            held.append((one.split == "held_back", bool(alike[one.sha256] & earlier)))
        waiting.add(one.sha256)
    assert all(was == expected for was, expected in held)


@given(CASES)
def test_the_source_is_held_back_only_under_cleaned(case):
    if case.splitting.protocol != "cleaned" or not case.obeyed():
        assert not any(one.split == "held_back" for one in case.assigned() if one.origin == BASE)


@given(CASES)
def test_the_published_splits_are_kept(case):
    if case.obeyed():
        named, tested = (any(published == name for _, published in case.base) for name in ("validation", "test"))
        for one in case.assigned():
            if one.published == "test":
                assert one.split == "test"
            elif one.published == "validation":
                assert one.split in ("validation", "held_back")
            elif one.origin == BASE:
                assert one.split != ("test" if tested else "validation")
                assert one.split in ("train", "held_back") or not (named and tested)


@given(CASES)
def test_an_arrival_of_a_known_casting_follows_it(case):
    rows = case.assigned()
    of_base = splits_by([one for one in rows if one.origin == BASE], "group")
    led_by_base = {one.group for one in rows if one.origin == BASE}
    for one in rows:
        if one.origin != BASE and one.group in led_by_base and one.split != "held_back":
            expected = next((name for name in ("train", "validation") if name in of_base[one.group]), "test")
            assert one.split == expected


@given(CASES, st.data())
def test_new_origins_move_nothing(case, data):
    before = case._replace(arrivals=case.arrivals[: data.draw(st.integers(0, len(case.arrivals)))])
    earlier = before.assigned()
    assert case.assigned()[: len(earlier)] == earlier


@given(CASES, st.data())
def test_an_origin_that_grows_moves_no_image_from_train_to_a_split_that_judges(case, data):
    """Where the stratum was large enough, and the new images take no image of a later origin out of it."""
    after = grow_case(case, data)
    trained = {one.group for one in case.assigned() if one.split == "train"}
    large = {
        group
        for groups in case.strata().values()
        for group in groups
        if len(groups) >= 3 and len(trained & set(groups)) >= 2
    }
    followed = {one.group for one in case.rows() if one.origin == BASE} - {
        g for gs in case.strata().values() for g in gs
    }
    now = {(one.origin, one.sha256, one.published): one.split for one in after.assigned()}
    for one in case.assigned():
        if one.split == "train" and one.group in large | followed:
            assert now[one.origin, one.sha256, one.published] not in JUDGING


def grow_case(case: Case, data: st.DataObject) -> Case:
    """The case with more images in one origin: of new castings, or of those that this origin and earlier ones have."""
    origin = data.draw(st.integers(0, len(case.arrivals)))
    known = [content for content, _ in case.base] + [c for batch in case.arrivals[:origin] for c in batch]
    castings = list(range(100, 110)) + [case.casting(content) for content in known]
    chosen = data.draw(st.lists(st.sampled_from(castings), min_size=1, max_size=10))
    table = [case.casting(content) for content in range(30)] + chosen
    new = range(30, len(table))
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(new), st.sampled_from(known or new)), max_size=5))
    base, arrivals = list(case.base), [list(batch) for batch in case.arrivals]
    if origin:
        arrivals[origin - 1] += new
    else:
        base += [(content, "train" if any(published for _, published in base) else "") for content in new]
    return case._replace(base=base, arrivals=arrivals, castings=table, pairs=[*case.pairs, *pairs])


@given(CASES, st.randoms())
def test_the_order_of_the_rows_decides_nothing_but_who_leads(case, chance):
    rows = case.rows()
    led = {(one.origin, one.path) for one in leaders(rows).values()}
    order = [BASE, *(f"batch {number}" for number in range(len(case.arrivals)))]
    mixed = sorted(
        chance.sample(rows, len(rows)),
        key=lambda one: (order.index(one.origin), (one.origin, one.path) not in led),
    )
    assert sorted(assign(mixed, case.copies()[::-1], case.splitting)) == sorted(case.assigned())


@given(CASES)
def test_a_stratum_of_three_castings_has_its_share_of_each_split(case):
    found = {one.group: one.split for one, side in zip(case.assigned(), case.settled(), strict=True) if not side}
    for (origin, _), groups in case.strata().items():
        splits = Counter(found[group] for group in groups)
        if len(groups) >= 3:
            assert splits["train"] >= 1
            assert splits["validation"] >= 1
            assert splits["test"] >= 1 or (origin == BASE and case.obeyed())
        if origin == BASE and case.obeyed():
            assert splits["test"] == 0


@pytest.mark.parametrize("published", ["", "train"])
@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_has_its_share_beside_a_common_one(published, seed):
    contents = [f"{2 * number}" for number in range(60)]
    rare = [row(number, content, published=published) for number, content in enumerate(contents)]
    rare = [one._replace(label="ok_front" if index < 3 else "def_front") for index, one in enumerate(rare)]
    tested = row(99, "tested", published="test" if published else "")._replace(label="def_front")
    rows = assign([*rare, tested], [], SplitSettings(seed=seed))
    drawn = {one.split for one in rows[:3]}
    assert drawn == ({"train", "validation"} if published else {"train", "validation", "test"})


NAMES = st.lists(st.integers(0, 10**6).map(str), unique=True, max_size=12)
BOTH = st.fixed_dictionaries({"test": st.floats(0.01, 0.49), "validation": st.floats(0.01, 0.49)})
FRACTIONS = st.one_of(BOTH, st.fixed_dictionaries({"validation": st.floats(0.01, 0.49)}))


def training_groups(groups: Iterable[str], fractions: Mapping[str, float]) -> set[str]:
    return {group for group, side in draw(groups, fractions, 0).items() if side == "train"}


@given(NAMES, NAMES, FRACTIONS)
def test_more_castings_take_none_out_of_train(before, more, fractions):
    if len(before) >= 3 and len(first := training_groups(before, fractions)) >= 2:
        assert first <= training_groups({*before, *more}, fractions)


@given(NAMES, FRACTIONS)
def test_a_draw_knows_no_order(names, fractions):
    assert draw(names, fractions, 0) == draw(names[::-1], fractions, 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_few_castings_judges_and_trains_with_any_seed(seed):
    for count in range(3, 20):
        drawn = Counter(draw(map(str, range(count)), {"test": 0.15, "validation": 0.15}, seed).values())
        assert min(drawn["test"], drawn["validation"], drawn["train"]) >= 1


def test_two_castings_go_by_their_own_numbers():
    wide = {"test": 0.45, "validation": 0.45}
    drawn = [tuple(draw([f"{number}", f"{number + 1}"], wide, 0).values()) for number in range(0, 200, 2)]
    assert {("test", "test"), ("test", "train"), ("train", "train")} <= set(drawn)


def test_each_purpose_takes_its_part_of_what_is_left():
    drawn = Counter(draw(map(str, range(4_000)), {"test": 0.3, "validation": 0.3}, 0).values())
    assert drawn["test"] == pytest.approx(1_200, abs=100)
    assert drawn["validation"] == pytest.approx(840, abs=100)


def test_the_draw_is_the_same_on_every_machine():
    assert hash_to_unit_interval("group", "test", 0) == pytest.approx(0.4538253298, abs=1e-9)


def test_another_seed_draws_other_groups():
    names, fractions = [f"{number}" for number in range(100)], {"test": 0.15, "validation": 0.15}
    assert draw(names, fractions, 0) != draw(names, fractions, 1)


LEAKY = [
    row(0, "seen", published="test"),
    row(1, "seen"),
    row(2, "turned", group="seen"),
    row(3, "another photograph", group="seen"),
    row(4, "own"),
    row(5, "seen", published="", origin="line 2"),
    row(6, "own again", group="own", published="", origin="line 2"),
    row(7, "a third photograph", group="seen", published="", origin="line 2"),
]
TURNED = [pair("seen", "turned")]


@pytest.mark.parametrize("pairs", [TURNED, [pair("turned", "seen")]])
def test_cleaned_holds_back_what_copies_the_test_and_nothing_else(pairs):
    splits = [one.split for one in assign(LEAKY, pairs, SplitSettings(protocol="cleaned"))]
    assert splits[:3] == ["test", "held_back", "held_back"]
    assert splits[5] == "held_back"
    assert splits[4] == splits[6] != "held_back"
    assert splits[3] == splits[7] in ("train", "validation")  # its casting is in the test too, as published


def test_published_leaves_the_copies_where_they_came():
    splits = [one.split for one in assign(LEAKY, TURNED, SplitSettings(protocol="published"))]
    assert splits[0] == "test"
    assert len({splits[1], splits[2], splits[3]} & {"train", "validation"}) == 1
    assert splits[5] == "held_back"  # what arrives is not to add to the leak


def test_grouped_minds_no_published_split():
    splits = [one.split for one in assign(LEAKY, TURNED, SplitSettings(protocol="grouped"))]
    assert len({*splits[:4], splits[7]}) == 1
    assert splits[5] == "held_back"
    assert splits.count("held_back") == 1


def test_a_casting_that_only_the_published_test_has_stays_out_of_train():
    rows = [row(0, "seen", published="test"), row(1, "own"), row(2, "new", group="seen", published="", origin="line 2")]
    for protocol in ("cleaned", "published"):
        assert assign(rows, [], SplitSettings(protocol=protocol))[2].split == "test"


def test_a_published_validation_is_neither_learnt_by_heart_nor_a_copy_of_the_test():
    rows = [
        row(0, "test", published="test"),
        row(1, "watch", published="validation"),
        row(2, "copy of test", published="validation"),
        row(3, "copy of watch"),
        row(4, "own"),
    ]
    pairs = [pair("test", "copy of test"), pair("watch", "copy of watch")]
    splits = [one.split for one in assign(rows, pairs, SplitSettings(protocol="cleaned"))]
    assert splits == ["test", "validation", "held_back", "held_back", "train"]
    splits = [one.split for one in assign(rows, pairs, SplitSettings(protocol="published"))]
    assert splits == ["test", "validation", "validation", "train", "train"]


def test_a_published_validation_alone_validates_and_the_test_is_drawn_from_other_parts():
    rows = [row(0, "watch", published="validation"), row(1, "same part", group="watch")]
    rows += [row(number, f"own {number}") for number in range(2, 12)]
    splits = [one.split for one in assign(rows, [], SplitSettings())]
    assert splits[:2] == ["validation", "train"]
    assert set(splits[2:]) == {"train", "test"}


def test_a_copy_of_the_test_does_not_count_as_a_casting_to_validate_with():
    rows = [row(0, "test", published="test"), *(row(number, f"{2 * number}") for number in range(1, 8))]
    held = [pair("test", one.sha256) for one in rows[1:6]]
    assert [one.split for one in assign(rows, held, SplitSettings())][1:6] == ["held_back"] * 5
    settled = fixed_splits(rows, held, "cleaned")
    assert sorted(group for groups in groups_by_stratum(rows, settled).values() for group in groups) == ["12", "14"]


def test_an_arrival_alone_has_its_own_share_of_every_split():
    base = [row(0, "test", published="test"), row(1, "train")]
    arrived = [row(number, f"new {number}", published="", origin="line 2") for number in range(2_000)]
    found = Counter(one.split for one in assign([*base, *arrived], [], SplitSettings())[2:])
    assert found["test"] == pytest.approx(300, abs=60)
    assert found["validation"] == pytest.approx(0.15 * (2_000 - found["test"]), abs=60)
    assert found["held_back"] == 0


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_split_without_one_class_is_refused(missing):
    rows = [
        row(number, content)._replace(split=name)
        for number, (name, content) in enumerate(
            (name, content) for name in ("train", "validation", "test") for content in "ab"
        )
    ]
    refuse_one_sided(rows, Classes(), "images")
    kept = [one for one in rows if one.split != missing or one.label == "ok_front"]
    with pytest.raises(
        BadInput,
        match=rf"no image of def_front falls into {missing} \(images of def_front: 2\): more images are needed",
    ):
        refuse_one_sided(kept, Classes(), "images")
    with pytest.raises(BadInput, match=rf"no image of def_front or of ok_front falls into {missing}"):
        refuse_one_sided([one for one in rows if one.split != missing], Classes(), "images")


def test_few_castings_are_named_as_the_reason():
    rows = [row(number, f"{number}")._replace(split="train") for number in range(50)]
    rows = [one._replace(group=one.label) for one in rows]
    with pytest.raises(
        BadInput, match=r"\(parts of def_front: 1, parts of ok_front: 1; the images of one part .*more parts are needed"
    ):
        refuse_one_sided(rows, Classes(), "parts")


@pytest.fixture
def run(places, photograph):
    """Splits the rows as a run does: with their photographs, groups and copies, castings known or not."""

    def step(
        rows: Sequence[Row],
        splitting: SplitSettings = SplitSettings(),
        pairs: Sequence[Copy] = (),
        castings: int | None = None,
        residuals: Mapping[str, float] = {},
        view: ViewSettings = ViewSettings(),
        good_alone: bool = False,
    ):
        for one in rows:
            stored_path(one, places).parent.mkdir(parents=True, exist_ok=True)
            seed = random.Random(one.sha256).randrange(10**6)
            stored_path(one, places).write_bytes(photograph(seed, hole=one.label == "def_front"))
        table = store_table("manifest", [one._replace(group="") for one in rows], Row, places)
        manifest = Manifest(
            table=table,
            refused=table,
            corrected=table,
            classes=Classes(),
            images=len(rows),
            quarantined=0,
            corrections_unused=0,
            origins=(),
        )
        members = [Member(one.sha256, one.group, 1.0, residuals.get(one.sha256, 1.0)) for one in rows]
        audit = Audit(
            pairs=store_table("audit", pairs, Copy, places),
            groups=store_table("groups", members, Member, places),
            exact_copies_across_splits=0,
            near_copies_across_splits=0,
            copies_of_two_labels=0,
            contents=len(members),
            rings=0,
            max_ring_residual=0.0075,
            castings=castings,
            castings_of_two_labels=None,
            published_test_images_of_trained_castings=None,
        )
        return split.fn(manifest, audit, splitting, view, good_alone, places)

    return step


@pytest.fixture
def rows() -> list[Row]:
    """160 photographs of the source, 10 of them twice, and an arrival of 30."""
    base = [row(number, f"content {number}", published="test" if number < 40 else "train") for number in range(160)]
    base += [row(number, f"content {number}") for number in range(10)]
    return base + [row(number, f"new {number}", published="", origin="line 2") for number in range(30)]


def test_the_share_of_rings_is_that_of_the_training_images_by_the_limit_of_the_audit(run, rows, places):
    train = [one for one in read_table(run(rows).table.path(places), Row) if one.split == "train"]
    ringed = {one.sha256 for one in train[::4]}
    residuals = {one.sha256: 0.0075 if one.sha256 in ringed else 0.008 for one in rows}
    expected = sum(one.sha256 in ringed for one in train) / len(train)
    assert 0 < expected < 1
    assert run(rows, residuals=residuals).ring_share == pytest.approx(expected)
    assert run(rows).ring_share == 0


def test_the_record_counts_every_row(run, rows, places):
    record = run(rows)
    table = read_table(record.table.path(places), Row)
    assert record.images == len(table) == 200
    for counts in (record.by_split, record.by_class, record.by_origin):
        assert sum(counts.values()) == 200
    assert tuple(record.by_split) == SPLITS
    assert record.by_split["held_back"] == record.held_back == 10
    assert record.by_origin == {"base": 170, "line 2": 30}
    assert [one.group for one in table] == [one.sha256 for one in rows]


def test_the_listed_copies_are_held_back(run, rows):
    pairs = [pair(f"content {number}", f"content {number + 100}") for number in range(20)]
    assert run(rows, pairs=pairs).held_back == 10 + 20


def test_castings_are_counted_where_they_are_known(run, rows, places, capsys):
    of_train = [
        one._replace(group=f"content {index + 40}") if 10 <= index < 18 else one for index, one in enumerate(rows)
    ]
    assert run(rows).castings_by_split is None
    assert run(rows).test_images_of_trained_castings is None
    record = run(of_train, castings=182)
    table = read_table(record.table.path(places), Row)
    assert record.castings_by_split == {name: len({one.group for one in table if one.split == name}) for name in SPLITS}
    assert record.test_images_of_trained_castings == 8
    assert f"8 of {record.by_split['test']} test images show a part that trains" in capsys.readouterr().out


def test_the_baselines_are_those_of_the_split(run, rows):
    record = run(rows, SplitSettings(protocol="published"))
    cleaned = run(rows)
    assert set(record.shortcuts) == {"brightness", "border", "sharpness", "together"}
    assert record.shortcuts["brightness"].auc == 0.5  # all rows say the same of it
    assert record.lookup_accuracy >= cleaned.lookup_accuracy  # which knows no copy of the test


def test_the_groups_of_the_audit_are_what_counts(run, places):
    rows = [row(number, f"{number}", group=f"{number - number % 5}", published="") for number in range(200)]
    table = read_table(run(rows).table.path(places), Row)
    assert all(len({one.split for one in table[start : start + 5]}) == 1 for start in range(0, 200, 5))


def test_a_step_that_is_repeated_gives_the_same_record(run, rows):
    first: Splits = run(rows)
    assert run(rows) == first


NO_DEFECTS = "no usable image of def_front is there: .* bring photographs of defective parts, or take --model normal"


def good_rows(count: int, published: str = "") -> list[Row]:
    return [row(number, f"content {number}", published=published)._replace(label="ok_front") for number in range(count)]


def test_too_few_images_are_refused(run):
    with pytest.raises(BadInput, match="more images are needed"):
        run([row(number, f"content {number}", published="") for number in range(2)])


@pytest.mark.parametrize("count", [0, 1, 30])
def test_without_a_defect_the_network_of_good_parts_alone_is_named(run, count):
    with pytest.raises(BadInput, match=NO_DEFECTS):
        run(good_rows(count))


@given(CASES)
def test_where_good_parts_alone_train_no_defect_trains_or_validates_and_all_else_stays(case):
    before = case.assigned()
    after = move_defects_to_test(before, Classes())
    assert [one._replace(split="") for one in after] == [one._replace(split="") for one in before]
    defective = {one.group for one in before if one.label == "def_front"}
    for one, moved in zip(before, after, strict=True):
        if one.group not in defective or one.split in ("test", "held_back"):
            assert moved.split == one.split
        else:
            assert moved.split == "test"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_for_good_parts_alone_tests_every_defect_that_is_not_held_back(run, rows, places, protocol):
    pairs = [pair(f"content {number}", f"content {number + 100}") for number in range(20)]
    settings = SplitSettings(protocol=protocol)
    both, alone = (run(rows, settings, pairs, good_alone=good_alone) for good_alone in (False, True))
    before, after = (read_table(record.table.path(places), Row) for record in (both, alone))
    assert {one.split for one in before if one.label == "def_front"} >= {"train", "validation", "test"}
    assert {one.split for one in after if one.label == "def_front"} <= {"test", "held_back"}
    assert [one for one in after if one.label == "ok_front"] == [one for one in before if one.label == "ok_front"]
    for name in ("test", "held_back"):
        assert all(after[number] == one for number, one in enumerate(before) if one.split == name)
    assert alone.held_back == both.held_back
    assert (alone.held_back > 0) == (protocol == "cleaned")
    assert alone.by_class == both.by_class
    assert alone.by_split["train"] + alone.by_split["validation"] + alone.by_split["test"] + alone.held_back == len(
        rows
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_good_parts_alone_are_divided_without_any_defect(run, places, protocol):
    record = run(good_rows(60), SplitSettings(protocol=protocol), good_alone=True)
    table = read_table(record.table.path(places), Row)
    assert {one.label for one in table} == {"ok_front"}
    assert {one.split for one in table} == {"train", "validation", "test"}
    assert record.by_split["test"] + record.by_split["validation"] + record.by_split["train"] == 60


def test_a_published_split_of_good_parts_alone_is_kept(run, places):
    rows = [one._replace(published="test") if number < 10 else one for number, one in enumerate(good_rows(60, "train"))]
    table = read_table(run(rows, good_alone=True).table.path(places), Row)
    assert [one.path for one in table if one.split == "test"] == [one.path for one in rows[:10]]
    assert {one.split for one in table[10:]} == {"train", "validation"}


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_good_parts_alone_need_a_good_part_in_every_split(missing):
    rows = [one._replace(split=name) for one in good_rows(4) for name in ("train", "validation", "test")]
    refuse_one_sided(rows, Classes(), "images", good_alone=True)
    kept = [one._replace(label="def_front") if one.split == missing else one for one in rows]
    match = rf"no image of ok_front falls into {missing} \(images of ok_front: 8\): more images are needed"
    with pytest.raises(BadInput, match=match):
        refuse_one_sided(kept, Classes(), "images", good_alone=True)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_good_parts_are_refused_where_they_alone_train(run, count):
    with pytest.raises(BadInput, match=r"no image of ok_front falls into .*more images are needed"):
        run(good_rows(count), good_alone=True)


@pytest.mark.parametrize(("missing", "share"), [("train", "smaller"), ("validation", "larger"), ("test", "larger")])
def test_the_advice_for_a_missing_split_points_the_right_way(missing, share):
    rows = [row(0, "a")._replace(split=name) for name in ("train", "validation", "test") if name != missing]
    rows += [one._replace(label="def_front") for one in rows] + [one._replace(label="ok_front") for one in rows]
    with pytest.raises(BadInput, match=f"or a {share} --splitting.validation_fraction"):
        refuse_one_sided(rows, Classes(), "images")


def test_the_counts_are_told(run, rows, capsys):
    counts = run(rows).by_split
    told = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in SPLITS)
    assert capsys.readouterr().out.startswith(f"split: {told} (cleaned)\n")


def test_the_sizes_of_the_pictures_are_those_of_their_crops(run, rows):
    whole, cropped = (run(rows, view=ViewSettings(crop=crop)).pictures for crop in (None, "0.25,0,0.75,1"))
    assert (whole.crop, whole.whole) == (None, 0)
    assert cropped.crop == "0.25,0,0.75,1"
    assert (cropped.width, cropped.height) == (whole.width // 2, whole.height)


def test_pictures_without_an_outline_are_counted(run, rows):
    divided = run(rows, view=ViewSettings(crop="part"))
    assert divided.pictures.crop == "part"
    assert 0 < divided.pictures.whole <= divided.by_split["train"]


def test_to_look_where_masks_mark_defects_needs_masks(run, rows):
    with pytest.raises(BadInput, match=r"--view\.crop mask .* no training image has such a mask: give a box, or part"):
        run(rows, view=ViewSettings(crop="mask"))


def test_the_box_of_masks_is_that_of_the_training_images_alone_and_grows_in_steps(places):
    names = []
    for number, (top, left) in enumerate(((30, 40), (50, 62), (0, 0))):
        pixels = np.zeros((100, 100), np.uint8)
        pixels[top : top + 8, left : left + 8] = 255
        path = Path(images_root(places)) / "aa" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        names.append(f"aa/{number}.png")
    marked = [
        row(number, f"{number}")._replace(label="def_front", mask=name, width=100, height=100)
        for number, name in enumerate(names)
    ]
    marked[2] = marked[2]._replace(label="ok_front")
    assert crop_of_masks(marked, Classes(), places) == "0.35,0.25,0.75,0.65"
    assert crop_of_masks(marked[:1], Classes(), places) == "0.35,0.25,0.55,0.45"
