"""Choose: tries two networks in short trainings, where the images do not tell by themselves which one suits them."""

from collections.abc import Sequence

import numpy as np
from prefect import task

from tasks.dataset.folds import assign_folds, divide_by_folds
from tasks.evaluation.metrics import auc
from tasks.pipeline.step_cache import same_step
from tasks.records.results import DividedImages, FoldPlan, NetworkChoice, Splits
from tasks.records.rows import OutOfFoldRow, Row
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.model_specs import AUTO, ModelName
from tasks.settings.settings import EvaluationSettings, Places, Recipe, TrainingSettings
from tasks.storage.tables import read_table
from tasks.training.fold_training import train_fold

FOLDS = 3
SHORT = 0.4  # share of the epochs of a whole training
UNLIKE_SHARE = EvaluationSettings().unlike_share  # any: ranks alone are compared


@task(cache_policy=same_step)
def choose(splits: Splits, training: TrainingSettings, validation_fraction: float, places: Places) -> NetworkChoice:
    """Train `ring` and `patch` briefly on folds of the parts that do not test, and choose the one that ranks unseen parts better.

    An image without a ring has a margin of 0 from `ring`, which says nothing about it. Where both rank equally well, `patch` is
    chosen: it judges every image. With too few parts for the folds nothing is tried, and `patch` is chosen too.
    """
    names = AUTO[True], AUTO[False]
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split in ("train", "validation")]
    try:
        judged = assign_folds(rows, FOLDS, training.seed)
        folds = divide_by_folds(rows, judged, splits, validation_fraction, training.seed, places)
    except BadInput:
        because = f"a class has too few parts to try {names[0]} beside it on {FOLDS} folds"
        return NetworkChoice(model=names[1], because=because, scores={})
    scores = {name: round(mean_auc(name, folds, splits, training, places), 4) for name in names}
    ring, patch = (scores[name] for name in names)
    model = names[0] if ring > patch else names[1]
    listed = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    because = (
        f"{splits.ring_share:.1%} of the training images show a ring, and in short trainings on {FOLDS} folds of the parts the "
        f"networks reached an AUC of {listed}"
    )
    say(f"choose: {model}, since {because}")
    return NetworkChoice(model=model, because=because, scores=scores)


def mean_auc(
    name: ModelName, folds: Sequence[DividedImages], splits: Splits, training: TrainingSettings, places: Places
) -> float:
    """Train a network briefly for each fold, judge the fold's images, and return the mean of the AUCs.

    A fold on which the network cannot train, since one class shows nothing of what it needs, counts 0.
    """
    recipe = short_recipe(name, training, splits)
    areas = []
    for number, images in enumerate(folds, start=1):
        plan = FoldPlan(number=number, of=len(folds), images=images, recipe=recipe, unlike_share=UNLIKE_SHARE)
        try:
            judged = read_table(train_fold(plan, places).judged.path(places), OutOfFoldRow)
        except BadInput as error:
            say(f"choose: {name} cannot train on fold {number}: {error}")
            areas.append(0.0)
            continue
        defect = np.array([row.label == splits.classes.defect for row in judged], bool)
        areas.append(auc(defect, np.array([row.margin for row in judged])) or 0.0)
    return float(np.mean(areas))


def short_recipe(name: ModelName, training: TrainingSettings, splits: Splits) -> Recipe:
    """Return the recipe of a trial: that of the network, with fewer epochs unless their number is set."""
    recipe = training.model_copy(update={"model": name}).recipe(pictures=splits.pictures).from_scratch()
    images = splits.by_split["train"]
    epochs = max(recipe.spec.min_epochs, recipe.spec.min_images / images)
    return recipe.model_copy(update={"epochs": recipe.epochs or max(1, round(SHORT * epochs))})
