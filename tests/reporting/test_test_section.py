"""Judgement: the test in words: decisions, parts and costs."""

from tasks.records.results import (
    BaselineComparison,
    Calibration,
    Castings,
    Costs,
    DrawnBlemishes,
    Interval,
    Normality,
    Workload,
)
from tasks.reporting import test_section
from tasks.reporting.words import ProductWords

SPAN = Interval(low=0.01, high=0.2)


def told_of(outcome, **changes):
    """The section on the test, of an evaluation with these changes."""
    return test_section.test(outcome.evaluation.model_copy(update=changes), outcome.config.evaluation, outcome.words)


def test_decisions_stand_beside_the_calls(outcome):
    score = outcome.evaluation.test
    costs = Costs(decided=0.25, passing_all=5, rejecting_all=0.5, reviewing_all=0.2)
    counts = {"passed_decided": 8, "reviews_decided": 3, "rejected_decided": 9, "escapes_decided": 1, "costs": costs}
    row = test_section.decision_row("all", score.model_copy(update=counts))
    assert row == ("all", "8", "3", "9", "1 of 10", "2 of 10", "0.250")


def test_the_rule_and_its_cost_are_told(outcome):
    told = told_of(outcome, review_band=(0.02, 0.8), threshold=1 / 11, temperature=0.75)
    assert "Parts less than 2.0% probably defective pass, those more than 80.0% are rejected" in told
    assert "If nobody looked, 9.1% would be the limit: 0 of 10 defects would pass, 10 of 10 good parts" in told
    assert "to pass all would cost 5.000, to reject all 0.500, to look at all 0.200." in told
    assert "a temperature of 0.75" in told
    assert "there is no review band" in told_of(outcome)


def test_a_limit_that_a_guarantee_lowers_is_told(outcome):
    assert (
        told_of(outcome, review_band=(0.00031, 0.8)).count("Parts less than 0.031% probably defective pass, those") == 1
    )
    nothing = "No part passes: parts more than 80.0% probably defective are rejected, and a person looks at all others."
    assert nothing in told_of(outcome, review_band=(0.0, 0.8))


def test_the_reasons_of_reviews_are_counted(outcome):
    told = told_of(outcome, review_causes={"between_limits": 1_200, "no_ring": 2})
    assert told.endswith("| the network is not sure | 1,200 |\n| no ring of a round part is found in it | 2 |")
    assert told_of(outcome).endswith("No test image goes to a person.")


def test_the_castings_behind_each_count_are_told(outcome):
    found = Castings(
        defective=108, good=16, missed=1, refused=2,
        accuracy_interval=SPAN, escape_rate_interval=SPAN, false_reject_rate_interval=None, cost_interval=SPAN,
    )  # fmt: skip
    told = test_section.castings(outcome.evaluation.test.model_copy(update={"castings": found}), "95%", outcome.words)
    assert "The 10 defective images show 108 castings, and 1 of these have a missed image" in told
    assert "The 10 good ones show 16, and 2 of these have a refused image" in told
    assert told.endswith("over castings, exact for rates: accuracy 1.00% to 20.00%, cost an image 0.010 to 0.200.")


def test_where_castings_are_not_known_it_is_said(outcome):
    assert "Which images show one casting is not known" in told_of(outcome)


def test_each_baseline_has_a_sentence(outcome):
    told = told_of(outcome)
    assert "on 24 castings of which no image trained (from the test): 12 defective, 12 good." in told
    assert (
        "Beside one answer for all, the model ranks defective castings above good ones (p = 0.001), and an image costs 0.100 "
        "instead of 0.200."
    ) in told
    assert (
        "Beside the label of the most similar training thumbnail, it is better on 8 castings and worse on 0 (p = 0.0039)."
        in told
    )
    assert (
        "Beside brightness, border brightness and sharpness alone, it is better on 9 castings and worse on 1 (p = 0.011)."
        in told
    )


def test_where_nothing_can_be_shown_the_reason_is_told(outcome):
    told = told_of(outcome, baselines=BaselineComparison(evidence=None))
    assert (
        "Whether the model is better than simple rules cannot be shown: which photographs show one part is not known"
        in told
    )
    assert "simple rules" not in told_of(outcome, baselines=None), "an older record"


def test_the_noun_is_that_of_the_product(outcome):
    found = Castings(
        defective=1, good=1, missed=0, refused=0,
        accuracy_interval=SPAN, escape_rate_interval=None, false_reject_rate_interval=None,
    )  # fmt: skip
    tiles = ProductWords("magnetic tile", "magnetic tiles")
    score = outcome.evaluation.test
    told = test_section.castings(score.model_copy(update={"castings": found}), "95%", tiles)
    assert "defective images show 1 magnetic tiles" in told
    assert told.endswith("over magnetic tiles, exact for rates: accuracy 1.00% to 20.00%.")
    assert "show one magnetic tile is not known" in test_section.castings(score, "95%", tiles)


NORMAL = Normality(images=120, parts=60, flagged_share=0.05, rejected_share=0.01)
DRAWN = DrawnBlemishes(images=200, passed=40, reviewed=60, rejected=100, auc=0.9)


def test_of_a_network_of_good_parts_alone_it_is_told_what_its_limits_promise_and_what_they_do_not(outcome):
    told = told_of(outcome, normal=NORMAL, blemishes=DRAWN, threshold=0.8, review_band=(0.5, 0.8))
    assert "castings below 50% pass, those above 80% are rejected" in told
    assert "(120, of 60 castings): some 5% of good ones lie above the first, and 1% above the second." in told
    assert "Nothing here promises that a real defect is found" in told
    assert "Of 200 good test photographs with one to three drawn blemishes, 40 pass, 60 go to a person and 100" in told
    assert "probably defective" not in told and "temperature" not in told
    assert "drawn blemishes, " not in told_of(outcome, normal=NORMAL, blemishes=None)


def test_held_out_parts_that_are_missing_for_a_counted_limit_are_told(outcome):
    assert "40 more held-out good castings are needed to count it" in told_of(outcome, normal=NORMAL)
    enough = NORMAL.model_copy(update={"parts": 100})
    assert "more held-out good" not in told_of(outcome, normal=enough)


def test_folds_are_offered_to_a_network_of_both_classes_alone(outcome):
    few = BaselineComparison(evidence="test", parts=5, defective_parts=0, good_parts=5)
    assert "--crossfit.folds" in told_of(outcome, baselines=few)
    assert "--crossfit.folds" not in told_of(outcome, baselines=few, normal=NORMAL)


def test_it_is_told_what_the_temperature_rests_on(outcome):
    weighed = Calibration(parts=11, low=0.45, high=0.97, changed=3)
    told = told_of(outcome, calibration=weighed)
    assert "It rests on 11 " in told and "lies between 0.45 and 0.97 with 90% confidence" in told
    assert "3 of 20 test images get another decision" in told and "--crossfit.folds 5" in told
    sure = told_of(outcome, calibration=weighed.model_copy(update={"changed": 0}))
    assert "--crossfit.folds 5" not in sure


def test_what_fewer_looks_would_cost_is_a_table(outcome):
    told = told_of(outcome, workloads=(Workload(share=0.1, reviews=2, escapes=1, rejects=3),))
    assert "People look at most at" in told and "10%" in told and "--evaluation.max_review_share" in told
    assert "People look at most at" not in told_of(outcome, workloads=())
