"""Checked parts: what people said of them shows production neither too good nor too certain."""

import numpy as np
import pytest
from labeling.answers import answer
from monitoring.test_spot_checks import FEW, SECRET, judged

from tasks.labeling.label_log import LabelLog
from tasks.monitoring.checked_parts import (
    CheckedStratum,
    checked_parts,
    estimate_errors,
    find_alarm,
    production_facts,
    summarize,
)
from tasks.monitoring.spot_checks import draw, parts_by_stratum, save_settings
from tasks.settings.settings import SpotCheckSettings


def check(number: int, part: int, label: str = "good", **values: object):
    return answer(number, f"{part:064x}", label, **{"queue": "spot_check", **values})


def answers_of(checked) -> dict[str, str]:
    return {part: found.answer for part, found in checked.items()}


def test_a_part_waits_until_all_its_decided_photographs_are_answered():
    rows = [judged(1, part="p"), judged(2, "reject", part="p"), judged(3, "review", part="p")]
    assert checked_parts(rows, [check(1, 1, "defect")]) == {}
    assert answers_of(checked_parts(rows, [check(1, 1, "defect"), check(2, 2)])) == {"s/p": "defect"}
    assert answers_of(checked_parts(rows, [check(1, 1, "cannot_tell"), check(2, 2)])) == {"s/p": "good"}
    assert answers_of(checked_parts(rows, [check(1, 1, "exclude"), check(2, 2, "cannot_tell")])) == {"s/p": ""}
    assert checked_parts(rows, [check(1, 1), check(2, 2, queue="review")]) == {}, "an answer that is not blind"


def test_the_last_answer_counts_and_what_was_taken_back_does_not():
    rows, labels = [judged(1)], [check(1, 1), check(2, 1, "defect")]
    assert answers_of(checked_parts(rows, labels)) == {f"{1:064x}": "defect"}
    back = answer(3, f"{1:064x}", "withdrawn", withdraws=f"{2:032x}", queue="spot_check")
    assert answers_of(checked_parts(rows, [*labels, back])) == {f"{1:064x}": "good"}


def test_the_estimate_counts_drawn_parts_alone_and_each_week_by_its_size():
    rows = [judged(number) for number in range(100)]
    rows += [judged(200 + number, week="2026-W50") for number in range(300)]
    (first, second) = (draw(parts, SECRET, FEW) for parts in parts_by_stratum(rows).values())
    labels = [check(number, int(part, 16)) for number, part in enumerate([*first, *second])]
    labels.append(check(1_000, int(first[0], 16), "defect"))
    undrawn = next(int(row.sha256, 16) for row in rows if row.sha256 not in first + second)
    labels.append(check(1_001, undrawn, "defect"))
    labels.append(check(1_002, int(second[0], 16), "defect", queue="review"))
    rate = estimate_errors(rows, labels, SECRET, FEW)["pass"]
    assert (rate.decided, rate.checked, rate.wrong, rate.waiting) == (400, 10, 1, 0)
    assert rate.rate == pytest.approx(0.25 * 1 / 5)
    assert rate.rate < rate.bound < 1


def test_a_good_part_that_was_rejected_is_a_false_reject():
    rates = estimate_errors(
        [judged(1, "reject"), judged(2, "reject")], [check(1, 1), check(2, 2, "defect")], SECRET, FEW
    )
    assert rates["reject"].rate == 0.5
    assert rates["pass"].decided == 0


def test_without_a_check_nothing_is_known(places):
    rate = estimate_errors([judged(1)], [], SECRET, FEW)["pass"]
    assert (rate.decided, rate.checked, rate.waiting, rate.rate, rate.bound, rate.more) == (1, 0, 1, None, None, None)
    assert production_facts({1: [judged(1)]}, [], places) == []
    assert not places.artifacts.exists(), "where nobody checks there is no secret"


def test_a_week_in_which_most_still_waits_is_left_out():
    whole, begun = CheckedStratum(100, 0, 10, 1, 10), CheckedStratum(1_000, 8, 2, 2, 2)
    settings = SpotCheckSettings()
    assert summarize([whole, begun], settings).rate == summarize([whole], settings).rate == 0.1
    assert summarize([whole, begun], settings).waiting == 8
    assert summarize([begun], settings).rate is None
    enough = CheckedStratum(1_000, 7, 7, 2, 7)
    assert summarize([whole, enough], settings).rate == pytest.approx((100 * 0.1 + 1_000 * 2 / 7) / 1_100)


def test_the_bound_of_equal_weeks_is_exact_and_says_how_many_are_missing():
    rate = summarize([CheckedStratum(100, 0, 10, 0, 10)] * 2, SpotCheckSettings(max_wrong_share=0.05))
    assert rate.bound == pytest.approx(1 - 0.05 ** (1 / 20))
    assert rate.more == 59 - 20


@pytest.mark.parametrize(
    ("sizes", "checks", "truth"),
    [
        ([1_000, 200, 50], [20, 20, 20], [0.02, 0.05, 0.2]),
        (
            [9_000, 1_000],
            [20, 200],
            [0.13, 0.0],
        ),  # Kish's effective number of parts misses here in 6.2 % of the samples
        ([500, 500], [25, 25], [0.0, 0.04]),
    ],
)
def test_the_bound_holds_in_nearly_all_productions(sizes, checks, truth):
    random, held, runs = np.random.default_rng(0), 0, 2_000
    defective = [round(size * share) for size, share in zip(sizes, truth, strict=True)]
    share = sum(defective) / sum(sizes)
    for _ in range(runs):
        strata = [
            CheckedStratum(size, 0, number, int(random.hypergeometric(wrong, size - wrong, number)), number)
            for size, wrong, number in zip(sizes, defective, checks, strict=True)
        ]
        held += summarize(strata, SpotCheckSettings()).bound >= share
    assert held >= 0.94 * runs, "0.95 is promised, and 2,000 runs scatter by 0.005"


def test_the_alarm_counts_each_passed_part_once_in_the_order_of_the_last_answer_about_it():
    rows = [judged(1, part="p"), judged(2, part="p"), judged(3), judged(4, "reject"), judged(5)]
    labels = [check(1, 1, "defect"), check(2, 3), check(3, 4, "defect"), check(4, 2), check(5, 5, "cannot_tell")]
    state = find_alarm(rows, labels, SpotCheckSettings())
    assert (state.checked, state.escapes, state.is_suspect) == (2, 1, False)
    many = [judged(number) for number in range(100, 140)]
    state = find_alarm(many, [check(number, number, "defect") for number in range(100, 140)], SpotCheckSettings())
    assert state.is_suspect and state.alarm_after < 10


def test_all_versions_stand_before_each_one(places):
    save_settings(FEW, places)
    log = LabelLog(places)
    log.append(check(1, 1, "defect"))
    facts = production_facts({1: [judged(1)], 2: [judged(2)]}, log.rows(), places)
    assert [(row.version, row.passed.decided, row.passed.checked) for row in facts] == [(None, 2, 1), (1, 1, 1)]
