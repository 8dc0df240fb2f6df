"""Labels: of equal contents the first image counts, and a contradiction is refused or corrected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.corrections import Correction
from tasks.dataset.labels import apply_corrections, drop_repeats, label_change_summary
from tasks.records.rows import BASE, Entry, Row
from tasks.settings.errors import BadInput

ORIGINS = ["base", "may", "june", "july"]


def row(path: str, content: str, label: str, origin: str) -> Row:
    return Row(path, content, label, origin, "", 48, 48, 120.0, 118.0, 4.5)


def test_of_two_arrivals_that_contradict_each_other_the_first_counts():
    rows = [row("a", "x", "def_front", "may"), row("b", "x", "ok_front", "june"), row("c", "x", "def_front", "july")]
    settled = drop_repeats(rows)
    assert settled.rows == rows[:1]
    assert [(one.origin, one.path, one.code) for one in settled.conflicts] == [("june", "b", "label_conflict")]
    assert settled.repeats == {"july": 1}


def test_equal_paths_of_two_origins_are_not_mixed_up():
    rows = [
        row("ok/1", "x", "def_front", "may"),
        row("ok/1", "x", "ok_front", "june"),
        row("ok/1", "y", "ok_front", "july"),
    ]
    settled = drop_repeats(rows)
    assert [one.origin for one in settled.rows] == ["may", "july"]
    assert [one.origin for one in settled.conflicts] == ["june"]


def test_equal_files_of_one_origin_stay_rows():
    for origin in ("base", "may"):
        rows = [row("a", "x", "ok_front", origin), row("b", "x", "ok_front", origin)]
        assert drop_repeats(rows).rows == rows


def test_a_contradiction_in_the_source_names_five_pairs_and_says_how_many():
    rows = [row(f"{label}/{number}", f"{number}", label, BASE) for label in ("def", "ok") for number in range(7)]
    with pytest.raises(
        BadInput, match=r"^7 pairs of equal files carry both labels: def/0 and ok/0 \(sha256 0\)"
    ) as told:
        drop_repeats(rows)
    assert str(told.value).count(" and ok/") == 5
    assert "such as 0,def,WHY" in str(told.value)


@given(
    st.lists(
        st.tuples(st.sampled_from(ORIGINS), st.sampled_from("xyz"), st.sampled_from(["def", "ok"])), max_size=12
    ).map(lambda drawn: sorted(drawn, key=lambda one: ORIGINS.index(one[0])))
)
def test_every_file_is_accepted_known_or_refused_and_no_content_has_two_labels(drawn):
    rows = [row(f"{number}", content, label, origin) for number, (origin, content, label) in enumerate(drawn)]
    try:
        settled = drop_repeats(rows)
    except BadInput:
        labels = {(one.sha256, one.label) for one in rows if one.origin == BASE}
        assert len(labels) > len({content for content, _ in labels})
        return
    assert len(settled.rows) + len(settled.conflicts) + settled.repeats.total() == len(rows)
    assert len({one.sha256: one.label for one in settled.rows}) == len(
        {(one.sha256, one.label) for one in settled.rows}
    )
    assert len({one.sha256: one.origin for one in settled.rows}) == len(
        {(one.sha256, one.origin) for one in settled.rows}
    )
    assert not any(one.origin == BASE for one in settled.conflicts)
    assert not settled.repeats[BASE]


def test_corrections_apply_to_their_content_alone():
    entries = [Entry(f"{label}/{content}", content, label) for content in "xyz" for label in ("def", "ok")]
    wanted = {"x": Correction("x", "exclude", "dark"), "y": Correction("y", "def", "cracked")}
    mended = apply_corrections(entries, wanted)
    assert [(one.sha256, one.label) for one in mended.entries] == [
        ("y", "def"),
        ("y", "def"),
        ("z", "def"),
        ("z", "ok"),
    ]
    assert [(one.path, one.code, one.reason) for one in mended.withdrawn] == [
        ("def/x", "excluded", "dark"),
        ("ok/x", "excluded", "dark"),
    ]
    assert [(one.path, one.was, one.now, one.why) for one in mended.corrected] == [
        ("def/x", "def", "exclude", "dark"),
        ("ok/x", "ok", "exclude", "dark"),
        ("ok/y", "ok", "def", "cracked"),
    ]
    assert apply_corrections(entries, {}).entries == entries


def test_a_conflict_names_the_image_that_it_contradicts():
    (refused,) = drop_repeats([row("a", "x", "def_front", "may"), row("b", "x", "ok_front", "june")]).conflicts
    assert refused.reason == "labeled ok_front, but may/a has equal content as def_front"


def test_of_conflicts_the_lines_are_given_that_take_the_later_labels():
    rows = [row("a", "x", "def_front", "may"), row("b", "x", "ok_front", "june"), row("c", "x", "ok_front", "july")]
    (change,) = drop_repeats(rows).changes
    assert change == Correction("x", "ok_front", "label changed: july/c is ok_front, may/a is def_front")
    assert apply_corrections([Entry("a", "x", "def_front")], {"x": change}).entries == [Entry("a", "x", "ok_front")]


def test_a_hundred_changed_labels_are_told_in_one_line():
    rows = [row(f"{n}", f"{n}", "def", "may") for n in range(100)] + [
        row(f"{n}", f"{n}", "ok", "june") for n in range(100)
    ]
    said = label_change_summary(drop_repeats(rows).changes)
    assert said.startswith(
        "100 photographs came again with another label, and the earlier one holds: june/0 is ok, may/0 is def; "
    )
    assert "june/4" in said
    assert "june/5" not in said
    assert "and 95 more. Where the later one is right, add a line such as 0,ok,WHY to corrections.csv" in said
