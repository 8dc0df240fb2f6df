"""Promotion rules: each rule has a figure and a limit, and a better model counts only beyond noise, by casting."""

import numpy as np
import pytest
from gates import make_pairs

from tasks.evaluation import promotion_rules
from tasks.evaluation.comparison import compare
from tasks.evaluation.intervals import effective_parts, rate_bound, rate_interval
from tasks.evaluation.promotion_rules import Champion
from tasks.records.results import Decided, DrawnBlemishes, Exports, Format, Rate, Rule, Score
from tasks.settings.settings import AcceptanceSettings, Classes, EvaluationSettings

COSTS, LIMITS = EvaluationSettings(), AcceptanceSettings()
FINE = Rule(name="defects that escape", figure="0 of 10 (0.00%)", limit="at most 5.00%", kept=True, code="escapes")
BAD = FINE.model_copy(update={"figure": "9 of 10 (90.00%)", "kept": False})


def decide(rival: Champion | None, *alone: Rule):
    return promotion_rules.decide(alone or (FINE,), rival, Classes(), COSTS, LIMITS)


def test_the_first_model_needs_acceptance_alone():
    ruling = decide(None)
    assert ruling.promote
    assert ruling.cause == "first_model"
    assert "defects that escape 0 of 10" in ruling.reason


def test_the_reason_of_the_first_model_names_its_limits_wherever_they_stand():
    size = Rule(name="keras, size", figure="1.0 MB", limit="at most 200 MB", kept=True, code="export_size")
    assert decide(None, size, FINE).reason == decide(None, FINE, size).reason == decide(None, FINE).reason


def test_a_limit_that_is_broken_ends_it_whatever_is_in_use():
    ruling = decide(Champion(2, make_pairs("reject", "pass", 30)), FINE, BAD)
    assert not ruling.promote
    assert ruling.cause == "rule_broken"
    assert "9 of 10 (90.00%), at most 5.00%" in ruling.reason


def test_a_better_candidate_is_promoted_with_its_figures():
    ruling = decide(Champion(2, make_pairs("reject", "pass", 12) + make_pairs("pass", "reject", 1)))
    assert ruling.promote
    assert ruling.cause == "better"
    assert "costs less on 12 parts and more on 1 (p = 0.0034), " in ruling.reason
    assert [rule.name for rule in ruling.rules] == [FINE.name, "beside version 2", "origin base beside version 2"]
    assert [rule.code for rule in ruling.rules] == ["escapes", "beside_champion", "origin_beside_champion"]
    assert all(rule.kept for rule in ruling.rules)


@pytest.mark.parametrize(
    ("gains", "losses", "cause"), [(5, 0, "no_better"), (0, 0, "no_better"), (0, 12, "dearer_on_origin")]
)
def test_an_equal_or_a_worse_one_is_kept_out(gains, losses, cause):
    ruling = decide(
        Champion(
            2,
            make_pairs("reject", "review", gains)
            + make_pairs("review", "reject", losses)
            + make_pairs("pass", "pass", 3),
        )
    )
    assert not ruling.promote
    assert ruling.cause == cause
    assert not ruling.rules[1].kept


def test_better_in_all_and_worse_in_one_origin_is_kept_out_by_name():
    gained = make_pairs("reject", "pass", 40)
    lost = make_pairs("review", "reject", 8, origin="line 2")
    ruling = decide(Champion(2, gained + lost))
    assert not ruling.promote
    assert ruling.cause == "dearer_on_origin"
    assert "origin line 2 beside version 2 costs less on 0 parts" in ruling.reason
    assert [rule.kept for rule in ruling.rules] == [True, True, True, False]


def test_an_equal_one_that_learnt_a_new_origin_is_promoted_and_the_origin_named():
    ruling = decide(Champion(2, make_pairs("reject", "review", 2, origin="line 2"), unseen=["line 2"]))
    assert ruling.promote
    assert ruling.cause == "new_origins"
    assert "line 2, which version 2 has never seen" in ruling.reason
    assert not decide(Champion(2, make_pairs("review", "reject", 12), unseen=["line 2"])).promote, "worse is worse"


