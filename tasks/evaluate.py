"""Evaluate: judges every validation and test image once, and writes the table of predictions and its scores."""

from collections.abc import Sequence
from functools import partial

from prefect import task

from tasks.evaluation.baseline_comparison import compare_with_baselines
from tasks.evaluation.crossfit_score import score_out_of_fold
from tasks.evaluation.metrics import review_causes, score
from tasks.images.loading import thumbnails
from tasks.inference.decision import DecisionRule, Evidence
from tasks.inference.normality import judge_blemishes
from tasks.inference.rule_fitting import fit_decision_rule, weigh_calibration, with_guarantee
from tasks.inference.scoring import collect_evidence, decide_out_of_fold, judge, judge_unseen
from tasks.inference.workload import with_capacity, workloads
from tasks.pipeline.step_cache import same_step
from tasks.records.results import (
    BaselineComparison,
    Crossfit,
    DividedImages,
    Evaluation,
    Model,
    OutOfFold,
    Score,
)
from tasks.records.rows import OutOfFoldRow, Prediction, Row
from tasks.settings.messages import say
from tasks.settings.settings import EvaluationSettings, Places
from tasks.storage.files import File, store
from tasks.storage.tables import read_table, store_table

JUDGED_SPLITS = ("validation", "test")


@task(cache_policy=same_step)
def evaluate(
    splits: DividedImages,
    model: Model,
    evaluation: EvaluationSettings,
    out_of_fold: OutOfFold | None,
    places: Places,
) -> Evaluation:
    """Judge the images, and return the predictions, the rule that decided them, and the scores in all and by origin.

    Where all parts were judged out of fold, the temperature and the guarantee come from them, and they are scored too; else they come
    from the parts that validate.
    """
    from tasks.networks import networks  # late, with TensorFlow

    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("train", *JUDGED_SPLITS)]
    network = networks.load(model.file.path(places))
    evidence = collect_evidence(network, rows, model.view, model.image_size, places, model.crop)
    rule, unseen = fit_rule(rows, evidence, splits, model, evaluation, out_of_fold, places)
    predictions = [prediction for prediction in judge(rows, evidence, rule) if prediction.split in JUDGED_SPLITS]
    predictions = name_parts(predictions, splits)
    test = [prediction for prediction in predictions if prediction.split == "test"]

    def score_of(part: Sequence[Prediction]) -> Score:
        return score(part, splits.classes, evaluation, rule.threshold)

    slices = {origin: score_of([image for image in test if image.origin == origin]) for origin in splits.by_origin}
    overall = score_of(test)
    say(summary_line(overall, "test images"))
    return Evaluation(
        predictions=store_table("predictions", predictions, Prediction, places),
        decision=store_decision_rule(rule, places),
        test=overall,
        validation=score_of([prediction for prediction in predictions if prediction.split == "validation"]),
        slices={origin: slice_ for origin, slice_ in slices.items() if slice_.images},
        review_causes=review_causes(test),
        **{name: getattr(rule, name) for name in ("threshold", "temperature", "review_band", "guarantee", "normal")},
        crossfit=score_crossfit(out_of_fold, rule, splits, evaluation, places) if out_of_fold else None,
        baselines=compare_baselines(predictions, out_of_fold, rule, splits, evaluation, places),
        calibration=None if rule.normal else weigh_calibration(rule, unseen, test, count_parts=out_of_fold is None),
        workloads=tuple(workloads(rule, unseen, test, evaluation)) if decides_by_costs(rule, evaluation) else (),
        blemishes=judge_blemishes(network, rows, evidence, rule, places) if rule.normal else None,
    )


def fit_rule(
    rows: Sequence[Row],
    evidence: Sequence[Evidence],
    splits: DividedImages,
    model: Model,
    settings: EvaluationSettings,
    out_of_fold: OutOfFold | None,
    places: Places,
) -> tuple[DecisionRule, list[Prediction]]:
    """Return the rule that decides, and its predictions about images whose parts no network trained on.

    The predictions are by costs alone. They limit the looks, or what passes, where the settings ask for it.
    """
    rule = fit_decision_rule(rows, evidence, splits.classes, model, settings)
    if out_of_fold:
        rule = rule.model_copy(update={"temperature": out_of_fold.temperature})
    unseen = judge_unseen(rows, evidence, rule, out_of_fold, places)
    if settings.max_review_share is not None:
        rule = with_capacity(rule, unseen, settings.max_review_share, settings)
    if settings.guarantee is not None:
        by_part = splits.castings_by_split is not None
        rule = with_guarantee(rule, unseen, settings.guarantee, settings.confidence, by_part=by_part)
    return rule, unseen


def decides_by_costs(rule: DecisionRule, settings: EvaluationSettings) -> bool:
    """Return whether costs alone set the limits of the rule."""
    return not (rule.normal or rule.guarantee) and settings.max_review_share is None


def name_parts(predictions: Sequence[Prediction], images: DividedImages) -> list[Prediction]:
    """Return the predictions with the part of each image; without it where groups are copies alone, which make no part."""
    if images.castings_by_split is None:
        return [prediction._replace(group="") for prediction in predictions]
    return list(predictions)


def score_crossfit(
    out_of_fold: OutOfFold, rule: DecisionRule, splits: DividedImages, evaluation: EvaluationSettings, places: Places
) -> Crossfit:
    """Decide about all parts by the rule, each by what a network said that never saw it, and score the decisions."""
    predictions = decide_out_of_fold(read_table(out_of_fold.judged.path(places), OutOfFoldRow), rule)
    crossfit = score_out_of_fold(name_parts(predictions, splits), rule.classes, evaluation, places)
    say(summary_line(crossfit.score, "images, each by a network that never saw its part"))
    return crossfit


def compare_baselines(
    predictions: Sequence[Prediction],
    out_of_fold: OutOfFold | None,
    rule: DecisionRule,
    splits: DividedImages,
    evaluation: EvaluationSettings,
    places: Places,
) -> BaselineComparison:
    """Compare the model with the majority, the look-up and shortcuts, on parts that did not train; where parts are known."""
    if splits.castings_by_split is None:
        return BaselineComparison(evidence=None)
    return compare_with_baselines(
        read_table(splits.table.path(places), Row),
        predictions,
        decide_out_of_fold(read_table(out_of_fold.judged.path(places), OutOfFoldRow), rule) if out_of_fold else (),
        partial(thumbnails, places=places),
        splits.classes,
        evaluation,
    )


def store_decision_rule(rule: DecisionRule, places: Places) -> File:
    """Store the rule as `decision.json`."""
    return store(
        lambda path: path.write_text(rule.model_dump_json(), encoding="utf-8"),
        places,
        "data",
        "decisions/decision.json",
    )


def summary_line(test: Score, images: str) -> str:
    """Return one line with the scores of judged images; `images` says which they are."""
    accuracy = f"no {images}" if test.accuracy is None else f"accuracy {test.accuracy:.2%} on {test.images:,} {images}"
    return (
        f"evaluate: {accuracy}; {test.missed_defects} of {test.defects:,} defects missed, {test.false_rejects} of {test.good:,} "
        f"good parts refused; as decided {test.escapes_decided} defects pass, {test.rejects_decided} good parts are rejected, "
        f"{test.reviews_decided} images go to a person"
    )
