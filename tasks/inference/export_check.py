"""Parity: whether a network in its other formats, loaded in clean processes, answers as it did when it was judged.

python -m tasks.inference.export_check FOLDER LEVELS.npy ANSWERS.npz FORMAT ...

Such a process loads what its formats need, and begins when a line arrives on its standard input.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.inference import runtimes
from tasks.inference.decision import Decision, Evidence, Verdict
from tasks.inference.forward import forward
from tasks.storage.code_version import ROOT

LEVELS = "levels.npy"
WARM, TIMED = 3, 20  # calls
GROUPS = (("litert",), ("keras", "savedmodel"))  # LiteRT by itself, as where no TensorFlow is installed


class Outputs(NamedTuple):
    """What one format says of the images."""

    margins: np.ndarray
    """float64 (images,)"""
    features: np.ndarray
    """float64 (images, n)"""
    milliseconds: float
    """Median of one image at a time, network alone."""


class FormatLoaders(NamedTuple):
    """Processes that wait for a network in all formats, one for each of `GROUPS`, and where they look for what."""

    folder: Path
    room: Path
    processes: Sequence["subprocess.Popen[str]"]

    def ask(self, levels: np.ndarray) -> dict[str, Outputs]:
        """Return what each format in the folder says of levels uint8 (images, height, width, planes).

        One process is asked after the other, so that none makes another slow. Raises RuntimeError where a format cannot be loaded.
        """
        np.save(self.room / LEVELS, levels)
        said: dict[str, Outputs] = {}
        for process, names in zip(self.processes, GROUPS, strict=True):
            _, errors = process.communicate("begin\n")
            if process.returncode:
                raise RuntimeError(f"the exports in {self.folder} cannot be loaded again: {errors.strip()}")
            with np.load(answers_of(self.room, names)) as found:
                for name in names:
                    margins, features, milliseconds = (found[f"{name} {part}"] for part in Outputs._fields)
                    said[name] = Outputs(margins, features, float(milliseconds))
        return said


@contextmanager
def start_loaders(folder: Path, room: Path) -> Iterator[FormatLoaders]:
    """Start the processes, which load TensorFlow while the formats are still being written to the folder. None outlives the block.

    `room` is an empty folder for what passes between them.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with ExitStack() as stack:
        processes = []
        for names in GROUPS:
            words = [
                sys.executable,
                "-m",
                "tasks.inference.export_check",
                str(folder),
                str(room / LEVELS),
                str(answers_of(room, names)),
                *names,
            ]
            process = subprocess.Popen(
                words, env={**os.environ, "PYTHONPATH": path}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        yield FormatLoaders(folder, room, processes)


def answers_of(room: Path, names: Sequence[str]) -> Path:
    return room / f"{'-'.join(names)}.npz"


def verdicts(said: Outputs, residuals: np.ndarray, appearances: np.ndarray, decision: Decision) -> list[Verdict]:
    """What is decided about each image by what a format says of it; residuals and appearances as of `Evidence`."""
    seen = zip(said.margins.tolist(), said.features, appearances, residuals.tolist(), strict=True)
    return decision.judge([Evidence(*one) for one in seen])


def main() -> None:
    folder, levels, answers = map(Path, sys.argv[1:4])
    names, said = sys.argv[4:], {}
    runtimes.prepare(names)
    if not sys.stdin.readline():  # the other side has ended
        return
    seen = np.load(levels, mmap_mode="r")
    for name in names:
        network = runtimes.load(folder / runtimes.NAMES[name])
        said[f"{name} margins"], said[f"{name} features"] = forward(network, seen)
        said[f"{name} milliseconds"] = np.array(1e3 * latency(network, np.array(seen[:1])))
    np.savez(answers, **said)  # type: ignore[arg-type]  # NumPy types every name as its own option


def latency(network: runtimes.Network, level: np.ndarray) -> float:
    """Median seconds that one image takes."""
    taken = []
    for _ in range(WARM + TIMED):
        began = time.perf_counter()
        network.predict_on_batch(level)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[WARM:])


if __name__ == "__main__":
    main()
