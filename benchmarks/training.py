"""Training: fit a network to the rows that train, and judge those that test, by the steps themselves."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import NamedTuple

from benchmarks.isolation import peak_bytes
from tasks.records.results import Evaluation, Model, Splits
from tasks.records.rows import SPLITS, Prediction, Row
from tasks.settings.settings import ChampionModel, Classes, EvaluationSettings, Places, TrainingSettings
from tasks.storage.tables import read_table, store_table


class TrainedModel(NamedTuple):
    """A trained model, how it judged, and the most memory that the training process took."""

    splits: Splits
    model: Model
    evaluation: Evaluation
    tested: list[Prediction]
    peak_bytes: int


def train_and_evaluate(
    rows: Sequence[Row],
    classes: Classes,
    training: TrainingSettings,
    places: Places,
    champion: ChampionModel | None = None,
) -> TrainedModel:
    """Train on the rows, from `champion` if it is given, and judge their test. What the steps print goes to standard error."""
    from tasks.evaluate import evaluate
    from tasks.images import strips  # noqa: F401  with SciPy: imports are not timed
    from tasks.train import train

    with redirect_stdout(sys.stderr):
        splits = make_splits(rows, classes, places)
        model = train.fn(splits, training.recipe(champion=champion), places)
        peak = peak_bytes()
        evaluation = evaluate.fn(splits, model, EvaluationSettings(), places)
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    tested = [prediction for prediction in predictions if prediction.split == "test"]
    return TrainedModel(splits, model, evaluation, tested, peak)


def export_model(trained: TrainedModel, places: Places) -> ChampionModel:
    """Write the model into its folder below `artifacts`, as one that is in use."""
    from tasks.export import export_to_folder

    with redirect_stdout(sys.stderr):
        digest = export_to_folder(trained.splits, trained.model, trained.evaluation, lambda _: "", places).digest
    return ChampionModel.model_validate({
        "digest": digest, "model": trained.model.name, "image_size": trained.model.image_size
    })  # fmt: skip


def make_splits(rows: Sequence[Row], classes: Classes, places: Places) -> Splits:
    """Return the rows as `split` hands them on. What it measures besides is not known."""
    by_split = Counter(row.split for row in rows)
    return Splits(
        table=store_table("splits", rows, Row, places),
        classes=classes,
        images=len(rows),
        by_split={name: by_split[name] for name in SPLITS},
        by_class=dict(Counter(row.label for row in rows)),
        by_origin=dict(Counter(row.origin for row in rows)),
        held_back=by_split["held_back"],
        castings_by_split={name: len({row.group for row in rows if row.split == name}) for name in SPLITS},
        test_images_of_trained_castings=None,
        lookup_accuracy=float("nan"),
        shortcuts={},
    )