def test_a_few_escapes_are_worse_however_many_looks_are_spared():
    found = compare(make_pairs("reject", "review", 30) + make_pairs("pass", "reject", 6), Classes(), COSTS)
    assert found.cheaper > found.dearer
    assert found.worse(0.05)
    spared, escaped = make_pairs("reject", "review", 30), make_pairs("pass", "reject", 6)
    assert not decide(Champion(2, spared + escaped, unseen=["line 2"])).promote
    gained = make_pairs("reject", "pass", 12, origin="line 2")
    ruling = decide(Champion(2, spared + escaped + gained))
    assert ruling.cause == "dearer_on_origin"
    assert "origin base beside version 2" in ruling.reason


def test_a_new_origin_that_was_not_learnt_is_no_reason():
    lost = make_pairs("reject", "review", 2, label="ok_front", origin="line 2", each=9)
    assert not compare(lost, Classes(), COSTS).worse(0.05), "two castings are noise"
    assert not decide(Champion(2, lost, unseen=["line 2"])).promote
    assert decide(Champion(2, make_pairs("reject", "pass", 2, origin="line 2"), unseen=["line 2"])).promote


def test_what_the_champion_learnt_is_left_out_and_said():
    assert "; 7 test images that version 2 " in decide(Champion(2, make_pairs("pass", "pass", 3), 7)).reason
    nothing = decide(Champion(2, (), 7))
    assert not nothing.promote
    assert nothing.cause == "nothing_to_compare"


def test_a_champion_that_cannot_be_used_makes_way_for_what_keeps_to_the_limits():
    broken = Champion(2, unusable="its folder has changed")
    assert decide(broken).promote
    assert decide(broken).cause == "champion_unusable"
    assert "its folder has changed" in decide(broken).reason
    assert not decide(broken, BAD).promote


def exports(**changed) -> Exports:
    one = Format(bytes=250_000, images=60, max_difference=1e-7, changed_decisions=0, milliseconds=2)
    return Exports(digest="aa", contents=(), formats={"keras": one, "litert": one.model_copy(update=changed)})


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, None),
        ({"changed_decisions": 1}, "litert, decisions changed"),
        ({"max_difference": 0.002}, "litert, decisions changed"),
        ({"bytes": 201_000_000}, "litert, size"),
        ({"milliseconds": 1_001}, "litert, one image"),
    ],
)
def test_every_format_decides_alike_and_is_small_and_quick(changed, name):
    rules = promotion_rules.export_rules(exports(**changed), LIMITS)
    assert len(rules) == 6
    assert [rule.name for rule in promotion_rules.broken_rules(rules)] == ([name] if name else [])


