"""Training set: choose the images that a training sees, and how an epoch shares them."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.images import blemishes, loading, marks
from tasks.networks.tuning import tune_recipe
from tasks.records.results import DividedImages
from tasks.records.rows import SPLITS, Row, is_defect
from tasks.settings.errors import BadInput
from tasks.settings.frames import sides
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places, Recipe, TunedRecipe
from tasks.training import warm_start

if TYPE_CHECKING:
    from tasks.training.input_pipeline import Examples


LEAST_COPIES = 1_000  # with blemishes: so many different ones are drawn at least


class TrainingPlan(NamedTuple):
    """The images of a training, its recipe and its start."""

    train_rows: list[Row]
    validation_rows: list[Row]
    recipe: TunedRecipe
    start: warm_start.WarmStart | None
    """The model that it continues from; None: new weights."""


def plan_training(rows: Sequence[Row], recipe: Recipe, places: Places) -> TrainingPlan:
    """Plan the training of the recipe with these images on this machine. Report whether it continues from a model, or why not."""
    from tasks.networks import devices
    from tasks.training.trainer import shorten_for_warm_start

    train_rows, validation_rows = ([row for row in rows if row.split == split] for split in ("train", "validation"))
    tuned = tune_recipe(recipe, devices.device_class())
    start = warm_start.choose_start(rows, recipe, places)
    if isinstance(start, str):
        if recipe.start_from != "scratch":
            say(f"train: from new weights, since {start}")
        return TrainingPlan(train_rows, validation_rows, tuned, None)
    shown_rows = warm_start.with_replay(train_rows, start.learned, recipe.seed)
    new = sum(row.sha256 not in start.learned for row in shown_rows)
    say(
        f"train: continues from model {start.digest[:12]} with {new:,} new images and {len(shown_rows) - new:,} "
        f"of {len(train_rows) - new:,} old ones, in equal shares of old and new of each origin"
    )
    return TrainingPlan(
        shown_rows,
        validation_rows,
        shorten_for_warm_start(
            tuned,
            count_shown(tuned, len(train_rows), "train"),
            count_shown(tuned, len(shown_rows), "train"),
            count_shown(tuned, len(validation_rows), "validation"),
        ),
        start,
    )


class LoadedImages(NamedTuple):
    """Images as the network sees them, with their rows."""

    examples: "Examples"
    rows: list[Row]


def load_examples(rows: Sequence[Row], plan: TrainingPlan, images: DividedImages, places: Places) -> LoadedImages:
    """Load the images whose view shows something, and report how many are left out. Raises BadInput where a class then has none.

    A network of good parts alone gets copies of the good images with drawn blemishes, labeled as defects, in place of defective parts.
    """
    from tasks.training.input_pipeline import Examples

    if plan.recipe.spec.good_alone:
        rows = [row for row in rows if not is_defect(row, images.classes)]
    inputs = loading.load_inputs(rows, plan.recipe.view, plan.recipe.image_size, places, plan.recipe.crop)
    is_visible = ~np.isnan(inputs.residuals)
    visible_rows = [row for row, visible in zip(rows, is_visible, strict=True) if visible]
    labels = np.array([is_defect(row, images.classes) for row in visible_rows], np.int32)
    if omitted := len(rows) - len(visible_rows):
        say(f"train: {omitted:,} of {len(rows):,} {rows[0].split} images show no ring and are left out")
        if len(set(labels)) < 2:
            raise BadInput(
                f"a ring is found in {len(visible_rows):,} of {len(rows):,} {rows[0].split} images, and none is left of one class: "
                "the parts are not round, or no dark cavity is in their middle; take --model patch"
            )
    levels = inputs.levels if visible_rows == list(rows) else inputs.levels[is_visible]
    strata = stratum_numbers(visible_rows, plan, images)
    if plan.recipe.spec.good_alone:
        return LoadedImages(with_blemishes(levels, strata, plan.recipe.seed, rows[0].split), visible_rows)
    marked = load_marks(visible_rows, plan, images.classes, places)
    return LoadedImages(Examples(levels, labels, strata, marked), visible_rows)


def count_shown(recipe: Recipe, images: int, split: str) -> int:
    """Return how many images of a split an epoch sees: of a network of good parts alone, its copies with blemishes too."""
    return images * (1 + copies_each(images, split)) if recipe.spec.good_alone and images else images


def copies_each(images: int, split: str) -> int:
    """Return how many copies with blemishes each of so many good images gets: of few that train more, so that there are enough."""
    return ceil(LEAST_COPIES / images) if split == "train" else 1


def with_blemishes(levels: np.ndarray, strata: np.ndarray, seed: int, split: str) -> "Examples":
    """Return good parts, and copies of them with blemishes, as many as `copies_each` says.

    Each stratum has an even number; its copies get the next odd one.
    """
    from tasks.training.input_pipeline import Examples

    numbers = np.tile(np.arange(len(levels)), copies_each(len(levels), split))
    copies, marked = blemishes.draw_blemishes(levels, numbers, (seed, SPLITS.index(split)))
    labels = np.repeat(np.array([0, 1], np.int32), [len(levels), len(copies)])
    sound = np.full(levels.shape[:3], marks.SOUND, np.uint8)
    return Examples(
        np.concatenate([levels, copies]),
        labels,
        np.concatenate([strata, strata[numbers] + 1]),
        np.concatenate([sound, marked]),
    )


def load_marks(rows: Sequence[Row], plan: TrainingPlan, classes: Classes, places: Places) -> np.ndarray | None:
    """Load the pixels of the defects, as `tasks.images.marks` does.

    None where the network has no map of the whole picture, or where no mask marks a training image. So images that train and images that
    validate both have marks, or neither.
    """
    recipe = plan.recipe
    if recipe.view != "detail" or not any(marks.shows_mask(row, classes) for row in plan.train_rows):
        return None
    return marks.load_marks(rows, sides(recipe.image_size), classes, places, recipe.crop)


def stratum_numbers(rows: Sequence[Row], plan: TrainingPlan, images: DividedImages) -> np.ndarray:
    """Return the stratum of each row, int32 (rows,): its origin, and in a training that continues, whether the image is new or old.

    A balanced training has strata of each class. All strata have equal shares of an epoch.
    """
    learned = plan.start.learned if plan.start else frozenset()
    origins = {origin: 4 * number for number, origin in enumerate(images.by_origin)}
    balanced = plan.recipe.spec.balanced
    return np.array(
        [
            origins[row.origin] + 2 * (row.sha256 in learned) + (balanced and is_defect(row, images.classes))
            for row in rows
        ],
        np.int32,
    )
