"""Training: a network fitted to the rows that train, and what it says of those that test, by the steps themselves."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import NamedTuple

from benchmarks.apart import peak_bytes
from tasks.records.results import Evaluation, Model, Splits
from tasks.records.rows import SPLITS, Prediction, Row
from tasks.settings.settings import ChampionModel, Classes, Places, TrainingSettings
from tasks.settings.settings import EvaluationSettings as Judging
from tasks.storage.tables import read_table, store_table


class Learnt(NamedTuple):
    """A trained model, how it judged, and the most memory that the training process took."""

    splits: Splits
    model: Model
    evaluation: Evaluation
    tested: list[Prediction]
    peak_bytes: int


def learn(
    rows: Sequence[Row],
    classes: Classes,
    training: TrainingSettings,
    places: Places,
    champion: ChampionModel | None = None,
) -> Learnt:
    """Trains on the rows, from `champion` if it is given, and judges their test. The words of the steps go to standard error."""
    from tasks.evaluate import evaluate
    from tasks.images import strips  # noqa: F401  with SciPy: imports are not timed
    from tasks.train import train

    with redirect_stdout(sys.stderr):
        splits = splits_of(rows, classes, places)
        model = train.fn(splits, training.recipe(champion=champion), places)
        peak = peak_bytes()
        evaluation = evaluate.fn(splits, model, Judging(), places)
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    return Learnt(splits, model, evaluation, [one for one in predictions if one.split == "test"], peak)


def exported(learnt: Learnt, places: Places) -> ChampionModel:
    """The model in its folder below `artifacts`, as one that is in use."""
    from tasks.export import export_to_folder

    with redirect_stdout(sys.stderr):
        digest = export_to_folder(learnt.splits, learnt.model, learnt.evaluation, lambda _: "", places).digest
    return ChampionModel.model_validate({
        "digest": digest, "model": learnt.model.name, "image_size": learnt.model.image_size
    })  # fmt: skip


def splits_of(rows: Sequence[Row], classes: Classes, places: Places) -> Splits:
    """The rows as `split` hands them on; what it measures besides is not known."""
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