def make_rate(count: int, total: int, parts: int | None = None) -> Rate:
    """A rate over parts of equal size, of which as many as can be have nothing but such images."""
    parts = total if parts is None else parts
    each = total // parts if parts else 1
    failed, sizes = -(-count // each), np.full(parts, each)
    counts = np.minimum(sizes, np.maximum(0, count - each * np.arange(parts)))
    return Rate(
        count=count, total=total, parts=parts, parts_with=failed, effective_parts=effective_parts(counts, sizes) if parts else 0.0,
        rate=count / total if total else None, interval=rate_interval(counts, sizes, 0.95), bound=rate_bound(counts, sizes, 0.95),
        confidence=0.95,
    )  # fmt: skip


def make_rules(limits: AcceptanceSettings, test: Score, *, by_part: bool = False, **rates: Rate) -> list[Rule]:
    nothing = make_rate(0, 200)
    decided = Decided(**{"escape": nothing, "false_reject": nothing, "review": nothing, **rates}, by_part=by_part)
    return promotion_rules.acceptance_rules(test.model_copy(update={"decided": decided}), limits)


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_where_no_defect_was_tested_a_person_decides(evaluation, confidence):
    limits = LIMITS.model_copy(update={"confidence": confidence})
    rules = make_rules(limits, evaluation.test, escape=make_rate(0, 0))
    assert not promotion_rules.broken_rules(rules)
    (untested,) = [rule for rule in rules if rule.for_person]
    assert (untested.code, untested.kept) == ("escapes", False)
    ruling = decide(None, *rules)
    assert ruling.promote and ruling.for_person and ruling.cause == "not_shown"
    assert ruling.reason.endswith("but nothing was tested that tells about defects that escape")


def test_with_a_confidence_the_limit_is_one_of_the_bound_and_says_what_is_missing(evaluation):
    limits = AcceptanceSettings(confidence=0.95, max_escape_rate=0.05)
    few = make_rules(limits, evaluation.test, by_part=True, escape=make_rate(0, 140, 14))[0]
    assert not few.kept, "14 parts without an escape show 19 %"
    assert few.figure == (
        "0 of 140 (0.00%), on 0 of 14 parts, which shows less than 19.26%; 45 parts more without one would show the limit"
    )
    assert few.limit == "at most 5.00% with 95% confidence"
    assert make_rules(limits, evaluation.test, by_part=True, escape=make_rate(0, 590, 59))[0].kept
    assert not make_rules(limits, evaluation.test, by_part=True, escape=make_rate(0, 580, 58))[0].kept
    surer = limits.model_copy(update={"confidence": 0.99})
    assert not make_rules(surer, evaluation.test, by_part=True, escape=make_rate(0, 590, 59))[0].kept
    assert make_rules(LIMITS, evaluation.test, by_part=True, escape=make_rate(0, 140, 14))[0].kept, "found, not shown"


def test_a_rule_names_the_parts_that_it_rests_on(evaluation):
    assert make_rules(LIMITS, evaluation.test, by_part=True, escape=make_rate(10, 140, 14))[0].figure == (
        "10 of 140 (7.14%), on 1 of 14 parts"
    )


def test_a_model_in_use_that_knows_nothing_of_the_source_is_compared_by_nobody():
    ruling = decide(Champion(3, make_pairs("reject", "pass", 12), unknown_source=800))
    assert ruling.promote
    assert ruling.cause == "unknown_source"
    assert "version 3 has learned from none of the 800 photographs of" in ruling.reason
    assert [(rule.name, rule.figure, rule.kept) for rule in ruling.rules[1:]] == [
        ("photographs of the source that version 3 has learned from", "0 of 800", False)
    ]
    assert not decide(Champion(3, unknown_source=800), FINE, BAD).promote, "a bad model waits for nobody"


UNSHOWN = Rule(
    name="beside the look-up", figure="cannot be shown: parts are not known", limit="a person decides", kept=False,
    code="beside_lookup", for_person=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("champion", "begins"),
    [
        (None, "the first model, and it keeps to every limit: "),
        (Champion(2, make_pairs("reject", "pass", 12)), "better than version 2: it costs less on 12 parts"),
        (Champion(2, unusable="its folder has changed"), "it keeps to every limit, and version 2 cannot be used: "),
    ],
)
def test_what_would_be_promoted_and_cannot_be_shown_is_referred_to_a_person(champion, begins):
    ruling = decide(champion, FINE, UNSHOWN)
    assert (ruling.promote, ruling.for_person, ruling.cause) == (True, True, "not_shown")
    assert ruling.reason.startswith(begins)
    assert ruling.reason.endswith(
        ", but nothing can show that it is better than majority, look-up and shortcuts: parts are not known"
    )
    assert UNSHOWN in ruling.rules


@pytest.mark.parametrize(
    ("champion", "rules", "cause"),
    [
        (None, (FINE, BAD, UNSHOWN), "rule_broken"),
        (Champion(2, make_pairs("pass", "reject", 12)), (FINE, UNSHOWN), "dearer_on_origin"),
        (Champion(2, make_pairs("pass", "pass", 12)), (FINE, UNSHOWN), "no_better"),
        (Champion(2, (), 7), (FINE, UNSHOWN), "nothing_to_compare"),
    ],
)
def test_what_is_kept_out_anyway_waits_for_nobody(champion, rules, cause):
    ruling = decide(champion, *rules)
    assert (ruling.promote, ruling.for_person, ruling.cause) == (False, False, cause)
    assert "nothing can show" not in ruling.reason


def test_two_reasons_for_a_person_are_both_told():
    ruling = decide(Champion(3, unknown_source=800), FINE, UNSHOWN)
    assert (ruling.for_person, ruling.cause) == (True, "unknown_source")
    assert "none of the 800 photographs" in ruling.reason
    assert ruling.reason.endswith(
        ", and nothing can show that it is better than majority, look-up and shortcuts: parts are not known"
    )


def test_a_ruling_says_yes_or_no_and_bears_its_rules():
    assert decide(None) == (True, "first_model", decide(None).reason, (FINE,))
    assert decide(None, FINE, BAD) == (False, "rule_broken", decide(None, FINE, BAD).reason, (FINE, BAD))
    assert decide(Champion(2, make_pairs("pass", "reject", 12))).promote is False


def test_the_limits_of_the_decisions_are_named(evaluation):
    names = [rule.name for rule in promotion_rules.acceptance_rules(evaluation.test, LIMITS)]
    assert names == ["defects that escape", "good parts rejected", "images for a person"]


def test_what_is_listed_in_a_reason_is_set_apart():
    learnt = Champion(2, make_pairs("reject", "review", 2, origin="line 2"), unseen=["line 2", "line 3"])
    assert "from line 2, line 3, which" in decide(learnt).reason
    assert decide(None, BAD, BAD).reason == "; ".join(["defects that escape 9 of 10 (90.00%), at most 5.00%"] * 2)


def test_a_share_at_its_limit_is_kept_and_one_beyond_is_not(evaluation):
    limits = AcceptanceSettings(max_escape_rate=0.05, max_false_reject_rate=0.05, max_review_rate=0.25)
    at = {"escape": make_rate(5, 100), "false_reject": make_rate(5, 100), "review": make_rate(50, 200)}
    beyond = {"escape": make_rate(6, 100), "false_reject": make_rate(6, 100), "review": make_rate(51, 200)}
    assert [rule.figure for rule in make_rules(limits, evaluation.test, **at)] == ["5 of 100 (5.00%)"] * 2 + [
        "50 of 200 (25.00%)"
    ]
    assert not promotion_rules.broken_rules(make_rules(limits, evaluation.test, **at))
    for number, name in enumerate(at):
        rules = make_rules(limits, evaluation.test, **{**at, name: beyond[name]})
        assert [rule.kept for rule in rules] == [index != number for index in range(3)]


def test_a_new_origin_on_which_both_cost_the_same_is_learnt():
    assert decide(
        Champion(2, make_pairs("pass", "pass", 3, label="ok_front", origin="line 2"), unseen=["line 2"])
    ).promote


def test_a_format_at_its_limits_is_kept():
    rules = promotion_rules.export_rules(exports(bytes=200_000_000, milliseconds=1_000), LIMITS)
    assert not promotion_rules.broken_rules(rules)
    assert [rule.figure for rule in rules[4:]] == ["200.0 MB", "1000.0 ms"]


@pytest.mark.parametrize(
    ("images", "passed", "limit", "kept"),
    [(200, 100, 0.5, True), (200, 101, 0.5, False), (200, 0, 0.0, True), (200, 1, 0.0, False)],
)
def test_no_more_drawn_blemishes_may_pass_than_the_settings_say(images, passed, limit, kept):
    drawn = DrawnBlemishes(images=images, passed=passed, reviewed=images - passed, rejected=0, auc=None)
    (rule,) = promotion_rules.blemish_rules(drawn, AcceptanceSettings(max_blemishes_passed=limit))
    assert (rule.code, rule.kept, rule.for_person) == ("drawn_blemishes", kept, False)
    assert rule.limit == f"at most {limit:.2%}"
    assert rule.figure.startswith(f"{passed} of {images} (")


def test_a_network_of_both_classes_has_no_rule_about_blemishes():
    assert promotion_rules.blemish_rules(None, LIMITS) == []


def test_a_first_model_that_passes_too_many_blemishes_is_kept_out():
    drawn = DrawnBlemishes(images=10, passed=9, reviewed=0, rejected=1, auc=0.6)
    ruling = decide(None, FINE, *promotion_rules.blemish_rules(drawn, LIMITS))
    assert not ruling.promote
    assert ruling.cause == "rule_broken"
    assert "drawn blemishes that pass 9 of 10 (90.00%), at most 50.00%" in ruling.reason
