"""Tables: what is written comes back, and another table is not mistaken for it."""

import csv
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY

from tasks.settings.errors import BadInput
from tasks.storage.tables import (
    column,
    columns,
    read_csv,
    read_state,
    read_table,
    store_table,
    write_rows,
    write_table,
)


class Line(NamedTuple):
    name: str
    count: int
    share: float
    note: str = ""


TEXT = st.text(st.characters()) | st.text("=+-@'\t\r\n\",;") | st.sampled_from(NASTY)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "lines.csv"


@given(st.lists(st.builds(Line, TEXT, st.integers(), st.floats(allow_nan=False), TEXT)))
def test_rows_come_back_as_they_were(path, rows):
    write_table(path, rows, Line)
    assert read_table(path, Line) == rows


def test_numbers_come_back_as_numbers(path):
    write_table(path, [Line("7", 7, 0.1 + 0.2, "0.5")], Line)
    (row,) = read_table(path, Line)
    assert [type(value) for value in row] == [str, int, float, str]
    assert row.share == 0.1 + 0.2


def test_a_table_without_rows_still_says_what_it_is(path):
    write_table(path, [], Line)
    assert path.read_text() == "name,count,share,note\n"
    assert read_table(path, Line) == []


@pytest.mark.parametrize("text", ["", "name,count,share\na,1,2\n", "count,name,share,note\n"])
def test_another_table_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(ValueError, match=r"is not a table of Line: its header is not name, count, share, note"):
        read_table(path, Line)


def test_a_row_that_was_cut_short_is_refused(path):
    path.write_text("name,count,share,note\na,1\n")
    with pytest.raises(ValueError, match="shorter"):
        read_table(path, Line)


def test_equal_rows_are_stored_under_an_equal_name(places):
    rows = [Line('a,"b"\nc', 1, 0.5)]
    file = store_table("lines", rows, Line, places)
    assert file == store_table("lines", rows, Line, places)
    assert file.name == f"tables/lines-{file.sha256[:16]}.csv"
    assert read_table(file.path(places), Line) == rows


@pytest.mark.parametrize(
    "content", [b"", b"name,count", b"a,b\n", b"name,count,share,note\nx,many,1,y\n", b"\xff", b'"' + b"x" * 200_000]
)
def test_a_damaged_table_that_recast_can_do_without_is_told_in_one_line(tmp_path, capsys, content):
    (tmp_path / "state.csv").write_bytes(content)
    assert read_state(tmp_path / "state.csv", Line) == []
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'state.csv'} is damaged (")
    assert read_state(tmp_path / "none.csv", Line) == []
    assert capsys.readouterr().out == ""


def test_a_folder_in_the_place_of_a_table_is_told(tmp_path):
    with pytest.raises(BadInput, match="cannot be read .*a file that this user may read and write is expected"):
        read_state(tmp_path, Line)
    with pytest.raises(BadInput, match="is damaged or cannot be read"):
        list(columns(tmp_path, "name"))


@pytest.mark.parametrize("name", NASTY)
def test_no_text_of_a_table_is_a_formula_and_readers_get_it_back(path, name):
    write_rows(path, [{"name": name, "count": -1, "share": None}], ("name", "count", "share"))
    with open(path, newline="", encoding="utf-8", errors="surrogatepass") as opened:
        (_, row) = csv.reader(opened)
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row[1:] == ["-1", ""], "numbers stay numbers"
    assert [*column(path, "name")] == [name]
    assert [*read_csv(path)][1][0] == name


def test_a_table_of_an_earlier_release_is_read_as_it_is(path):
    path.write_text("name,count,share,note\n=1,1,0.5,'a\n")
    assert read_table(path, Line) == [Line("=1", 1, 0.5, "'a")]


def test_a_column_that_is_not_there_says_nothing(path):
    path.write_text("a,b\n1,2\n")
    assert [*column(path, "c")] == []
