"""Crossfit: judges every labeled image once, by a network that never saw its part."""

from collections.abc import Sequence

import numpy as np
from prefect import task

from tasks.dataset.folds import assign_folds, divide_by_folds
from tasks.inference.calibration import temperature
from tasks.pipeline.shared_work import share
from tasks.pipeline.step_cache import same_step
from tasks.records.results import DividedImages, FoldPlan, OutOfFold
from tasks.records.rows import OutOfFoldRow, Row
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Classes, CrossfitSettings, Places, Recipe
from tasks.storage.tables import read_table, store_table
from tasks.training.fold_training import stored_fold, train_fold, train_in_process

DEPLOYMENT = "train_fold/train-fold"


@task(cache_policy=same_step)
def crossfit(
    splits: DividedImages,
    recipe: Recipe,
    settings: CrossfitSettings,
    validation_fraction: float,
    unlike_share: float,
    places: Places,
) -> OutOfFold:
    """Train a network for each fold on the parts of the others, from new weights, and judge the fold's parts with it.

    Workers of the deployment `train-fold` share the folds where they are online; else processes here train one after another.
    """
    rows = read_table(splits.table.path(places), Row)
    plans = plan_folds(rows, splits, recipe, settings, validation_fraction, unlike_share, places)
    share(
        plans,
        lambda plan: train_in_process(plan, places),
        lambda plan: stored_fold(plan, places) is not None,
        DEPLOYMENT,
        lambda plan: {"plan": plan.model_dump(mode="json"), "places": places.model_dump(mode="json")},
    )
    folds = tuple(train_fold(plan, places) for plan in plans)  # all are stored
    judged = {
        (row.origin, row.path): row for fold in folds for row in read_table(fold.judged.path(places), OutOfFoldRow)
    }
    ordered = [judged[row.origin, row.path] for row in rows]
    out_of_fold = OutOfFold(
        judged=store_table("out-of-fold", ordered, OutOfFoldRow, places),
        folds=folds,
        temperature=fit_temperature(ordered, splits.classes),
    )
    say(f"crossfit: {len(rows):,} images judged in {len(folds)} folds, temperature {out_of_fold.temperature:.2f}")
    return out_of_fold


def plan_folds(
    rows: Sequence[Row],
    splits: DividedImages,
    recipe: Recipe,
    settings: CrossfitSettings,
    validation_fraction: float,
    unlike_share: float,
    places: Places,
) -> list[FoldPlan]:
    """Plan the folds. Raises BadInput where a class has too few parts for them."""
    judged = assign_folds(rows, settings.folds, settings.seed)
    try:
        divided = divide_by_folds(rows, judged, splits, validation_fraction, settings.seed, places)
    except BadInput as error:
        raise BadInput(f"{error}, another --crossfit.seed, or fewer --crossfit.folds") from error
    return [
        FoldPlan(
            number=number, of=settings.folds, images=images, recipe=recipe.from_scratch(), unlike_share=unlike_share
        )
        for number, images in enumerate(divided, start=1)
    ]


def fit_temperature(judged: Sequence[OutOfFoldRow], classes: Classes) -> float:
    """Return the temperature at which the labels are likeliest. Parts are many, so each image counts; a margin of 0 is as likely at any."""
    defect = np.array([row.label == classes.defect for row in judged], bool)
    return temperature(np.array([row.margin for row in judged]), defect)
