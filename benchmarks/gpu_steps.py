"""Steps of `benchmarks/gpu.py`: measure how long each network takes for one, and what it waits for."""

import gc
import math
import statistics
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.gpu_device import ROUNDS, Job, Sizes, attempt, peak_memory, set_up, use_precision
from benchmarks.gpu_images import load_examples
from benchmarks.supervisor import Emit, read_figures
from tasks.networks.tuning import tune_recipe
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import TrainingSettings, TunedRecipe

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from tasks.training.input_pipeline import Examples

BACKWARD = 2  # times the operations of the way forward: the gradients of the weights, and those of the inputs


def count_operations(layers: Iterable[tuple[Sequence[int], Sequence[int]]]) -> int:
    """Return the floating-point operations of a step for one image, from the shapes of each layer's kernel and its output.

    A kernel is (rows, columns, planes, filters) or (inputs, outputs), an output (rows, columns, filters) or (outputs,).
    """
    forward = sum(2 * math.prod(kernel) * math.prod(output[:-1]) for kernel, output in layers)
    return forward * (1 + BACKWARD)


def step_figures(batch: int, seconds: float, work: int, ceiling: float | None) -> dict[str, float | None]:
    """Return the figures of a step that takes `seconds` for a batch of images of `work` operations each; the ceiling is in TFLOP/s."""
    teraflops = work * batch / seconds / 1e12
    return {
        "milliseconds": 1e3 * seconds,
        "images_per_second": batch / seconds,
        "teraflops": teraflops,
        "share_of_ceiling": teraflops / ceiling if ceiling else None,
    }


def break_even_step(plain: dict, compiled: dict) -> int | None:
    """Return the number of steps after which the time to compile is regained; None where it never is, or a figure is missing."""
    if not {"milliseconds", "first_seconds"} <= plain.keys() & compiled.keys():
        return None
    gain = plain["milliseconds"] - compiled["milliseconds"]
    cost = 1e3 * (compiled["first_seconds"] - plain["first_seconds"])
    return max(0, math.ceil(cost / gain)) if gain > 0 else None


def waiting_share(milliseconds: float | None, from_memory: float | None) -> dict[str, float]:
    """Return the share of a step that it takes longer than one whose data are in memory; nothing where one was not measured."""
    return {"share_of_waiting": 1 - from_memory / milliseconds} if milliseconds and from_memory else {}


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


def plan_steps(sizes: Sizes, xla: bool) -> list[Combination]:
    """Return the steps to measure, the most informative first.

    Without XLA that is all of the first batch size, then the others; with it, where each takes long to compile, the first precision.
    """

    def each(batch: int, precision: str, executions: int = 1) -> list[Combination]:
        return [Combination(network, batch, precision, xla, executions) for network in sizes.networks]

    if xla:
        return [step for precision in sizes.precisions for batch in sizes.batches for step in each(batch, precision)]
    first = sizes.batches[0]
    single = [step for batch in sizes.batches for precision in sizes.precisions for step in each(batch, precision)]
    repeated = [step for many in sizes.executions for step in each(first, sizes.precisions[0], many)]
    return sorted([*single, *repeated], key=lambda step: sizes.batches.index(step.batch))


def measure_steps(job: Job, emit: Emit, xla: bool = False) -> None:
    """Measure the step of each network by batch size, precision and steps per execution; or compiled with XLA."""
    set_up(job)
    combinations = plan_steps(job.sizes, xla)
    for number, combination in enumerate(combinations, 1):
        figures = attempt(partial(measure_step, combination, job))
        if xla:
            plain = read_figures("steps", job.folder).get(str(combination._replace(xla=False)), {})
            figures |= {"pays_from_step": break_even_step(plain, figures)}
        emit(str(combination), {**figures, "number": f"{number} of {len(combinations)}"})


def read_ceilings(folder: Path) -> dict[str, float]:
    """Return the TFLOP/s of a large product that the part `device` has measured, by precision."""
    figures = read_figures("device", folder)
    return {name.removeprefix("product "): row["teraflops"] for name, row in figures.items() if "teraflops" in row}


def measure_step(combination: Combination, job: Job) -> dict[str, object]:
    """Measure one combination, with its batch in the device's memory."""
    recipe = make_recipe(combination.network, combination.batch, combination.xla)
    with use_precision(combination.precision):
        network, work = build_network(recipe, job, combination.executions)
        batches = keep_batch_on_device(network, *random_batch(network, combination.batch))
        first, seconds = time_fit(network, batches, job.sizes.least)
    figures = step_figures(combination.batch, seconds, work, read_ceilings(job.folder).get(combination.precision))
    return {**figures, "peak_mb": peak_memory(job) / 1e6, "first_seconds": first}


def make_recipe(network: ModelName, batch: int, xla: bool = False) -> TunedRecipe:
    """Return the recipe of a network with this batch size, tuned for processors."""
    recipe = TrainingSettings.model_validate({"model": network, "batch_size": batch, "jit_compile": xla}).recipe()
    return tune_recipe(recipe, "cpu")  # of what the device decides, nothing is left open


def build_network(recipe: TunedRecipe, job: Job, executions: int = 1) -> tuple["keras.Model", int]:
    """Return a new compiled network, alone in memory, and the operations of its step for one image."""
    import keras
    import tensorflow as tf

    from tasks.training import trainer

    keras.backend.clear_session()
    gc.collect()
    if job.gpu:
        tf.config.experimental.reset_memory_stats("GPU:0")
    network = trainer.build_network(recipe)
    compiled = trainer.compile_network(network, recipe, 10_000)
    compiled.steps_per_execution = executions
    shapes = [(layer.kernel.shape, layer.output.shape[1:]) for layer in network.layers if hasattr(layer, "kernel")]
    return compiled, count_operations(shapes)


