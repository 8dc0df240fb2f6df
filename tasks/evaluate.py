"""Evaluate: judges every validation and test image once, and writes the table of predictions and its scores."""

from collections.abc import Sequence

import numpy as np
from prefect import task

from tasks.evaluation import costs
from tasks.evaluation.guarantee import pass_limit
from tasks.evaluation.metrics import review_causes, score
from tasks.images.views import VIEWS
from tasks.inference import out_of_distribution
from tasks.inference.calibration import temperature
from tasks.inference.decision import BY_PROBABILITY, DecisionRule, Evidence
from tasks.inference.scoring import collect_evidence, judge
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Evaluation, Model, Score, Splits
from tasks.records.rows import Prediction, Row, is_defect
from tasks.settings.messages import say
from tasks.settings.settings import Classes, EvaluationSettings, Places
from tasks.storage.files import File, store
from tasks.storage.tables import read_table, store_table

JUDGED_SPLITS = ("validation", "test")
POOR_RING = 2.0  # a ring fits poorly from so many times the residual on that nearly all known rings keep within


@task(cache_policy=same_step)
def evaluate(splits: Splits, model: Model, evaluation: EvaluationSettings, places: Places) -> Evaluation:
    """Judge the images, and return the predictions, the rule that decided them, and the scores in all and by origin."""
    from tasks.networks import networks  # late, with TensorFlow

    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("train", *JUDGED_SPLITS)]
    evidence = collect_evidence(networks.load(model.file.path(places)), rows, model.view, model.image_size, places)
    rule = fit_decision_rule(rows, evidence, splits.classes, model, evaluation)
    validation = [(row, image) for row, image in zip(rows, evidence, strict=True) if row.split == "validation"]
    rule = with_guarantee(rule, validation, splits, evaluation)
    predictions = [prediction for prediction in judge(rows, evidence, rule) if prediction.split in JUDGED_SPLITS]
    if splits.castings_by_split is None:
        predictions = [prediction._replace(group="") for prediction in predictions]  # copies alone make no casting
    test = [prediction for prediction in predictions if prediction.split == "test"]

    def score_of(part: Sequence[Prediction]) -> Score:
        return score(part, splits.classes, evaluation)

    slices = {origin: score_of([image for image in test if image.origin == origin]) for origin in splits.by_origin}
    overall = score_of(test)
    say(summary_line(overall))
    return Evaluation(
        predictions=store_table("predictions", predictions, Prediction, places),
        decision=store_decision_rule(rule, places),
        test=overall,
        validation=score_of([prediction for prediction in predictions if prediction.split == "validation"]),
        slices={origin: slice_ for origin, slice_ in slices.items() if slice_.images},
        review_causes=review_causes(test),
        **{name: getattr(rule, name) for name in ("threshold", "temperature", "review_band", "guarantee")},
    )


def fit_decision_rule(
    rows: Sequence[Row], evidence: Sequence[Evidence], classes: Classes, model: Model, settings: EvaluationSettings
) -> DecisionRule:
    """Build the decision rule: temperature from validation, limits from costs, outlier limits from train and validation."""
    learned = [(row, image) for row, image in zip(rows, evidence, strict=True) if row.split != "test"]
    residuals = [image.residual for _, image in learned if VIEWS[model.view].needs_ring]
    residual = worst_residual(residuals, settings.unlike_share)
    clear = [(row, image) for row, image in learned if residual is None or image.residual <= residual]
    groups = [row.group for row, _ in clear]
    return DecisionRule(
        classes=classes,
        model=model.name,
        network_sha256=model.file.sha256,
        view=model.view,
        image_size=model.image_size,
        threshold=costs.threshold(settings),
        temperature=fit_temperature([(row, image) for row, image in clear if row.split == "validation"], classes),
        review_band=costs.review_band(settings),
        appearance=out_of_distribution.fit_limits(
            [image.appearance for _, image in clear], groups, settings.unlike_share
        ),
        features=out_of_distribution.fit_limits([image.features for _, image in clear], groups, settings.unlike_share),
        max_residual=residual,
    )


def with_guarantee(
    rule: DecisionRule, calibration: Sequence[tuple[Row, Evidence]], splits: Splits, settings: EvaluationSettings
) -> DecisionRule:
    """Return the rule with a limit of passing that keeps the promise; the same rule where none is asked for.

    No image that the rule sends to a person passes by the new one. No network trained on the parts of `calibration`.
    """
    if settings.guarantee is None:
        return rule
    decisions = rule.judge([image for _, image in calibration])
    limit, guarantee = pass_limit(
        np.array([decision.probability for decision in decisions], float),
        np.array([is_defect(row, splits.classes) for row, _ in calibration], bool),
        np.array([decision.cause in BY_PROBABILITY for decision in decisions], bool),
        np.array([row.group for row, _ in calibration], str),  # without castings, copies are one part
        settings.guarantee,
        settings.confidence,
        by_part=splits.castings_by_split is not None,
    )
    say(f"evaluate: {guarantee.summary()}")
    low, high = rule.review_band or (rule.threshold, rule.threshold)
    return rule.model_copy(update={"review_band": (min(low, limit), high), "guarantee": guarantee})


def fit_temperature(validation: Sequence[tuple[Row, Evidence]], classes: Classes) -> float:
    """Return the temperature at which the margins of the validation images are likeliest."""
    defect = np.array([is_defect(row, classes) for row, _ in validation], bool)
    return temperature(np.array([evidence.margin for _, evidence in validation]), defect)


def worst_residual(residuals: Sequence[float], share: float) -> float | None:
    """Return the residual from which on a ring fits poorly; None where no ring is known."""
    ringed = [residual for residual in residuals if not np.isnan(residual)]
    return POOR_RING * float(np.quantile(ringed, 1 - share)) if ringed else None


def store_decision_rule(rule: DecisionRule, places: Places) -> File:
    """Store the rule as `decision.json`."""
    return store(
        lambda path: path.write_text(rule.model_dump_json(), encoding="utf-8"),
        places,
        "data",
        "decisions/decision.json",
    )


def summary_line(test: Score) -> str:
    """Return one line with the scores of the test."""
    accuracy = (
        "no test image" if test.accuracy is None else f"accuracy {test.accuracy:.2%} on {test.images:,} test images"
    )
    return (
        f"evaluate: {accuracy}; {test.missed_defects} of {test.defects:,} defects missed, {test.false_rejects} of {test.good:,} "
        f"good parts refused; as decided {test.escapes_decided} defects pass, {test.rejects_decided} good parts are rejected, "
        f"{test.reviews_decided} images go to a person"
    )
