"""Part names: the parts that a person names, by a pattern or a table, count before those that the source names."""

import re

import pytest
from pydantic import ValidationError

from tasks.dataset.part_names import find_part_names, join_named, name_parts
from tasks.records.rows import BASE, Member, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import SplitSettings


def row(path: str, origin: str = BASE, part: str = "") -> Row:
    return Row(path, path, "bad", origin, "", 300, 300, 100.0, 100.0, 5.0, part=part)


ROWS = [
    row("bad/tile_7_lamp_1.png"),
    row("good/tile_8_lamp_1.png", part="P8"),
    row("good/odd.png", part="P9"),
    row("bad/tile_7_lamp_2.png", "line 2"),
]


def test_a_pattern_names_parts_and_the_source_names_the_others(process):
    names = find_part_names(SplitSettings(parts=r"(tile_\d+)_"))
    assert name_parts(ROWS, names) == ["tile_7", "tile_8", "P9", "tile_7"]


def test_without_a_pattern_the_source_names_them():
    assert name_parts(ROWS, find_part_names(SplitSettings())) == ["", "P8", "P9", ""]


def test_a_batch_stands_before_the_path_of_what_arrived(process):
    assert name_parts(ROWS, find_part_names(SplitSettings(parts="^(line [0-9])/"))) == ["", "P8", "P9", "line 2"]
    in_inbox = [row("bad/tile_7.png", "inbox")]
    assert name_parts(in_inbox, find_part_names(SplitSettings(parts="^bad/(tile_7)"))) == ["tile_7"]


def test_a_table_names_parts_and_its_content_identifies_it(tmp_path):
    table = tmp_path / "parts.csv"
    table.write_text(
        "\ufeffpath,part,who\nbad/tile_7_lamp_1.png,A,me\n\nline 2/bad\\tile_7_lamp_2.png, A\n", encoding="utf-8"
    )
    names = find_part_names(SplitSettings(parts=str(table)))
    assert name_parts(ROWS, names) == ["A", "P8", "P9", "A"]
    assert names.pattern == ""
    table.write_text("path,part\nbad/tile_7_lamp_1.png,B\n", encoding="utf-8")
    assert find_part_names(SplitSettings(parts=str(table))) != names
    with pytest.raises(BadInput, match="changed"):
        name_parts(ROWS, names)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,part\n", "line 1: the header is 'file,part', expected 'path,part'"),
        ("path,part\na.png\n", "line 2: a cell is empty"),
        ("path,part\na.png,A\na.png,B\n", "line 3: a.png shows B, but A in an earlier line: leave one"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(text, says, tmp_path):
    (tmp_path / "parts.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=re.escape(says)):
        find_part_names(SplitSettings(parts=str(tmp_path / "parts.csv")))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.csv cannot be read \(No such file"):
        find_part_names(SplitSettings(parts=str(tmp_path / "gone.csv")))


def test_a_pattern_that_fits_nothing_shows_a_path_that_it_must_fit(process):
    with pytest.raises(
        BadInput, match=r"--parts \(kos\[0-9\]\+\) names the part of no image: .* such as bad/tile_7_lamp_1\.png"
    ):
        name_parts(ROWS, find_part_names(SplitSettings(parts="(kos[0-9]+)")))


def test_a_pattern_that_would_search_for_years_is_refused(process):
    rows = [row("a.png"), row("a" * 200 + "!")]
    with pytest.raises(
        BadInput, match=r"--parts \(\(\?:a\+\)\+\)\$ takes more than 0\.202 s, and was stopped at the path a{200}!"
    ):
        name_parts(rows, find_part_names(SplitSettings(parts="((?:a+)+)$")), seconds=0.2)


def test_a_group_that_matches_nothing_names_no_part(process):
    assert name_parts(ROWS, find_part_names(SplitSettings(parts="bad/tile_(7_lamp_1)?"))) == [
        "7_lamp_1",
        "P8",
        "P9",
        "",
    ]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(a", "is no regular expression"),
        ("abc", "has 0 groups: one is expected"),
        ("(a)(b)", "has 2 groups: one is expected"),
    ],
)
def test_a_pattern_without_one_group_is_refused(pattern, says):
    with pytest.raises(ValidationError, match=says):
        SplitSettings(parts=pattern)


def test_contents_of_one_name_are_one_group_and_others_follow_the_leader_that_they_joined():
    found = [("a", "a"), ("b", "b"), ("c", "a"), ("d", "b"), ("e", "e"), ("f", "b")]
    members = [Member(content, group, 0.7, 1.0) for content, group in found]
    joined = join_named(members, ["P1", "P2", "", "P1", "", ""])
    assert [member.group for member in joined] == ["a", "b", "a", "a", "e", "b"]
    assert [member.alike for member in joined] == [1.0, 1.0, 0.7, 1.0, 0.7, 0.7]
    led = join_named(
        [Member(content, group, 0.7, 1.0) for content, group in (("a", "a"), ("b", "a"), ("c", "a"), ("d", "d"))],
        ["", "p", "q", "p"],
    )
    assert [member.group for member in led] == ["a", "a", "c", "a"], (
        "the first part joins the unnamed leader, another one does not"
    )
    moved = join_named(members, ["P1", "P1", "", "", "", ""])
    assert [member.group for member in moved] == ["a", "a", "a", "a", "e", "a"], "what had joined b goes with b"
    again = join_named([*members, Member("g", "f", 0.6, 1.0)], ["", "", "", "", "", "", "P2"])
    assert [member.group for member in again[:6]] == [group for _, group in found], "a later image moves none"
