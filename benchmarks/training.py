"""Training: fit a network to the rows that train, and judge those that test, by the steps themselves."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import NamedTuple

from benchmarks.isolation import peak_bytes
from tasks.dataset.folds import divided_images
from tasks.records.results import DividedImages, Evaluation, Model
from tasks.records.rows import Prediction, Row
from tasks.settings.settings import (
    ChampionModel,
    Classes,
    EvaluationSettings,
    Places,
    Recipe,
    TrainingSettings,
    ViewSettings,
)
from tasks.storage.tables import read_table


class TrainedModel(NamedTuple):
    """A trained model, how it judged, and the most memory that the training process took."""

    splits: DividedImages
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
        splits = divided_images(rows, classes, places, castings=True)
        model = train.fn(splits, recipe_for(rows, classes, training, places, champion), places)
        peak = peak_bytes()
        evaluation = evaluate.fn(splits, model, EvaluationSettings(), None, places)
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    tested = [prediction for prediction in predictions if prediction.split == "test"]
    return TrainedModel(splits, model, evaluation, tested, peak)


def recipe_for(
    rows: Sequence[Row],
    classes: Classes,
    training: TrainingSettings,
    places: Places,
    champion: ChampionModel | None = None,
) -> Recipe:
    """Return the recipe of a named network for these rows; a frame follows from the pictures that train, as in a run."""
    from tasks.split import measure_pictures

    train_rows = [row for row in rows if row.split == "train"] or rows
    return training.recipe(champion=champion, pictures=measure_pictures(train_rows, ViewSettings(), classes, places))


def export_model(trained: TrainedModel, places: Places) -> ChampionModel:
    """Write the model into its folder below `artifacts`, as one that is in use."""
    from tasks.export import export_to_folder

    with redirect_stdout(sys.stderr):
        digest = export_to_folder(trained.splits, trained.model, trained.evaluation, lambda _: "", places).digest
    return ChampionModel.model_validate({
        "digest": digest, "model": trained.model.name, "image_size": trained.model.image_size
    })  # fmt: skip
