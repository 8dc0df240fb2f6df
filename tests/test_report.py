"""Report: what a reader needs in words and tables, in which no name from outside becomes markup."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from tasks.runs.records import Release
from tasks.runs.report import code, scored, sections, table

MARKDOWN = MarkdownIt("js-default")
EVIL = [
    "<script>alert(1)</script>",
    "**bold**",
    "[a](javascript:b)",
    "![a](http:b)",
    "a|b",
    "`x`",
    "``x",
    "a\n\n# b",
    "_a_ <b>",
    "\\",
]


def text_of(outcome) -> str:
    return "\n\n".join(section.markdown for section in sections(outcome))


def test_the_sections_stand_in_the_order_of_their_weight(outcome):
    shown = sections(outcome)
    assert [section.title for section in shown] == [
        "Result",
        "What the figures mean",
        "Data",
        "Learning",
        "Test",
        "Run",
    ]
    assert [figure.name for section in shown for figure in section.figures] == [
        "samples",
        "learning",
        "confusion",
        "mistakes",
    ]


def test_the_result_says_verdict_reason_and_counts(outcome):
    result = sections(outcome)[0].markdown
    assert result.startswith(f"**Not promoted, no model is in use**: {outcome.release.reason}.")
    assert "**85.00%** of 20 test images" in result
    assert "misses 1 of 10 defects and refuses 2 of 10 good parts" in result
    assert "Decided in run" not in result


def test_an_earlier_decision_names_its_run(outcome):
    release = Release(
        verdict="promoted", reason="it is good", version=4, champion_before=3, decided_in="an earlier run", cached=True
    )
    result = sections(replace(outcome, release=release))[0].markdown
    assert result.startswith(
        "**Promoted as version 4**: it is good. Decided in run `an earlier run`; nothing has changed since."
    )


def test_a_leak_is_told_and_what_was_done_about_it(outcome):
    assert "**The published split leaks**: 1 pairs" in text_of(outcome)
    assert "1 training images were held back" in text_of(outcome)
    published = outcome.splits.model_copy(update={"held_back": 0})
    assert "they were **left in training**" in text_of(replace(outcome, splits=published))
    clean = outcome.audit.model_copy(update={"exact_copies_across_splits": 0})
    assert "leaks" not in text_of(replace(outcome, audit=clean))


def test_what_was_not_looked_into_is_said(outcome):
    assert "was not looked into" in text_of(outcome)
    assert "was not looked into" not in text_of(
        replace(outcome, audit=outcome.audit.model_copy(update={"castings": 140}))
    )


def test_counts_of_the_data_are_shown(outcome):
    data = sections(outcome)[2].markdown
    assert "67 accepted, 1 quarantined; 0 others" in data
    assert "61 `base`, 6 `line 2`" in data
    assert " test, 1 held back |" in data


def test_each_origin_has_its_row_when_there_are_several(outcome):
    rows = sections(outcome)[4].markdown.splitlines()
    assert [row.split(" | ")[0] for row in rows if row.startswith("| ")][2:] == ["| all", "| `base`", "| `line 2`"]
    alone = outcome.evaluation.model_copy(update={"slices": {"base": outcome.evaluation.test}})
    assert "`base`" not in sections(replace(outcome, evaluation=alone))[4].markdown


def test_a_rate_stands_beside_its_count_and_its_interval(outcome):
    row = scored("all", outcome.evaluation.test)
    assert row[1] == "85.00% of 20"
    assert row[3] == "1 of 10: 10.00% (0.25% to 44.50%)"


def test_a_slice_with_one_class_shows_what_there_is(outcome):
    alone = outcome.evaluation.test.model_copy(
        update={"defects": 0, "missed_defects": 0, "escape_rate": None, "escape_rate_interval": None, "auc": None}
    )
    assert scored("all", alone)[2:4] == ("", "0 of 0")


@pytest.mark.parametrize("name", EVIL)
def test_a_name_from_outside_becomes_code_and_nothing_else(name):
    (paragraph, inline, _) = MARKDOWN.parse(code(name))
    assert paragraph.type == "paragraph_open"
    assert [token.type for token in inline.children] == ["code_inline"]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_in_a_table_stays_in_its_cell(name):
    tokens = MARKDOWN.parse(table(("a", "b"), [(code(name), "end")]))
    assert [token.type for token in tokens].count("td_open") == 2
    cell = next(
        token for token in tokens if token.type == "inline" and token.map and token.children[0].type == "code_inline"
    )
    assert cell.children[0].content == " ".join(name.replace("`", "'").split())


@pytest.mark.parametrize("name", EVIL)
def test_no_name_of_a_source_a_class_or_an_origin_is_markup_anywhere(outcome, name):
    def shape(markdown: str) -> list[str]:
        found = []
        for token in MARKDOWN.parse(markdown):
            found += [token.type, *(child.type for child in token.children or ())]
        return found

    for section, harmless in zip(
        sections(with_names(outcome, name)), sections(with_names(outcome, "harmless")), strict=True
    ):
        assert shape(section.markdown) == shape(harmless.markdown)


def with_names(outcome, name: str):
    return replace(
        outcome,
        splits=outcome.splits.model_copy(
            update={"by_class": {name: 3, "ok_front": 4}, "by_origin": {"base": 3, name: 4}}
        ),
        evaluation=outcome.evaluation.model_copy(
            update={"slices": {"base": outcome.evaluation.test, name: outcome.evaluation.test}}
        ),
        source=outcome.source.model_copy(update={"name": name}),
    )


def test_pipes_are_escaped_and_every_row_has_its_cells():
    assert table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"
