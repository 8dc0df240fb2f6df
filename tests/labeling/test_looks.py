"""Looks: each person sees each photograph twice, days apart, in an order of their own, and no label follows from it."""

from datetime import timedelta

import pytest
from study_places import LONG_AGO, clear_parts, look, prediction_of

from tasks.labeling.label_log import labeled_contents, latest_labels
from tasks.labeling.looks import REPEAT_DAYS, looks_of, missing_looks, open_looks
from tasks.labeling.study import StudyPhotograph

PHOTOGRAPHS = [prediction_of(photograph) for photograph in clear_parts(6)]
STUDY = [
    StudyPhotograph(row.sha256, row.group, "", row.path, "base", row.label, "pass", "run-1", 7, LONG_AGO.isoformat())
    for row in PHOTOGRAPHS
]
FIRST = STUDY[0].sha256


def due(rows, person: str, days: float) -> list[str]:
    when = LONG_AGO + timedelta(days=days)
    return [photograph.sha256 for photograph in open_looks(looks_of(rows, STUDY), STUDY, person, when)]


def test_a_photograph_is_shown_again_after_days_and_never_for_the_third_time():
    rows = [look(FIRST, "anna", "good", 0.5)]
    assert FIRST in due([], "anna", 1)
    assert FIRST not in due(rows, "anna", 0.4 + REPEAT_DAYS)
    assert due(rows, "anna", 0.5 + REPEAT_DAYS)[-1] == FIRST, "what was never seen comes first"
    assert FIRST in due(rows, "ben", 1), "each person sees it"
    twice = [*rows, look(FIRST, "anna", "defect", 4)]
    assert FIRST not in due(twice, "anna", 400)


def test_an_answer_that_comes_too_soon_or_for_the_third_time_is_no_look():
    rows = [look(FIRST, "anna", label, days) for label, days in
            (("good", 1), ("defect", 1.5), ("cannot_tell", 4), ("defect", 9))]  # fmt: skip
    assert [(found.round, found.label) for found in looks_of(rows, STUDY)] == [(1, "good"), (2, "cannot_tell")]


@pytest.mark.parametrize(
    "row",
    [
        look(FIRST, "anna", "good", -1),  # of an earlier study
        look(FIRST, "anna", "good", 1, queue="review"),
        look("0" * 64, "anna", "good", 1),
    ],
)
def test_other_answers_are_no_looks(row):
    assert looks_of([row], STUDY) == []


def test_an_answer_that_was_taken_back_is_asked_again():
    row = look(FIRST, "anna", "good", 1)
    back = row._replace(decision="0" * 32, label="withdrawn", withdraws=row.decision)
    assert looks_of([row, back], STUDY) == []
    assert FIRST in due([row, back], "anna", 1)


def test_each_person_has_another_order_in_each_round():
    rows = [look(row.sha256, "anna", "good", 1) for row in PHOTOGRAPHS]
    first, second, other = due([], "anna", 1), due(rows, "anna", 9), due([], "ben", 1)
    assert sorted(first) == sorted(second) == sorted(other) == sorted(row.sha256 for row in PHOTOGRAPHS)
    assert first == due([], "anna", 2)
    assert len({tuple(order) for order in (first, second, other)}) == 3


def test_missing_looks_are_counted_by_person_and_round():
    rows = [look(FIRST, "ben", "good", 1), look(FIRST, "ben", "good", 5), look(STUDY[1].sha256, "ben", "good", 1)]
    number = len(STUDY)
    assert missing_looks(looks_of(rows, STUDY), STUDY, "anna") == [
        ("anna", number, number),
        ("ben", number - 2, number - 1),
    ]


def test_without_a_study_there_are_no_looks():
    assert looks_of([look(FIRST, "anna", "good", 1)], []) == []


def test_a_second_look_changes_no_label():
    label = look(FIRST, "anna", "good", 1, queue="review")
    rows = [label, look(FIRST, "ben", "defect", 2), look(STUDY[1].sha256, "ben", "defect", 2)]
    assert latest_labels(rows) == {FIRST: label}
    assert labeled_contents(rows) == {FIRST}
