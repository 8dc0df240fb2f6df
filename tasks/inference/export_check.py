"""Export check: load a network's formats in clean processes, and collect their answers to compare with those that were judged.

python -m tasks.inference.export_check FOLDER LEVELS.npy ANSWERS.npz FORMAT ...

Such a process imports what its formats need, then waits for a line on its standard input before it answers.
"""

import os
import statistics
import subprocess
import sys
import timeit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.inference import runtimes
from tasks.inference.decision import DecisionRule, Evidence, ImageDecision
from tasks.inference.forward import forward
from tasks.storage.code_version import ROOT

LEVELS = "levels.npy"
WARM, TIMED = 3, 20  # calls
GROUPS = (("litert",), ("keras", "savedmodel"))  # LiteRT by itself, as where no TensorFlow is installed


class Outputs(NamedTuple):
    """The outputs of one format for the images."""

    margins: np.ndarray
    """float64 (images,)"""
    features: np.ndarray
    """float64 (images, n)"""
    milliseconds: float
    """Median of one image at a time, network alone."""


class FormatLoaders(NamedTuple):
    """Processes that wait to load a network's formats, one process for each of `GROUPS`, and the folders that they use."""

    folder: Path
    """Holds the formats."""
    exchange: Path
    """Holds the files that pass between the processes."""
    processes: Sequence["subprocess.Popen[str]"]

    def ask(self, levels: np.ndarray) -> dict[str, Outputs]:
        """Return the outputs of each format in the folder for levels uint8 (images, height, width, planes).

        One process works after the other, so that none slows another down. Raises RuntimeError where a process fails.
        """
        np.save(self.exchange / LEVELS, levels)
        outputs: dict[str, Outputs] = {}
        for process, names in zip(self.processes, GROUPS, strict=True):
            _, errors = process.communicate("begin\n")
            if process.returncode:
                raise RuntimeError(f"the exports in {self.folder} cannot be loaded again: {errors.strip()}")
            with np.load(answers_path(self.exchange, names)) as answers:
                for name in names:
                    margins, features, milliseconds = (answers[f"{name} {part}"] for part in Outputs._fields)
                    outputs[name] = Outputs(margins, features, float(milliseconds))
        return outputs


@contextmanager
def start_loaders(folder: Path, exchange: Path) -> Iterator[FormatLoaders]:
    """Start the processes, which import their runtimes while the formats are still being written to the folder.

    No process outlives the block. `exchange` is an empty folder for the files that pass between the processes.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with ExitStack() as stack:
        processes = []
        for names in GROUPS:
            files = (folder, exchange / LEVELS, answers_path(exchange, names))
            process = stack.enter_context(subprocess.Popen(
                [sys.executable, "-m", "tasks.inference.export_check", *map(str, files), *names],
                env={**os.environ, "PYTHONPATH": path}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            ))  # fmt: skip
            stack.callback(process.kill)
            processes.append(process)
        yield FormatLoaders(folder, exchange, processes)


def answers_path(exchange: Path, names: Sequence[str]) -> Path:
    """Return the file to which the process of these formats writes its answers."""
    return exchange / f"{'-'.join(names)}.npz"


def decisions(
    outputs: Outputs, residuals: np.ndarray, appearances: np.ndarray, rule: DecisionRule
) -> list[ImageDecision]:
    """Decide about each image by the outputs of a format; residuals (images,) and appearances (images, 11) as in `Evidence`."""
    columns = zip(outputs.margins.tolist(), outputs.features, appearances, residuals.tolist(), strict=True)
    return rule.judge([Evidence(*facts) for facts in columns])


def main() -> None:
    """Answer the levels in each format that the command line names, and write the answers to its file."""
    folder, levels, answers = map(Path, sys.argv[1:4])
    names, arrays = sys.argv[4:], {}
    runtimes.prepare(names)
    if not sys.stdin.readline():  # the process that started this one has ended
        return
    images = np.load(levels, mmap_mode="r")
    for name in names:
        network = runtimes.load(folder / runtimes.NAMES[name])
        arrays[f"{name} margins"], arrays[f"{name} features"] = forward(network, images)
        arrays[f"{name} milliseconds"] = np.array(1e3 * latency(network, np.array(images[:1])))
    np.savez(answers, **arrays)  # type: ignore[arg-type]  # NumPy types every name as its own option


def latency(network: runtimes.Network, level: np.ndarray) -> float:
    """Return the median number of seconds that the network takes for one image, `level` (1, height, width, planes)."""
    durations = timeit.repeat(lambda: network.predict_on_batch(level), number=1, repeat=WARM + TIMED)
    return statistics.median(durations[WARM:])


if __name__ == "__main__":
    main()
