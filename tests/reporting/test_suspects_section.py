"""Suspects section: labels that look wrong, in words, and lines that the reader of `corrections.csv` takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.corrections import HEADER, parse
from tasks.records.rows import Suspect
from tasks.reporting.html import MARKDOWN
from tasks.reporting.suspects_section import MAX_LINES, MAX_LISTED, corrections_line, suspects_section
from tasks.settings.settings import Classes

CLASSES = Classes()
SHA256 = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def make_suspect(number: int = 0, part: str = "part", **changes) -> Suspect:
    sha256 = f"{number:064x}"
    return Suspect(
        f"train/ok_front/{number}.jpeg", sha256, "base", part, CLASSES.good, CLASSES.defect, 0.93, "part", 5, 5, 4, 0.97
    )._replace(**changes)  # fmt: skip


def test_where_nothing_is_suspected_one_sentence_says_so():
    assert suspects_section([], 1300) == "0 of 1,300 labels look wrong."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "all 5 photographs of the part have this label, and the network calls 4 of them `def_front`"),
        (
            {"kind": "image", "images": 143, "suspects": 16, "contradictions": 16},
            "16 of 143 photographs of the part disagree with the other 127; the network contradicts 16 of these 143 labels",
        ),
        (
            {"images": 1, "suspects": 1},
            "a network that never saw the part gives its only photograph a defect probability of 97.0%",
        ),
    ],
)
def test_each_kind_of_suspect_says_what_contradicts_its_label(changes, words):
    page = suspects_section([make_suspect(**changes)], 10)
    assert words in page
    assert "**1 of 10 labels looks wrong**, of 1 part" in page
    assert "| 0.930 |" in page


def test_the_table_has_a_row_a_part_and_the_lines_have_one_for_each_photograph():
    page = suspects_section([make_suspect(0), make_suspect(1), make_suspect(2, "next part")], 10)
    assert "**3 of 10 labels look wrong**, of 2 parts" in page
    assert page.count("| `train/ok_front/") == 2
    assert page.count(f",{CLASSES.defect},") == 3


def test_no_score_is_said_to_be_certain():
    assert "| 0.999 |" in suspects_section([make_suspect(score=1.0)], 10)


def test_long_lists_end_and_say_where_the_rest_is():
    page = suspects_section([make_suspect(number, f"{number // 4}") for number in range(4 * MAX_LISTED + 4)], 500)
    assert f"of {MAX_LISTED + 1} parts; the first {MAX_LISTED} are listed" in page
    assert page.count("| `train/ok_front/") == MAX_LISTED
    assert f"all {4 * MAX_LISTED + 4} lines, here are the first {MAX_LINES}" in page
    assert page.count(f",{CLASSES.defect},") == MAX_LINES


def test_names_from_outside_are_no_markup():
    page = suspects_section([make_suspect(path="<b>|`x`.jpeg", suggested="```\n<script>")], 10)
    html = MARKDOWN.render(page)
    assert "<script>" not in html
    assert "<b>" not in html
    assert html.count("<pre>") == 1


CLASS_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=["C", "Z"]), min_size=1
).filter(lambda name: name != CLASSES.good)


@given(CLASS_NAMES, st.sampled_from(["part", "image"]), st.integers(1, 400))
def test_a_line_is_what_the_reader_of_corrections_takes(name, kind, images):
    classes = CLASSES.model_validate({"defect": name, "good": CLASSES.good})
    suspect = make_suspect(suggested=classes.defect, kind=kind, images=images, sha256=SHA256)
    content = f"{','.join(HEADER)}\n{corrections_line(suspect)}\n".encode()
    (correction,) = parse(content, "corrections.csv", classes).values()
    assert (correction.sha256, correction.correction) == (SHA256, classes.defect)
