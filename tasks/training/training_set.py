"""Lessons: which images a training sees, and how an epoch shares them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.images import loading
from tasks.networks.tuning import tune_recipe
from tasks.records.results import Splits
from tasks.records.rows import Row, is_defect
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places, Recipe, TunedRecipe
from tasks.training import warm_start

if TYPE_CHECKING:
    from tasks.training.input_pipeline import Examples


class TrainingPlan(NamedTuple):
    """What a training learns from, and how."""

    learning: list[Row]
    watching: list[Row]
    recipe: TunedRecipe
    start: warm_start.WarmStart | None
    """What it continues from; None: new weights."""


def plan_training(rows: Sequence[Row], recipe: Recipe, places: Places) -> TrainingPlan:
    """The training that the recipe means with these images on this machine, and says so where it continues from a model or cannot."""
    from tasks.networks import devices
    from tasks.training.trainer import shorten_for_warm_start

    learning, watching = ([row for row in rows if row.split == split] for split in ("train", "validation"))
    here = tune_recipe(recipe, devices.device_class())
    start = warm_start.choose_start(rows, recipe, places)
    if isinstance(start, str):
        if recipe.start_from != "scratch":
            say(f"train: from new weights, since {start}")
        return TrainingPlan(learning, watching, here, None)
    mixed = warm_start.with_replay(learning, start.learnt, recipe.seed)
    new = sum(row.sha256 not in start.learnt for row in mixed)
    say(
        f"train: continues from model {start.digest[:12]} with {new:,} new images and {len(mixed) - new:,} "
        f"of {len(learning) - new:,} old ones, in equal shares of old and new of each origin"
    )
    return TrainingPlan(mixed, watching, shorten_for_warm_start(here, len(learning), len(mixed), len(watching)), start)


class LoadedImages(NamedTuple):
    """Images as the network sees them, and the rows that they are of."""

    examples: "Examples"
    rows: list[Row]


def load_examples(rows: Sequence[Row], plan: TrainingPlan, splits: Splits, places: Places) -> LoadedImages:
    """The rows whose view shows something. Raises BadInput where a class is left without one."""
    from tasks.training.input_pipeline import Examples

    seen = loading.load_inputs(rows, plan.recipe.view, plan.recipe.image_size, places)
    there = ~np.isnan(seen.residuals)
    kept = [row for row, is_there in zip(rows, there, strict=True) if is_there]
    labels = np.array([is_defect(row, splits.classes) for row in kept], np.int32)
    if left := len(rows) - len(kept):
        say(f"train: {left:,} of {len(rows):,} {rows[0].split} images show no ring and are left out")
        if len(set(labels)) < 2:
            raise BadInput(
                f"a ring is found in {len(kept):,} of {len(rows):,} {rows[0].split} images, and none is left of one class: "
                "the parts are not round, or no dark cavity is in their middle; take --model compact"
            )
    levels = seen.levels if kept == list(rows) else seen.levels[there]
    return LoadedImages(Examples(levels, labels, strata(kept, plan, splits)), kept)


def strata(rows: Sequence[Row], plan: TrainingPlan, splits: Splits) -> np.ndarray:
    """Which images share an epoch equally, int32 (rows,): those of each origin; where it continues, its new and its old ones."""
    learnt = plan.start.learnt if plan.start else frozenset()
    origins = {origin: 2 * number for number, origin in enumerate(splits.by_origin)}
    return np.array([origins[row.origin] + (row.sha256 in learnt) for row in rows], np.int32)
