"""Evaluate: every validation and test image is judged once, and every figure comes from that table."""

import numpy as np
import pytest
from conftest import copy_places

from tasks.evaluate import evaluate
from tasks.inference import runtimes
from tasks.inference.decision import Evidence, read
from tasks.inference.rule_fitting import POOR_RING, fit_decision_rule, with_guarantee
from tasks.inference.scoring import UNSEEN, collect_evidence, judge
from tasks.records.results import BaselineComparison, OutOfFold
from tasks.records.rows import OutOfFoldRow, Prediction, Row
from tasks.settings.settings import Classes, EvaluationSettings
from tasks.storage.tables import read_table, store_table

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture
def evaluated(training, places):
    copy_places(training.places, places)
    splits, model = training.splits, training.model
    return splits, model, evaluate.fn(splits, model, EvaluationSettings(), None, places)


def test_each_validation_and_test_image_is_judged_once(evaluated, places):
    splits, _, evaluation = evaluated
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("validation", "test")]
    assert [(one.origin, one.path, one.sha256, one.label, one.split) for one in predictions] == [
        (row.origin, row.path, row.sha256, row.label, row.split) for row in rows
    ]
    assert all(0 <= one.defect_probability <= 1 for one in predictions)


def test_the_scores_are_those_of_the_table(evaluated, places):
    splits, _, evaluation = evaluated
    test = [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]
    right = sum((one.defect_probability >= 0.5) == (one.label == splits.classes.defect) for one in test)
    assert evaluation.test.images == len(test) == 16
    assert evaluation.test.accuracy == pytest.approx(right / 16)
    assert evaluation.slices == {"base": evaluation.test}


def test_the_decision_names_the_network_it_belongs_to(evaluated, places):
    splits, model, evaluation = evaluated
    rule = read(evaluation.decision.path(places))
    assert rule.network_sha256 == model.file.sha256
    assert rule.classes == splits.classes
    assert (rule.view, rule.image_size) == ("raw", 32)


def test_the_record_tells_what_the_decision_holds(evaluated, places):
    _, _, evaluation = evaluated
    rule = read(evaluation.decision.path(places))
    assert (evaluation.threshold, evaluation.temperature) == (rule.threshold, rule.temperature)
    assert evaluation.review_band == rule.review_band == pytest.approx((0.02, 0.8))
    assert rule.threshold == pytest.approx(1 / 11)
    assert sum(evaluation.review_causes.values()) == evaluation.test.reviews_decided
    assert evaluation.test.castings is None, "no ring is found in these photographs"


def test_the_file_alone_decides_as_the_table_says(evaluated, places):
    splits, model, evaluation = evaluated
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("validation", "test")]
    rule = read(evaluation.decision.path(places))
    again = judge(rows, collect_evidence(runtimes.load(model.file.path(places)), rows, "raw", 32, places), rule)
    for one, other in zip(read_table(evaluation.predictions.path(places), Prediction), again, strict=True):
        assert (one.decision, one.cause, one.reason) == (other.decision, other.cause, other.reason)
        assert one.defect_probability == pytest.approx(other.defect_probability, abs=1e-6)


def test_where_parts_are_not_known_nothing_is_compared_with_baselines(evaluated):
    _, _, evaluation = evaluated
    assert evaluation.baselines == BaselineComparison(evidence=None)


def judge_out_of_fold(splits, places) -> OutOfFold:
    """All images judged rightly, in two folds."""
    judged = [
        OutOfFoldRow(
            row.path, row.sha256, row.origin, row.label, row.group, 1 + number % 2,
            margin=6.0 if row.label == splits.classes.defect else -6.0, review_cause="", reason="",
        )
        for number, row in enumerate(read_table(splits.table.path(places), Row))
    ]  # fmt: skip
    return OutOfFold(judged=store_table("out-of-fold", judged, OutOfFoldRow, places), folds=(), temperature=1.0)


