"""Evaluate: every validation and test image judged once; the table of predictions, and what it says."""

from collections.abc import Sequence

from prefect import task

from tasks.images import manifest, pixels
from tasks.models.decisions import Decision
from tasks.models.metrics import Prediction, score
from tasks.runs.caching import same_step
from tasks.runs.config import Evaluation as Settings
from tasks.runs.config import Places
from tasks.runs.files import store
from tasks.runs.records import Evaluation, Model, Splits
from tasks.runs.tables import read_table, store_table

JUDGED = ("validation", "test")


@task(cache_policy=same_step)
def evaluate(splits: Splits, model: Model, evaluation: Settings, places: Places) -> Evaluation:
    """The predictions, the decision that made them, and the scores in all and by origin."""
    rows = [row for row in read_table(splits.table.path(places), manifest.Row) if row.split in JUDGED]
    decision = Decision(
        classes=splits.classes,
        model=model.name,
        network_sha256=model.file.sha256,
        view=model.view,
        image_size=model.image_size,
    )
    predictions = judge(rows, model, decision, places)
    test = [one for one in predictions if one.split == "test"]
    scored = {
        origin: score([one for one in test if one.origin == origin], splits.classes, evaluation.confidence)
        for origin in splits.by_origin
    }
    overall = score(test, splits.classes, evaluation.confidence)
    print(
        f"evaluate: accuracy {overall.accuracy:.2%} on {overall.images:,} test images; "
        f"{overall.missed_defects} of {overall.defects:,} defects missed, {overall.false_rejects} of {overall.good:,} good parts refused"
    )
    return Evaluation(
        predictions=store_table("predictions", predictions, Prediction, places),
        decision=store(
            lambda path: path.write_text(decision.model_dump_json(indent=2), encoding="utf-8"),
            places,
            "data",
            "decisions/decision.json",
        ),
        test=overall,
        validation=score(
            [one for one in predictions if one.split == "validation"], splits.classes, evaluation.confidence
        ),
        slices={origin: slice_ for origin, slice_ in scored.items() if slice_.images},
        threshold=decision.threshold,
        review_band=decision.review_band,
    )


def judge(rows: Sequence[manifest.Row], model: Model, decision: Decision, places: Places) -> list[Prediction]:
    """A prediction a row, in their order."""
    from tasks.models import networks

    network = networks.load(model.file.path(places))
    images = pixels.sights(rows, model.view, model.image_size, places).levels
    chances = networks.defect_probabilities(network, images)
    return [
        Prediction(
            row.path,
            row.sha256,
            row.split,
            row.origin,
            row.label,
            float(chance),
            decision.decide(float(chance)).decision,
        )
        for row, chance in zip(rows, chances, strict=True)
    ]
