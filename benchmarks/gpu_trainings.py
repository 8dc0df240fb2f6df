"""Trainings of `benchmarks/gpu.py`: measure whole ones, killed ones, and two on one card."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.gpu_device import Job, peak_memory, query_nvidia_smi, set_up
from benchmarks.gpu_images import load_examples
from benchmarks.isolation import run_isolated
from benchmarks.supervisor import Emit
from tasks.networks.tuning import tune_recipe
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

KILLED_AFTER = 2  # epochs


def count_errors(logits: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """Return the errors at the likelier class: logits (images, 2), good then defect; labels 1 for a defect."""
    predicted = logits.argmax(1)
    missed, refused = int(np.sum(labels > predicted)), int(np.sum(labels < predicted))
    return {
        "test_images": len(labels), "test_errors": missed + refused, "missed_defects": missed, "false_rejects": refused
    }  # fmt: skip


def epoch_figures(ends: Sequence[float]) -> dict[str, object]:
    """Return the figures of a training, from the seconds after its beginning at which its epochs ended."""
    later = [end - before for before, end in zip(ends, ends[1:], strict=False)]
    return {
        "epochs": len(ends),
        "first_epoch_seconds": ends[0],
        "seconds_an_epoch": statistics.median(later) if later else None,
    }


def earlier_figures(earlier: dict) -> dict[str, object]:
    """Return the figures of the same training on another machine, under names that stand beside those of this one."""
    return {
        f"{name}_there": earlier.get(name) for name in ("seconds", "test_errors", "missed_defects") if name in earlier
    }


def train_network(
    job: Job,
    settings: TrainingSettings,
    most: int | None,
    each: Callable[[list[float]], None],
    folder: Path | None = None,
) -> tuple["keras.Model", dict]:
    """Train as recast does. Return the network and its figures; `each` is called with the ends of the epochs so far.

    `start_seconds` are those until TensorFlow and the images are loaded. They are in no other figure.
    """
    started, recipe, ends = time.perf_counter(), settings.recipe(), list[float]()
    train_examples, validation_examples = (
        load_examples(job.folder, recipe.model, split, most) for split in ("train", "validation")
    )
    set_up(job)
    from tasks.networks import devices, networks
    from tasks.training import trainer

    began = time.perf_counter()

    def note(_: object) -> None:
        ends.append(time.perf_counter() - began)
        each(ends)

    result = trainer.fit(train_examples, validation_examples, tune_recipe(recipe, devices.device_class()), note, folder)
    figures: dict = {"start_seconds": began - started, "seconds": time.perf_counter() - began, **epoch_figures(ends)}
    digest = networks.weights_digest(result.network)[:16]
    figures |= {"peak_mb": peak_memory(job) / 1e6, "resumed_from_epoch": result.resumed_from_epoch, "digest": digest}
    return result.network, figures


def train_short(job: Job, deterministic: bool, folder: Path | None = None, killed_after: int | None = None) -> dict:
    """Train a network for a few epochs. The process is killed after `killed_after` of them, unless that is None."""

    def each(ends: Sequence[float]) -> None:
        if len(ends) == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = TrainingSettings(model=job.sizes.trained, epochs=job.sizes.epochs, deterministic=deterministic)
    return train_network(job, settings, job.sizes.images, each, folder)[1]


def measure_determinism(job: Job, emit: Emit) -> None:
    """Train freely, and in deterministic mode: killed and resumed, and twice without interruption."""
    emit("free", run_isolated(train_short, job, False))
    folder = job.folder / "killed"
    try:
        run_isolated(train_short, job, True, folder, KILLED_AFTER)
    except BrokenProcessPool:  # as it should be
        emit("killed", {"killed_after_epochs": KILLED_AFTER})
    emit("equal digests", run_isolated(compare_digests, job, emit, folder))


def compare_digests(job: Job, emit: Emit, folder: Path) -> dict[str, bool]:
    """Train without interruption, resume the training that was killed in another process, and train once more."""
    digests = []
    for name, checkpoints in (("deterministic", None), ("killed and resumed", folder), ("deterministic again", None)):
        figures = train_short(job, True, checkpoints)
        emit(name, figures)
        digests.append(figures["digest"])
    return {"resumed": digests[1] == digests[0], "twice": digests[2] == digests[0]}


def measure_pair(job: Job, emit: Emit) -> None:
    """Train alone, then two side by side on one card."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        (first, alone, together), (second, beside_it) = pool.map(train_side_by_side, [job] * 2, range(2))
    emit("first of two", {**first, "alone_seconds_an_epoch": alone, "side_by_side_seconds_an_epoch": together})
    emit("second of two", {**second, "side_by_side_seconds_an_epoch": beside_it})
    emit("both", {"work_to_alone": relative_throughput(alone, together, beside_it)})


def relative_throughput(alone: float, *together: float) -> float:
    """Return how many times as much gets done side by side as alone, from the seconds of an epoch."""
    return sum(alone / seconds for seconds in together)


def train_side_by_side(job: Job, number: int) -> list:
    """Train beside another process. Return the figures, and the seconds of an epoch: for the first alone, and for both together."""
    epochs, spans, began, used = job.sizes.epochs, list[float](), 0.0, dict[str, str]()
    meetings = [["warm"], ["alone"], []] if number == 0 else [["warm", "alone"], []]

    def each(ends: Sequence[float]) -> None:
        nonlocal began
        periods, rest = divmod(len(ends) - 1, epochs)
        if rest:
            return
        if periods:
            spans.append((time.perf_counter() - began) / epochs)
        if meetings[periods] == ["alone"]:
            used.update(query_nvidia_smi("memory.used"))  # of the card, while both hold theirs
        for stage in meetings[periods]:
            wait_for_other(job.folder, stage, number)
        began = time.perf_counter()

    settings = TrainingSettings(model=job.sizes.trained, epochs=1 + epochs * (len(meetings) - 1))
    _, figures = train_network(job, settings, job.sizes.images, each)
    return [{"peak_mb": figures["peak_mb"], **used}, *spans]


def wait_for_other(folder: Path, stage: str, number: int, patience: float = 300) -> None:
    """Wait until the other of two processes is as far. Raises TimeoutError where it takes longer than `patience` seconds."""
    (folder / f"{stage}-{number}").touch()
    until = time.monotonic() + patience
    while not (folder / f"{stage}-{1 - number}").exists():
        if time.monotonic() > until:
            raise TimeoutError(f"the other training did not get to {stage!r} within {patience:.0f} s")
        time.sleep(0.002)


def train_whole(job: Job, emit: Emit, network: ModelName) -> None:
    """Train as the recipe says, and judge the test."""
    earlier = earlier_figures(job.beside.get(network, {}))
    settings = TrainingSettings(model=network, epochs=job.sizes.whole)
    learner, figures = train_network(job, settings, None, lambda ends: emit(network, epoch_figures(ends)))
    from tasks.training.input_pipeline import evaluation_batches

    test = load_examples(job.folder, network, "test")
    outputs = learner.predict(evaluation_batches(test, batch_size=64), verbose=0)
    emit(network, {**figures, **count_errors(outputs["logits"], test.labels), **earlier})
