"""How well is the temperature chosen on a few parts, and on all parts, when photographs of one part are alike? Simulated.

python benchmarks/temperature.py --json temperature.json

True log odds are normal, those of good parts the mirror of those of defective ones, and correlated within a part. A network says them times
a factor, which the temperature should undo. The cost of a temperature is the mean log loss that it adds on new parts.
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.coverage import draw_sizes
from benchmarks.preparation import write_figures
from tasks.evaluation.metrics import log_loss
from tasks.inference.calibration import probability, temperature

PARTS, CORRELATIONS, FACTORS = (8, 16, 23, 60, 135), (0.3, 0.95), (0.5, 1.0, 2.0)
MANY = 60  # parts, from which on each photograph counts, as out of fold; with fewer, each part counts once, as in validation
SEPARATION = 3.0  # true log odds: their mean over defective parts is half of its square, their deviation this
POPULATION = 200_000  # photographs of new parts


def main() -> None:
    """Simulate each cell, print what the temperature of so many parts costs, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=200, help="simulated validations a cell")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    print(
        f"{'parts':>5}{'correlation':>13}{'factor':>8}{'log of temperature, deviation':>31}{'added log loss, mean and worst 5 %':>36}"
    )
    figures = []
    for parts, correlation, factor in itertools.product(PARTS, CORRELATIONS, FACTORS):
        deviation, mean, worst = simulate(parts, correlation, factor, options.draws)
        cell = {"parts": parts, "correlation": correlation, "factor": factor}
        figures.append({**cell, "deviation": deviation, "added_log_loss": mean, "worst_added_log_loss": worst})
        print(f"{parts:5}{correlation:13}{factor:8}{deviation:31.3f}{mean:26.4f}{worst:10.4f}")
    write_figures({"draws": options.draws, "cells": figures}, options.json)


def simulate(parts: int, correlation: float, factor: float, draws: int) -> tuple[float, float, float]:
    """Return the deviation of the temperature's logarithm from the right one, and what it adds to the log loss: mean and 95 % quantile."""
    generator = np.random.default_rng([parts, round(100 * correlation), round(100 * factor)])
    margins, defect, _ = draw_margins(generator, np.ones(POPULATION, int), correlation)
    best = float(np.mean(log_loss(defect, probability(margins, 1.0))))
    errors, added = [], []
    for _ in range(draws):
        seen, labels, member = draw_margins(generator, draw_sizes(generator, parts), correlation)
        fitted = temperature(seen * factor, labels, None if parts >= MANY else [f"{number}" for number in member])
        errors.append(np.log(fitted / factor))
        added.append(float(np.mean(log_loss(defect, probability(margins * factor, fitted)))) - best)
    return float(np.sqrt(np.mean(np.square(errors)))), float(np.mean(added)), float(np.quantile(added, 0.95))


def draw_margins(
    generator: np.random.Generator, sizes: np.ndarray, correlation: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the true log odds, the label and the part of each photograph, (photographs,) each; `sizes` has those of each part."""
    member = np.repeat(np.arange(len(sizes)), sizes)
    defect = (np.arange(len(sizes)) % 2 == 0)[member]  # as many defective parts as good ones
    common, own = generator.normal(size=len(sizes))[member], generator.normal(size=len(member))
    spread = SEPARATION * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    return np.where(defect, 1, -1) * SEPARATION**2 / 2 + spread, defect, member


if __name__ == "__main__":
    main()