def random_batch(network: "keras.Model", batch: int) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Return a random batch, made where it is used: pixels do not change how long a step takes."""
    import tensorflow as tf

    images = tf.random.stateless_uniform((batch, *network.input_shape[1:]), (0, 0), maxval=255)
    return images, tf.range(batch) % 2


def keep_batch_on_device(network: "keras.Model", images: "tf.Tensor", labels: "tf.Tensor") -> "tf.data.Dataset":
    """Let each step learn from one batch that stays where it is, and return the data that `fit` needs nevertheless: an image a step."""
    import tensorflow as tf

    learn = network.train_step
    network.train_step = lambda _: learn((images, labels))
    return tf.data.Dataset.from_tensors((np.asarray(images[:1]), np.asarray(labels[:1]))).repeat()


def time_fit(
    network: "keras.Model", batches: "tf.data.Dataset", least: float, callbacks: Sequence = ()
) -> tuple[float, float]:
    """Return the seconds of the first execution, with all that is traced and compiled for it, and those of a later step.

    `fit` itself runs them, for at least `least` seconds a round.
    """
    from benchmarks.step_timer import time_steps

    size = network.steps_per_execution

    def run(executions: int) -> tuple[float, float]:
        timer = time_steps(network, batches, size, executions * size, callbacks)
        return timer.first_elapsed.wall, timer.rest_elapsed.wall / (executions * size)

    first, guess = run(1)
    executions = min(200, max(1, round(least / guess / size)))
    return first, statistics.median(run(executions)[1] for _ in range(ROUNDS))


def measure_feeds(job: Job, emit: Emit) -> None:
    """Measure how long a step waits for its images, by where they come from."""
    set_up(job)
    for batch in job.sizes.fed:
        for network in job.sizes.networks:
            examples, recipe, memory = load_examples(job.folder, network, "train"), make_recipe(network, batch), None
            for feed in list_feeds(recipe):
                figures = attempt(partial(measure_feed, feed, examples, recipe, job))
                memory = memory or figures.get("milliseconds")
                emit(f"{network} {batch} {feed}", {**figures, **waiting_share(figures.get("milliseconds"), memory)})


def list_feeds(recipe: TunedRecipe) -> list[str]:
    """Return the sources of the images of a step, first the memory of the device. The tutorial's networks see no alterations."""
    plain = ["memory", "memory, loss read", "pipeline"]
    return plain if recipe.spec.reference else [*plain, "altered by the host", "altered by the device"]


def measure_feed(feed: str, examples: "Examples", recipe: TunedRecipe, job: Job) -> dict[str, Any]:
    """Measure the step on one of `list_feeds`."""
    import keras
    import tensorflow as tf

    from benchmarks.input_pipeline import ENDLESS, time_pipeline
    from tasks.training import input_pipeline

    figures, callbacks = dict[str, Any](), []
    mean = float(recipe.batch_size)  # images of a batch
    with use_precision(job.sizes.precisions[0]):
        network, _ = build_network(recipe, job)
        if feed in ("pipeline", "altered by the host"):
            with tf.device("/CPU:0"):
                augment_view = recipe.view if feed.startswith("altered") else None
                data = input_pipeline.training_batches(
                    examples, batch_size=recipe.batch_size, epochs=ENDLESS, seed=0, augment_view=augment_view
                )
            # The last batch of an epoch may be smaller.
            mean = len(examples.labels) / input_pipeline.steps(examples, recipe.batch_size)
            figures["alone_images_per_second"] = 1 / time_pipeline(data, 10, mean).wall
        elif feed == "altered by the device":
            data = keep_images_on_device(network, examples, recipe)
        else:
            data = keep_batch_on_device(network, *random_batch(network, recipe.batch_size))
            callbacks = [keras.callbacks.TerminateOnNaN()] if feed.endswith("loss read") else []
        _, seconds = time_fit(network, data, job.sizes.least, callbacks)
    return {"milliseconds": 1e3 * seconds, "images_per_second": mean / seconds, **figures}


def keep_images_on_device(network: "keras.Model", examples: "Examples", recipe: TunedRecipe) -> "tf.data.Dataset":
    """Let each step draw a batch of images that all lie on the device, and alter it there.

    By XLA: some of the operations on uint8 and uint16 have no kernel for a GPU, and the host would do them without a message.
    """
    import tensorflow as tf

    from tasks.training.augmentation import AUGMENTATIONS

    pixels, labels, learn = tf.constant(examples.pixels), tf.constant(examples.labels), network.train_step

    @tf.function(jit_compile=True)
    def draw(pixels: "tf.Tensor", labels: "tf.Tensor", step: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        seeds = tf.stack([tf.zeros_like(step), step])
        numbers = tf.random.stateless_uniform([recipe.batch_size], seeds, maxval=len(examples.labels), dtype=tf.int32)
        return AUGMENTATIONS[recipe.view](tf.gather(pixels, numbers), seeds, False), tf.gather(labels, numbers)

    network.train_step = lambda _: learn(draw(pixels, labels, tf.cast(network.optimizer.iterations.value, tf.int64)))
    return tf.data.Dataset.from_tensors((examples.pixels[:1].astype(np.float32), examples.labels[:1])).repeat()
