"""Repeatability: a part repeats when each of its photographs is decided alike."""

import pytest

from tasks.evaluation.repeatability import decision_repeatability
from tasks.records.rows import Prediction


def judged(part: str, *decisions: str) -> list[Prediction]:
    return [
        Prediction("a.jpeg", f"{part}{number}", "test", "base", "ok_front", part, 0.5, decision, "", "below_limit")
        for number, decision in enumerate(decisions)
    ]


def test_parts_with_the_same_decision_on_all_photographs_are_counted():
    rows = [*judged("a", "pass", "pass"), *judged("b", "pass", "reject", "pass"), *judged("c", "review", "reject")]
    found = decision_repeatability([*rows, *judged("d", "reject")], 0.95)
    assert (found.parts, found.photographs, found.same, found.opposite) == (3, 7, 1, 1)
    assert found.share.value == pytest.approx(1 / 3)
    assert found.share.interval.low == pytest.approx(0.0084, abs=1e-4)  # Clopper and Pearson for 1 of 3
    assert found.share.interval.high == pytest.approx(0.9057, abs=1e-4)


def test_without_a_second_photograph_of_a_part_there_is_nothing_to_repeat():
    assert decision_repeatability([*judged("a", "pass"), *judged("", "pass", "reject")], 0.95) is None
    same = judged("a", "pass")
    assert decision_repeatability([*same, *same], 0.95) is None, "one photograph, twice in the table"
