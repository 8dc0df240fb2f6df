"""Steps of `benchmarks/gpu.py`: how long each network takes for one, and what it waits for."""

import gc
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.gpu_device import ROUNDS, Job, Sizes, arithmetic, attempt, peak, set_up
from benchmarks.gpu_images import examples
from benchmarks.limited import Emit, figures_of
from tasks.networks.tuning import tune_recipe
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import TrainingSettings, TunedRecipe

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from tasks.training.input_pipeline import Examples

BACKWARD = 2  # times the operations of the way forward: the gradients of the weights, and those of the inputs


def operations(layers: Iterable[tuple[Sequence[int], Sequence[int]]]) -> int:
    """Return the floating-point operations of a step for one image, from the shapes of each layer's kernel and its output.

    A kernel is (rows, columns, planes, filters) or (inputs, outputs), an output (rows, columns, filters) or (outputs,).
    """
    forward = sum(2 * math.prod(kernel) * math.prod(output[:-1]) for kernel, output in layers)
    return forward * (1 + BACKWARD)


def rates(batch: int, seconds: float, work: int, ceiling: float | None) -> dict[str, float | None]:
    """Return the figures of a step that takes so long for a batch of images of so many operations each."""
    teraflops = work * batch / seconds / 1e12
    return {
        "milliseconds": 1e3 * seconds,
        "images_per_second": batch / seconds,
        "teraflops": teraflops,
        "share_of_ceiling": teraflops / ceiling if ceiling else None,
    }


def pays_from(plain: dict, compiled: dict) -> int | None:
    """Return after how many steps what compiling takes is gained; None where that is never, or not known."""
    if not {"milliseconds", "first_seconds"} <= plain.keys() & compiled.keys():
        return None
    gained = plain["milliseconds"] - compiled["milliseconds"]
    spent = 1e3 * (compiled["first_seconds"] - plain["first_seconds"])
    return max(0, math.ceil(spent / gained)) if gained > 0 else None


def waiting(spent: float | None, from_memory: float | None) -> dict[str, float]:
    """Return the share of a step that it takes longer than one whose data are in memory, as far as both were measured."""
    return {"share_of_waiting": 1 - from_memory / spent} if spent and from_memory else {}


class Combination(NamedTuple):
    """A step to measure."""

    network: ModelName
    batch: int
    precision: str
    xla: bool = False
    executions: int = 1

    def __str__(self) -> str:
        more = f"{' XLA' if self.xla else ''}{f' x{self.executions}' if self.executions > 1 else ''}"
        return f"{self.network} {self.batch} {self.precision}{more}"


def plan(sizes: Sizes, xla: bool) -> list[Combination]:
    """Return the steps to measure, the most telling first.

    Without XLA that is all of the first batch size, then the others; with it, where each takes long to compile, the first precision.
    """

    def each(batch: int, precision: str, executions: int = 1) -> list[Combination]:
        return [Combination(network, batch, precision, xla, executions) for network in sizes.networks]

    if xla:
        return [one for precision in sizes.precisions for batch in sizes.batches for one in each(batch, precision)]
    first = sizes.batches[0]
    single = [one for batch in sizes.batches for precision in sizes.precisions for one in each(batch, precision)]
    repeated = [one for many in sizes.executions for one in each(first, sizes.precisions[0], many)]
    return sorted([*single, *repeated], key=lambda one: sizes.batches.index(one.batch))


def steps(job: Job, emit: Emit, xla: bool = False) -> None:
    """Measure the step of each network by batch size, precision and steps per execution; or compiled with XLA."""
    set_up(job)
    combinations = plan(job.sizes, xla)
    for number, combination in enumerate(combinations, 1):
        figures = attempt(partial(step, combination, job))
        if xla:
            plain = figures_of("steps", job.folder).get(str(combination._replace(xla=False)), {})
            figures |= {"pays_from_step": pays_from(plain, figures)}
        emit(str(combination), {**figures, "number": f"{number} of {len(combinations)}"})


def ceilings(folder: Path) -> dict[str, float]:
    """Return the TFLOP/s of a large product that the part `device` has measured, by precision."""
    found = figures_of("device", folder)
    return {name.removeprefix("product "): row["teraflops"] for name, row in found.items() if "teraflops" in row}


def step(combination: Combination, job: Job) -> dict[str, object]:
    """Measure one combination, its batch in the device's memory."""
    recipe = recipe_of(combination.network, combination.batch, combination.xla)
    with arithmetic(combination.precision):
        learner, work = fresh(recipe, job, combination.executions)
        batches = resident(learner, *random_batch(learner, combination.batch))
        first, seconds = timed(learner, batches, job.sizes.least)
    figures = rates(combination.batch, seconds, work, ceilings(job.folder).get(combination.precision))
    return {**figures, "peak_mb": peak(job) / 1e6, "first_seconds": first}


def recipe_of(network: ModelName, batch: int, xla: bool = False) -> TunedRecipe:
    recipe = TrainingSettings.model_validate({"model": network, "batch_size": batch, "jit_compile": xla}).recipe()
    return tune_recipe(recipe, "cpu")  # of what the device decides, nothing is left open


def fresh(recipe: TunedRecipe, job: Job, executions: int = 1) -> tuple["keras.Model", int]:
    """Return a new learner, alone in memory, and the operations of its step for one image."""
    import keras
    import tensorflow as tf

    from tasks.training import trainer

    keras.backend.clear_session()
    gc.collect()
    if job.gpu:
        tf.config.experimental.reset_memory_stats("GPU:0")
    network = trainer.build_network(recipe)
    learner = trainer.compile_network(network, recipe, 10_000)
    learner.steps_per_execution = executions
    shapes = [(layer.kernel.shape, layer.output.shape[1:]) for layer in network.layers if hasattr(layer, "kernel")]
    return learner, operations(shapes)


