"""Parity: whether a network in its other formats, loaded in a clean process, answers as it did when it was judged.

python -m tasks.models.parity FOLDER LEVELS.npy ANSWERS.npz
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.models import formats
from tasks.models.decisions import Decision, Evidence, Verdict
from tasks.models.inference import look
from tasks.runs.code import ROOT

WARM, TIMED = 3, 20  # calls


class Said(NamedTuple):
    """What one format says of the images."""

    margins: np.ndarray
    """float64 (images,)"""
    features: np.ndarray
    """float64 (images, n)"""
    milliseconds: float
    """Median of one image at a time, network alone."""


def ask(folder: Path, levels: np.ndarray) -> dict[str, Said]:
    """What each format in the folder says of levels uint8 (images, height, width, planes), by a process that trained nothing."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as room:
        asked, answered = Path(room, "levels.npy"), Path(room, "answers.npz")
        np.save(asked, levels)
        words = [sys.executable, "-m", "tasks.models.parity", str(folder), str(asked), str(answered)]
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the exports in {folder} cannot be loaded again: {done.stderr.strip()}")
        with np.load(answered) as found:
            return {
                name: Said(found[f"{name} margins"], found[f"{name} features"], float(found[f"{name} milliseconds"]))
                for name in formats.NAMES
            }


def verdicts(said: Said, residuals: np.ndarray, appearances: np.ndarray, decision: Decision) -> list[Verdict]:
    """What is decided about each image by what a format says of it; residuals and appearances as of `Evidence`."""
    seen = zip(said.margins.tolist(), said.features, appearances, residuals.tolist(), strict=True)
    return decision.judge([Evidence(*one) for one in seen])


def main() -> None:
    folder, asked, answered = map(Path, sys.argv[1:])
    levels, answers = np.load(asked, mmap_mode="r"), {}
    for name, file in formats.NAMES.items():  # LiteRT first, while TensorFlow is not loaded
        network = formats.load(folder / file)
        answers[f"{name} margins"], answers[f"{name} features"] = look(network, levels)
        answers[f"{name} milliseconds"] = np.array(1e3 * latency(network, np.array(levels[:1])))
    np.savez(answered, **answers)  # type: ignore[arg-type]  # NumPy types every name as its own option


def latency(network: formats.Network, level: np.ndarray) -> float:
    """Median seconds that one image takes."""
    taken = []
    for _ in range(WARM + TIMED):
        began = time.perf_counter()
        network.predict_on_batch(level)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[WARM:])


if __name__ == "__main__":
    main()
