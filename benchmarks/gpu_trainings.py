"""Trainings of `benchmarks/gpu.py`: whole ones, killed ones, and two on one card."""

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

from benchmarks.apart import apart
from benchmarks.gpu_device import Job, nvidia_smi, peak, set_up
from benchmarks.gpu_images import examples
from benchmarks.limited import Emit
from tasks.networks.tuning import tune_recipe
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

KILLED_AFTER = 2  # epochs


def count_errors(logits: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """Return the errors at the likelier class: logits (images, 2), good then defect; labels 1 for a defect."""
    called = logits.argmax(1)
    missed, refused = int(np.sum(labels > called)), int(np.sum(labels < called))
    return {
        "test_images": len(labels), "test_errors": missed + refused, "missed_defects": missed, "false_rejects": refused
    }  # fmt: skip


def pace(ends: Sequence[float]) -> dict[str, object]:
    """Return the figures of a training whose epochs ended so many seconds after its beginning."""
    later = [end - before for before, end in zip(ends, ends[1:], strict=False)]
    return {
        "epochs": len(ends),
        "first_epoch_seconds": ends[0],
        "seconds_an_epoch": statistics.median(later) if later else None,
    }


def beside(earlier: dict) -> dict[str, object]:
    """Return the figures of the same training elsewhere, as they stand beside those of this one."""
    return {
        f"{name}_there": earlier.get(name) for name in ("seconds", "test_errors", "missed_defects") if name in earlier
    }


def train_network(
    job: Job,
    settings: TrainingSettings,
    most: int | None,
    each: Callable[[list[float]], None],
    room: Path | None = None,
) -> tuple["keras.Model", dict]:
    """Train as recast does. Returns the network and its figures; `each` is told when the epochs so far have ended.

    `start_seconds` are those until TensorFlow and the images are there, which are in no other figure.
    """
    started, recipe, ends = time.perf_counter(), settings.recipe(), list[float]()
    learning, watching = (examples(job.folder, recipe.model, split, most) for split in ("train", "validation"))
    set_up(job)
    from tasks.networks import devices, networks
    from tasks.training import trainer

    began = time.perf_counter()

    def note(_: object) -> None:
        ends.append(time.perf_counter() - began)
        each(ends)

    fitted = trainer.fit(learning, watching, tune_recipe(recipe, devices.device_class()), note, room)
    figures: dict = {"start_seconds": began - started, "seconds": time.perf_counter() - began, **pace(ends)}
    digest = networks.weights_digest(fitted.network)[:16]
    figures |= {"peak_mb": peak(job) / 1e6, "resumed_from_epoch": fitted.resumed_from_epoch, "digest": digest}
    return fitted.network, figures


def short(job: Job, deterministic: bool, room: Path | None = None, killed_after: int | None = None) -> dict:
    """Train a network for a few epochs; the process is killed after one of them, if one is named."""

    def each(ends: Sequence[float]) -> None:
        if len(ends) == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = TrainingSettings(model=job.sizes.trained, epochs=job.sizes.epochs, deterministic=deterministic)
    return train_network(job, settings, job.sizes.images, each, room)[1]


def deterministic(job: Job, emit: Emit) -> None:
    """Train freely, and in deterministic mode: killed and resumed, and twice left alone."""
    emit("free", apart(short, job, False))
    room = job.folder / "killed"
    try:
        apart(short, job, True, room, KILLED_AFTER)
    except BrokenProcessPool:  # as it should be
        emit("killed", {"killed_after_epochs": KILLED_AFTER})
    emit("equal digests", apart(compared, job, emit, room))


def compared(job: Job, emit: Emit, room: Path) -> dict[str, bool]:
    """Train as nobody interrupts it, go on with the training that was killed in another process, and train once more."""
    digests = []
    for name, place in (("deterministic", None), ("killed and resumed", room), ("deterministic again", None)):
        figures = short(job, True, place)
        emit(name, figures)
        digests.append(figures["digest"])
    return {"resumed": digests[1] == digests[0], "twice": digests[2] == digests[0]}


def pair(job: Job, emit: Emit) -> None:
    """Train alone, then two side by side on one card."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        (first, alone, together), (other, beside_it) = pool.map(one_of_two, [job] * 2, range(2))
    emit("first of two", {**first, "alone_seconds_an_epoch": alone, "side_by_side_seconds_an_epoch": together})
    emit("second of two", {**other, "side_by_side_seconds_an_epoch": beside_it})
    emit("both", {"work_to_alone": work_to_alone(alone, together, beside_it)})


def work_to_alone(alone: float, *together: float) -> float:
    """Return how many times as much gets done side by side, from the seconds of an epoch."""
    return sum(alone / seconds for seconds in together)


def one_of_two(job: Job, number: int) -> list:
    """Train beside another process. Returns the figures, and the seconds of an epoch: of the first alone and then of both together."""
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
            used.update(nvidia_smi("memory.used"))  # of the card, while both hold theirs
        for stage in meetings[periods]:
            meet(job.folder, stage, number)
        began = time.perf_counter()

    settings = TrainingSettings(model=job.sizes.trained, epochs=1 + epochs * (len(meetings) - 1))
    _, figures = train_network(job, settings, job.sizes.images, each)
    return [{"peak_mb": figures["peak_mb"], **used}, *spans]


def meet(folder: Path, stage: str, number: int, patience: float = 300) -> None:
    """Wait until the other of two processes is as far. Raises TimeoutError when it takes too long."""
    (folder / f"{stage}-{number}").touch()
    until = time.monotonic() + patience
    while not (folder / f"{stage}-{1 - number}").exists():
        if time.monotonic() > until:
            raise TimeoutError(f"the other training did not get to {stage!r} within {patience:.0f} s")
        time.sleep(0.002)


def train_whole(job: Job, emit: Emit, network: ModelName) -> None:
    """Train as the recipe says, and judge the test."""
    there = beside(job.beside.get(network, {}))
    settings = TrainingSettings(model=network, epochs=job.sizes.whole)
    learner, figures = train_network(job, settings, None, lambda ends: emit(network, pace(ends)))
    from tasks.training.input_pipeline import evaluation_batches

    test = examples(job.folder, network, "test")
    found = learner.predict(evaluation_batches(test.pixels, batch_size=64), verbose=0)
    emit(network, {**figures, **count_errors(found["logits"], test.labels), **there})