def random_batch(learner: "keras.Model", batch: int) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Return a random batch, made where it is used: pixels do not change how long a step takes."""
    import tensorflow as tf

    images = tf.random.stateless_uniform((batch, *learner.input_shape[1:]), (0, 0), maxval=255)
    return images, tf.range(batch) % 2


def resident(learner: "keras.Model", images: "tf.Tensor", labels: "tf.Tensor") -> "tf.data.Dataset":
    """Let each step learn from one batch that stays where it is, and return what `fit` is given instead: an image a step."""
    import tensorflow as tf

    learn = learner.train_step
    learner.train_step = lambda _: learn((images, labels))
    return tf.data.Dataset.from_tensors((np.asarray(images[:1]), np.asarray(labels[:1]))).repeat()


def timed(learner: "keras.Model", batches: "tf.data.Dataset", least: float, more: Sequence = ()) -> tuple[float, float]:
    """Return the seconds of the first execution, with all that is traced and compiled for it, and those of a step later on.

    `fit` itself runs them, for at least so many seconds a round; `more` are callbacks.
    """
    import keras

    class Stopwatch(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict | None = None) -> None:
            self.began, self.first, self.rest = time.perf_counter(), 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            if not self.first:
                float(logs["loss"])  # waits until it is computed
                self.first = time.perf_counter() - self.began

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # the loss is known: all is computed
            self.rest = time.perf_counter() - self.began - self.first

    def run(executions: int) -> tuple[float, float]:
        watch, number = Stopwatch(), learner.steps_per_execution
        learner.fit(
            x=batches, steps_per_epoch=(1 + executions) * number, callbacks=[watch, *more], shuffle=False, verbose=0
        )
        return watch.first, watch.rest / (executions * number)

    first, guess = run(1)
    executions = min(200, max(1, round(least / guess / learner.steps_per_execution)))
    return first, statistics.median(run(executions)[1] for _ in range(ROUNDS))


def feeds(job: Job, emit: Emit) -> None:
    """Measure what a step waits for its images, by where they come from."""
    set_up(job)
    for batch in job.sizes.fed:
        for network in job.sizes.networks:
            shown, recipe, memory = examples(job.folder, network, "train"), recipe_of(network, batch), None
            for feed in feeds_of(recipe):
                figures = attempt(partial(fed, feed, shown, recipe, job))
                memory = memory or figures.get("milliseconds")
                emit(f"{network} {batch} {feed}", {**figures, **waiting(figures.get("milliseconds"), memory)})


def feeds_of(recipe: TunedRecipe) -> list[str]:
    """Return where the images of a step come from, first the memory of the device; the tutorial's networks see no alterations."""
    plain = ["memory", "memory, loss read", "pipeline"]
    return plain if recipe.spec.reference else [*plain, "altered by the host", "altered by the device"]


def fed(feed: str, shown: "Examples", recipe: TunedRecipe, job: Job) -> dict[str, Any]:
    """Measure the step on one of `feeds_of`."""
    import keras
    import tensorflow as tf

    from benchmarks.input_pipeline import ENDLESS, alone
    from tasks.training import input_pipeline

    figures, more = dict[str, Any](), []
    mean = float(recipe.batch_size)  # images of a batch
    with arithmetic(job.sizes.precisions[0]):
        learner, _ = fresh(recipe, job)
        if feed in ("pipeline", "altered by the host"):
            with tf.device("/CPU:0"):
                altered = recipe.view if feed.startswith("altered") else None
                data = input_pipeline.training_batches(
                    shown, batch_size=recipe.batch_size, epochs=ENDLESS, seed=0, altered=altered
                )
            mean = len(shown.labels) / input_pipeline.steps(
                shown, recipe.batch_size
            )  # the last of an epoch may be smaller
            figures["alone_images_per_second"] = 1 / alone(data, 10, mean).wall
        elif feed == "altered by the device":
            data = altering(learner, shown, recipe)
        else:
            data = resident(learner, *random_batch(learner, recipe.batch_size))
            more = [keras.callbacks.TerminateOnNaN()] if feed.endswith("loss read") else []
        _, seconds = timed(learner, data, job.sizes.least, more)
    return {"milliseconds": 1e3 * seconds, "images_per_second": mean / seconds, **figures}


def altering(learner: "keras.Model", shown: "Examples", recipe: TunedRecipe) -> "tf.data.Dataset":
    """Let each step draw a batch of images that all lie on the device, and alter it there.

    By XLA: some of the operations on uint8 and uint16 have no kernel for a GPU, and would be done by the host without a word.
    """
    import tensorflow as tf

    from tasks.training.augmentation import ALTERATIONS

    pixels, labels, learn = tf.constant(shown.pixels), tf.constant(shown.labels), learner.train_step

    @tf.function(jit_compile=True)
    def draw(pixels: "tf.Tensor", labels: "tf.Tensor", step: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        seeds = tf.stack([tf.zeros_like(step), step])
        numbers = tf.random.stateless_uniform([recipe.batch_size], seeds, maxval=len(shown.labels), dtype=tf.int32)
        return ALTERATIONS[recipe.view](tf.gather(pixels, numbers), seeds, False), tf.gather(labels, numbers)

    learner.train_step = lambda _: learn(draw(pixels, labels, tf.cast(learner.optimizer.iterations.value, tf.int64)))
    return tf.data.Dataset.from_tensors((shown.pixels[:1].astype(np.float32), shown.labels[:1])).repeat()
