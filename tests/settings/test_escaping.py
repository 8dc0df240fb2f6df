"""Escaping: a hostile name does nothing in any medium, and what a table holds comes back."""

import csv
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nasty import NASTY

from tasks.reporting.markdown import code, link, table
from tasks.settings.escaping import for_csv, for_markdown, for_picture, for_terminal, from_csv

MARKDOWN = MarkdownIt("js-default")
ANYTHING = st.text(st.characters()) | st.text("=+-@\t\r\n;' a|,\"＝") | st.sampled_from(NASTY)
STARTS = "=+-@\t\r\n＝＋－＠"


class ParsedText(HTMLParser):
    """The text that an HTML parser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data


def tokens(markdown: str) -> list[str]:
    """Return what a renderer makes of it, without the words; characters that were escaped count as words."""
    found = []
    for token in MARKDOWN.parse(markdown):
        found += [token.type, *(child.type for child in token.children or ())]
    return [kind for kind in found if kind not in ("text", "text_special")]


@given(ANYTHING)
def test_on_a_terminal_a_name_is_one_line_of_printable_characters(name):
    shown = for_terminal(name)
    assert shown.isprintable()
    assert for_terminal(shown) == shown
    shown.encode()


def test_what_is_harmless_is_shown_as_it_is():
    for name in ("cast_def_0_1189.jpeg", "Gußteil 7 (neu).png", "缺陷"):
        assert for_terminal(name) == name
        assert for_csv(name) == name
    assert (
        for_markdown("1 of 10 (10.00%), p = 1.9e-06, -0.5: it's 3.5 MB")
        == "1 of 10 (10.00%), p = 1.9e-06, -0.5: it's 3.5 MB"
    )


@pytest.mark.parametrize("head", ["", "a: ", "* "])
@given(name=ANYTHING)
def test_in_running_markdown_a_name_is_text(head, name):
    assert tokens(f"{head}{for_markdown(f'{name}x')}") == tokens(f"{head}x")


@given(ANYTHING)
def test_running_markdown_shows_the_name(name):
    shown = ParsedText(MARKDOWN.render(for_markdown(name))).text
    assert shown.split() == for_terminal(name).split()


@given(ANYTHING)
def test_markdown_for_other_renderers_has_no_address_and_no_bar(name):
    """They make links of bare addresses, and some end a cell at a bar that others take for escaped."""
    shown = for_markdown(name)
    assert not any(sign in shown for sign in ("://", "www.", "|", "@", "<", "`"))


@given(ANYTHING)
def test_code_and_cells_keep_a_name_in_their_place(name):
    assert tokens(code(f"{name}x")) == ["paragraph_open", "inline", "code_inline", "paragraph_close"]
    made = table(("a", "b", name), [(code(f"{name}x"), name, "end"), ("1", "2", "3")])
    assert tokens(made) == tokens(table(("a", "b", "c"), [(code("x"), "y", "end"), ("1", "2", "3")]))
    assert "\\\\|" not in made, "renderers differ in whether that bar ends the cell"
    assert made.count("\n") == 3


def test_what_is_meant_as_markup_stays():
    assert table((code("a"), ""), [(code("b"), "*")]) == "| `a` |  |\n| --- | --- |\n| `b` | &#42; |"
    assert (
        link("page", "http://127.0.0.1:5000/#/runs/a)[b](x") == "[page](http://127.0.0.1:5000/#/runs/a%29%5Bb%5D%28x)"
    )


@given(ANYTHING)
def test_the_text_of_a_table_comes_back(name):
    assert from_csv(for_csv(name)) == name
    assert from_csv(for_csv(for_csv(name))) == for_csv(name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", NASTY)
def test_no_cell_is_a_formula_whichever_sign_a_spreadsheet_parts_cells_by(name, delimiter):
    file = io.StringIO()
    csv.writer(file).writerow(["first", for_csv(name), "last"])
    for row in csv.reader(io.StringIO(file.getvalue(), newline=None), delimiter=delimiter):
        assert not any(cell.startswith(tuple(STARTS)) for cell in row), row


@given(ANYTHING)
def test_a_picture_gets_letters_that_its_font_has(name):
    assert all(" " <= char < "\x7f" for char in for_picture(name))
    assert for_picture("é") == "\\xe9"
    assert for_picture("é", 0x250) == "é"


def test_no_medium_for_people_shows_a_secret(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2-or-so")
    for medium in (for_terminal, for_markdown, for_picture, code):
        assert "hunter2" not in medium("it is hunter2-or-so at http://me:hunter2@host/")
