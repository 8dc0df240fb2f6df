"""Sheets: whatever a label is called, it stays below its photograph."""

import numpy as np
import pytest
from nasty import NASTY

from tasks.reporting.contact_sheet import GAP, SIDE, SheetRow, Tile, font, sheet, wrap


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_drawn_in_few_narrow_lines_of_letters_that_the_font_has(name):
    lines = wrap(name, 150, 2).split("\n")
    assert len(lines) <= 2
    assert all(font().getlength(line.removesuffix(" ...")) <= 150 for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_words_are_parted_at_spaces_and_what_is_left_out_is_told_by_dots():
    assert wrap("def_front: passed", 150) == "def_front: passed"
    assert wrap("it is unlike the training images", 110, 1).endswith(" ...")
    assert wrap("x" * 100, 150).startswith("xxxxx")
    assert wrap("x" * 100, 150).endswith("x...")
    assert wrap("") == ""
    assert wrap("a\nb") == "a\\nb"


def test_a_heading_makes_a_sheet_no_larger():
    tiles = (Tile(np.zeros((8, 8), np.uint8), "a"),)
    plain, nasty = (sheet([SheetRow(heading, tiles)]) for heading in ("a", "\n".join(NASTY)))
    assert plain.size == nasty.size
    assert plain.width == SIDE + 2 * GAP