@pytest.mark.parametrize(("folds", "evidence"), [(False, "validation and test"), (True, "out of fold")])
def test_where_parts_are_known_the_model_is_compared_with_baselines_on_those_that_do_not_train(
    training, places, folds, evidence
):
    """The photographs have no parts; here each group of copies counts as one."""
    copy_places(training.places, places)
    splits = training.splits.model_copy(update={"castings_by_split": training.splits.by_split})
    rows = read_table(splits.table.path(places), Row)
    out_of_fold = judge_out_of_fold(splits, places) if folds else None
    found = evaluate.fn(splits, training.model, EvaluationSettings(), out_of_fold, places).baselines
    trained = {row.group for row in rows if row.split == "train"}
    expected = {row.group for row in rows if folds or row.group not in trained}
    assert (found.evidence, found.parts) == (evidence, len(expected))
    assert found.defective_parts + found.good_parts == found.parts
    for pair in (found.lookup, found.shortcuts):
        assert 0 <= pair.better + pair.worse <= found.parts
        assert 0 < pair.p <= 1
    if folds:
        assert (found.majority.cost, found.lookup.worse, found.shortcuts.worse) == (0, 0, 0), (
            "these judgments are right"
        )


def rings(model, count: int = 60):
    """Rows of ten castings in all three splits, what is seen of each, and a record of a model that sees rings."""
    rng = np.random.default_rng(0)
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    rows = [
        Row(f"{number}.jpeg", "", ("def_front", "ok_front")[number % 2], "base", "", 48, 48, 0, 0, 0,
                     f"{number % 10}", splits[number % 10])
        for number in range(count)
    ]  # fmt: skip
    seen = [
        Evidence(4.0 * (row.label == "def_front") - 2, rng.normal(size=5), rng.normal(size=11), 0.001) for row in rows
    ]
    return rows, seen, model.model_copy(update={"view": "ring"})


def test_a_part_without_a_ring_goes_to_a_person_and_is_in_every_count(model):
    rows, seen, model = rings(model)
    number = next(number for number, row in enumerate(rows) if row.split == "test")
    seen[number] = seen[number]._replace(residual=np.nan)
    rule = fit_decision_rule(rows, seen, Classes(), model, EvaluationSettings())
    predictions = judge(rows, seen, rule)
    assert len(predictions) == 60
    lost = next(one for one in predictions if one.path == rows[number].path)
    assert (lost.decision, lost.cause, lost.defect_probability) == ("review", "no_ring", UNSEEN)


def test_what_is_known_comes_from_train_and_validation_alone(model):
    rows, seen, model = rings(model)
    first = fit_decision_rule(rows, seen, Classes(), model, EvaluationSettings())
    moved = [
        one._replace(margin=-one.margin, appearance=one.appearance + 50, features=one.features + 50, residual=0.1)
        if row.split == "test"
        else one
        for row, one in zip(rows, seen, strict=True)
    ]
    assert fit_decision_rule(rows, moved, Classes(), model, EvaluationSettings()) == first
    assert first.max_residual == pytest.approx(POOR_RING * 0.001)
    assert {one.decision for one in judge(rows, moved, first) if one.split == "test"} == {"review"}


def test_a_new_origin_has_a_limit_of_its_own_and_moves_no_earlier_one(model):
    rows, seen, model = rings(model)
    before = fit_decision_rule(rows, seen, Classes(), model, EvaluationSettings())
    new_rows = [row._replace(origin="line 2", group=f"new {row.group}") for row in rows]
    new_seen = [image._replace(appearance=image.appearance + 50) for image in seen]
    rule = fit_decision_rule([*rows, *new_rows], [*seen, *new_seen], Classes(), model, EvaluationSettings())
    assert len(rule.appearances) == 2
    assert before.appearances == rule.appearances[:1]
    looks = rule.model_copy(update={"features": None})
    between = [image._replace(appearance=image.appearance + 25) for image in seen]
    shares = [
        np.mean([image.cause == "unlike_training" for image in looks.judge(images)])
        for images in (seen, new_seen, between)
    ]
    assert max(shares[:2]) < 0.1
    assert shares[2] == 1


