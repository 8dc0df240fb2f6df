"""Baseline rules: a model must be shown to be better than simple rules; where nothing can show it, a person decides."""

import pytest

from tasks.evaluation.baseline_rules import baseline_rules, missing_evidence
from tasks.records.results import BaselineComparison, PairedParts, RankedParts
from tasks.settings.settings import AcceptanceSettings

LIMITS = AcceptanceSettings()
CODES = ["beside_majority", "beside_lookup", "beside_shortcuts"]
SHOWN = BaselineComparison(
    evidence="validation and test",
    parts=18,
    defective_parts=16,
    good_parts=2,
    majority=RankedParts(p=0.0065, cost=0.002, constant_cost=0.132),
    lookup=PairedParts(better=8, worse=0, p=0.0039),
    shortcuts=PairedParts(better=8, worse=1, p=0.02),
)


def make_comparison(**changes) -> BaselineComparison:
    return SHOWN.model_copy(update=changes)


def test_what_is_shown_is_kept_and_tells_its_figures():
    rules = baseline_rules(SHOWN, LIMITS)
    assert [(rule.code, rule.kept, rule.for_person) for rule in rules] == [(code, True, False) for code in CODES]
    assert rules[0].figure == (
        "ranks defective parts above good ones (p = 0.0065), costs 0.002 an image instead of 0.132"
    )
    assert rules[0].limit == "p below 0.05 is needed, and a lower cost"
    assert rules[2].figure == "better on 8 parts, worse on 1 (p = 0.02)"


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"lookup": PairedParts(better=3, worse=4, p=0.77)}, "beside_lookup"),
        ({"lookup": PairedParts(better=0, worse=0, p=1)}, "beside_lookup"),
        ({"shortcuts": PairedParts(better=4, worse=0, p=0.0625)}, "beside_shortcuts"),
        ({"shortcuts": PairedParts(better=4, worse=0, p=0.05)}, "beside_shortcuts"),
        ({"majority": RankedParts(p=0.2, cost=0.1, constant_cost=0.2)}, "beside_majority"),
        ({"majority": RankedParts(p=0.001, cost=0.2, constant_cost=0.2)}, "beside_majority"),
        ({"majority": RankedParts(p=0.001, cost=0.2 - 1e-16, constant_cost=0.2)}, "beside_majority"),
    ],
)
def test_what_is_not_shown_by_enough_parts_is_broken(changes, broken):
    rules = baseline_rules(make_comparison(**changes), LIMITS)
    assert [rule.code for rule in rules if not rule.kept] == [broken]
    assert not any(rule.for_person for rule in rules)


def test_the_significance_is_that_of_the_settings():
    rules = baseline_rules(SHOWN, LIMITS.model_copy(update={"significance": 0.01}))
    assert [rule.kept for rule in rules] == [True, True, False]
    assert rules[2].limit == "p below 0.01 is needed"


def test_a_broken_rule_tells_what_is_needed():
    rule = baseline_rules(make_comparison(lookup=PairedParts(better=3, worse=4, p=0.7734)), LIMITS)[1]
    assert f"{rule.name} {rule.figure}, {rule.limit}" == (
        "beside the look-up better on 3 parts, worse on 4 (p = 0.77), p below 0.05 is needed"
    )


FEW = {"majority": None, "lookup": None, "shortcuts": None}
UNSHOWN = [
    (BaselineComparison(evidence=None), "which photographs show one part is not known (--parts can say it)"),
    (
        make_comparison(parts=5, defective_parts=3, good_parts=2, **FEW),
        "5 parts do not train, 3 defective and 2 good, and 6 are needed (--crossfit.folds judges all parts)",
    ),
    (
        make_comparison(parts=9, defective_parts=9, good_parts=0, **FEW),
        "9 parts do not train, 9 defective and 0 good, and both classes are needed (--crossfit.folds judges all parts)",
    ),
    (
        make_comparison(evidence="out of fold", parts=5, defective_parts=3, good_parts=2, **FEW),
        "5 parts do not train, 3 defective and 2 good, and 6 are needed",
    ),
    (
        make_comparison(parts=6, defective_parts=3, good_parts=3),
        "6 parts do not train, 3 defective and 3 good, too few of one class for p below 0.05 "
        "(--crossfit.folds judges all parts)",
    ),
    (None, "it was judged before there was a comparison with baselines"),
]


@pytest.mark.parametrize(("comparison", "missing"), UNSHOWN)
def test_what_cannot_be_shown_is_left_to_a_person_with_the_reason(comparison, missing):
    rules = baseline_rules(comparison, LIMITS)
    assert [(rule.code, rule.kept, rule.for_person) for rule in rules] == [(code, False, True) for code in CODES]
    assert {rule.figure for rule in rules} == {f"cannot be shown: {missing}"}


def test_parts_are_too_few_only_for_the_significance_that_is_asked():
    """Three beside three, perfectly ordered, have p = 1/20; four beside three 1/35."""
    six, seven = (make_comparison(parts=3 + good, defective_parts=3, good_parts=good) for good in (3, 4))
    assert missing_evidence(six, 0.05)
    assert not missing_evidence(six, 0.06)
    assert not missing_evidence(six)
    assert not missing_evidence(seven, 0.05)
    assert missing_evidence(seven, 0.01)


def test_who_asks_for_no_comparison_gets_none():
    off = AcceptanceSettings(beyond_baselines=False)
    assert baseline_rules(make_comparison(lookup=PairedParts(better=0, worse=9, p=1)), off) == []
    assert baseline_rules(BaselineComparison(evidence=None), off) == []


def test_thousands_of_parts_are_no_obstacle():
    many = make_comparison(parts=10_000, defective_parts=5_000, good_parts=5_000)
    assert missing_evidence(many, 0.05) == ""


@pytest.mark.parametrize(("comparison", "missing"), UNSHOWN)
def test_folds_are_not_offered_to_a_network_of_good_parts_alone(comparison, missing):
    expected = missing.removesuffix(" (--crossfit.folds judges all parts)")
    rules = baseline_rules(comparison, LIMITS, good_alone=True)
    assert {rule.figure for rule in rules} == {f"cannot be shown: {expected}"}
    assert missing_evidence(comparison, LIMITS.significance, good_alone=True) == expected
    assert all(rule.for_person for rule in rules)
