"""Evaluate: every validation and test image judged once; the table of predictions, and what it says."""

from collections.abc import Sequence

import numpy as np
from prefect import task

from tasks.evaluation import costs
from tasks.evaluation.metrics import Prediction, review_reasons, score
from tasks.images.views import VIEWS
from tasks.inference import out_of_distribution
from tasks.inference.calibration import temperature
from tasks.inference.decision import Decision, Evidence
from tasks.inference.scoring import collect_evidence, judge
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Evaluation, Model, Score, Splits
from tasks.records.rows import Row, is_defect
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places
from tasks.settings.settings import EvaluationSettings as Settings
from tasks.storage.files import File, store
from tasks.storage.tables import read_table, store_table

JUDGED = ("validation", "test")
DOUBTFUL = 2.0  # a ring fits poorly from so many times the residual on that nearly all known rings keep within


@task(cache_policy=same_step)
def evaluate(splits: Splits, model: Model, evaluation: Settings, places: Places) -> Evaluation:
    """The predictions, the decision that made them, and the scores in all and by origin."""
    from tasks.networks import networks  # late, with TensorFlow

    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("train", *JUDGED)]
    seen = collect_evidence(networks.load(model.file.path(places)), rows, model.view, model.image_size, places)
    decision = fit_decision(rows, seen, splits.classes, model, evaluation)
    predictions = [one for one in judge(rows, seen, decision) if one.split in JUDGED]
    if splits.castings_by_split is None:
        predictions = [one._replace(group="") for one in predictions]  # copies alone make no casting
    test = [one for one in predictions if one.split == "test"]

    def scored(chosen: Sequence[Prediction]) -> Score:
        return score(chosen, splits.classes, evaluation)

    slices = {origin: scored([one for one in test if one.origin == origin]) for origin in splits.by_origin}
    overall = scored(test)
    say(summary_line(overall))
    return Evaluation(
        predictions=store_table("predictions", predictions, Prediction, places),
        decision=keep(decision, places),
        test=overall,
        validation=scored([one for one in predictions if one.split == "validation"]),
        slices={origin: slice_ for origin, slice_ in slices.items() if slice_.images},
        threshold=decision.threshold,
        temperature=decision.temperature,
        review_band=decision.review_band,
        review_reasons=review_reasons(test),
    )


def fit_decision(
    rows: Sequence[Row], seen: Sequence[Evidence], classes: Classes, model: Model, settings: Settings
) -> Decision:
    """How to decide: by costs, with the temperature of validation, and with what train and validation show as known."""
    known = [(row, one) for row, one in zip(rows, seen, strict=True) if row.split != "test"]
    residual = (
        worst_residual([one for _, one in known], settings.unlike_share) if VIEWS[model.view].needs_ring else None
    )
    clear = [(row, one) for row, one in known if residual is None or one.residual <= residual]
    groups = [row.group for row, _ in clear]
    return Decision(
        classes=classes,
        model=model.name,
        network_sha256=model.file.sha256,
        view=model.view,
        image_size=model.image_size,
        threshold=costs.threshold(settings),
        temperature=fit_temperature([(row, one) for row, one in clear if row.split == "validation"], classes),
        review_band=costs.review_band(settings),
        appearance=out_of_distribution.fit_limits([one.appearance for _, one in clear], groups, settings.unlike_share),
        features=out_of_distribution.fit_limits([one.features for _, one in clear], groups, settings.unlike_share),
        max_residual=residual,
    )


def fit_temperature(watched: Sequence[tuple[Row, Evidence]], classes: Classes) -> float:
    """The temperature at which the margins of validation are likeliest."""
    defect = [is_defect(row, classes) for row, _ in watched]
    return temperature(np.array([one.margin for _, one in watched]), np.array(defect, bool))


def worst_residual(known: Sequence[Evidence], share: float) -> float | None:
    """From which residual on a ring fits poorly; None where no ring is known."""
    found = [one.residual for one in known if not np.isnan(one.residual)]
    return DOUBTFUL * float(np.quantile(found, 1 - share)) if found else None


def keep(decision: Decision, places: Places) -> File:
    content = decision.model_dump_json()
    return store(lambda path: path.write_text(content, encoding="utf-8"), places, "data", "decisions/decision.json")


def summary_line(test: Score) -> str:
    called = (
        "no test image" if test.accuracy is None else f"accuracy {test.accuracy:.2%} on {test.images:,} test images"
    )
    return (
        f"evaluate: {called}; {test.missed_defects} of {test.defects:,} defects missed, {test.false_rejects} of {test.good:,} "
        f"good parts refused; as decided {test.escapes_decided} defects pass, {test.rejects_decided} good parts are rejected, "
        f"{test.reviews_decided} images go to a person"
    )