def test_the_temperature_is_of_validation_alone(model):
    rows, seen, model = rings(model)

    def temperature(split: str) -> float:
        wrong = [
            one._replace(margin=float(-np.sign(one.margin))) if row.split == split else one
            for row, one in zip(rows, seen, strict=True)
        ]
        return fit_decision_rule(rows, wrong, Classes(), model, EvaluationSettings()).temperature

    assert temperature("train") == temperature("test") == temperature("none")
    assert temperature("validation") > 1.2 * temperature("train")


def test_people_who_can_look_at_nothing_get_only_what_no_probability_decides(training, places):
    copy_places(training.places, places)
    none = EvaluationSettings(max_review_share=0)
    evaluation = evaluate.fn(training.splits, training.model, none, None, places)
    rule = read(evaluation.decision.path(places))
    assert rule.review_band == (rule.threshold, rule.threshold) == evaluation.review_band
    assert "between_limits" not in evaluation.review_causes
    free = evaluate.fn(training.splits, training.model, EvaluationSettings(), None, places)
    first = free.workloads[0]
    assert (first.share, first.reviews, first.escapes, first.rejects) == (
        0, evaluation.test.reviews_decided, evaluation.test.escapes_decided, evaluation.test.rejects_decided,
    )  # fmt: skip
    assert evaluation.workloads == (), "the table tells of costs alone"


def test_out_of_fold_the_temperature_rests_on_all_images(training, places):
    copy_places(training.places, places)
    out_of_fold = judge_out_of_fold(training.splits, places)
    evaluation = evaluate.fn(training.splits, training.model, EvaluationSettings(), out_of_fold, places)
    plain = evaluate.fn(training.splits, training.model, EvaluationSettings(), None, places)
    assert evaluation.calibration.parts > plain.calibration.parts
    for judged in (evaluation, plain):
        assert judged.calibration.low < judged.temperature < judged.calibration.high


def test_with_a_guarantee_and_too_few_parts_nothing_passes_and_the_record_says_why(training, places):
    copy_places(training.places, places)
    evaluation = evaluate.fn(training.splits, training.model, EvaluationSettings(guarantee=0.05), None, places)
    rule = read(evaluation.decision.path(places))
    assert rule.guarantee == evaluation.guarantee
    assert (evaluation.guarantee.by_part, evaluation.guarantee.missing > 0) == (False, True)
    assert evaluation.review_band == rule.review_band == pytest.approx((0.0, 0.8))
    assert evaluation.test.passed_decided == evaluation.validation.passed_decided == 0


def test_a_guarantee_lowers_the_limit_of_passing_and_no_other(model):
    """Two defective castings are enough to promise 80 % at 95 %; an image that a person sees anyway does not count."""
    rows, seen, model = rings(model)
    calibration = [(row, image) for row, image in zip(rows, seen, strict=True) if row.label == "def_front"]
    row, _ = calibration[0]
    calibration = [
        (row._replace(group=f"{number}"), seen[number]._replace(margin=-6.0 + number)) for number in range(2)
    ]
    calibration.append((row._replace(group="0"), seen[2]._replace(margin=-9.0, residual=np.nan)))
    rule = fit_decision_rule(rows, seen, Classes(), model, EvaluationSettings())
    rule = rule.model_copy(update={"temperature": 1.0, "appearance": None, "features": None})
    unseen = judge([row for row, _ in calibration], [image for _, image in calibration], rule)
    lowered = with_guarantee(rule, unseen, 0.8, 0.95, by_part=True)
    least = 1 / (1 + np.exp(6))
    assert lowered.review_band == pytest.approx((least / 2, 0.8))
    assert (lowered.guarantee.parts, lowered.guarantee.may_pass, lowered.guarantee.by_part) == (2, 0, True)
    assert lowered.model_copy(update={"review_band": rule.review_band, "guarantee": None}) == rule
    strict = rule.model_copy(update={"review_band": (1e-9, 0.8)})
    assert with_guarantee(strict, unseen, 0.8, 0.95, by_part=True).review_band == (1e-9, 0.8), "costs may be stricter"
