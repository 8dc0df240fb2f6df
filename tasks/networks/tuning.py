"""Tuning: the batch size, learning rate, precision and XLA of a training, by the class of the device that it runs on.

A row holds only what was measured on a device of its class; `docs/operations.md` says how to measure another.
"""

from math import sqrt
from typing import Literal, NamedTuple

from tasks.settings.model_specs import MODEL_SPECS, ModelName
from tasks.settings.settings import Precision, Recipe, TunedRecipe

DeviceClass = Literal["cpu", "gpu", "float16_gpu", "bfloat16_gpu"]
FLOAT16, BFLOAT16 = (7, 0), (8, 0)  # compute capabilities from which on a half precision is faster: Volta, Ampere
BATCH = 32  # images; the learning rates of `model_specs` are for batches of this size


class Tuning(NamedTuple):
    """The values that a class of devices trains with."""

    precision: Precision
    batch_sizes: dict[ModelName, int]
    """Images a step; 32 for a network that is not named."""
    xla_pays_from: dict[ModelName, int]
    """Least steps of a training in which XLA saves more time than it takes to compile; a network that is not named never uses XLA."""


# On one H200, in bfloat16, XLA saves 4.1, 6.0 and 2.9 ms a step of 32 images, and compiles for 13, 18 and 16 s (29 November 2026).
TABLE: dict[DeviceClass, Tuning] = {
    "cpu": Tuning("float32", {"patch": 16, "normal": 16}, {}),
    "gpu": Tuning("float32", {}, {}),
    "float16_gpu": Tuning("mixed_float16", {}, {}),
    "bfloat16_gpu": Tuning("mixed_bfloat16", {}, {"ring": 3_200, "compact": 3_000, "tutorial_dropout": 5_600}),
}


def class_of(ability: tuple[int, int] | None) -> DeviceClass:
    """Return the class of a GPU of this compute capability, as (major, minor); None: there is no GPU."""
    if ability is None:
        return "cpu"
    if ability < FLOAT16:
        return "gpu"
    return "bfloat16_gpu" if ability >= BFLOAT16 else "float16_gpu"


def tune_recipe(recipe: Recipe, device: DeviceClass) -> TunedRecipe:
    """Fill in the values that the recipe leaves open, from the table's row of the device."""
    row = TABLE[device]
    batch_size = recipe.batch_size or row.batch_sizes.get(recipe.model, BATCH)
    return TunedRecipe.model_validate({
        **dict(recipe),
        "batch_size": batch_size,
        "learning_rate": recipe.learning_rate or learning_rate(recipe.model, batch_size),
        "precision": row.precision if recipe.precision == "auto" else recipe.precision,
    })  # fmt: skip


def learning_rate(model: ModelName, batch_size: int) -> float:
    """Return the highest learning rate of a schedule, for batches of this many images.

    It grows with the square root of the batch size, as Adam's should (Malladi et al., 2022, arXiv:2205.10287). The tutorial's
    networks keep the published rate.
    """
    spec = MODEL_SPECS[model]
    return spec.learning_rate if spec.reference else spec.learning_rate * sqrt(batch_size / BATCH)


def uses_xla(recipe: Recipe, device: DeviceClass, gpus: int, steps: int) -> bool:
    """Return whether XLA compiles a training of so many steps.

    Unless the recipe says so, XLA compiles neither a deterministic training nor one on several GPUs. Both were tested
    without XLA only.
    """
    if recipe.jit_compile is not None:
        return recipe.jit_compile
    least = TABLE[device].xla_pays_from.get(recipe.model)
    return not recipe.deterministic and gpus < 2 and least is not None and steps >= least
