"""How often is the guarantee broken, and how many good parts still pass? Simulated, where the true share of passed parts is known.

python benchmarks/guarantee.py --json guarantee.json

A margin is drawn from a normal distribution, that of good parts `SEPARATION` below that of defective ones. `correlation` is that of two
photographs of one part. The guarantee by part stands beside one that takes each photograph as a part of its own: what that promises is
asked about photographs. The sizes of parts spread as in `coverage.py`; `--one` gives each part one photograph.
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
from scipy import stats

from benchmarks.coverage import draw_sizes
from benchmarks.preparation import write_figures
from tasks.evaluation.guarantee import pass_limit
from tasks.inference.calibration import probability

PARTS, CORRELATIONS = (14, 59, 73, 108, 300), (0.3, 0.6, 0.95)
GOOD_PARTS = 50  # in the calibration; only how near a limit is to the next lower probability depends on them
POPULATION = 400_000  # parts from which the true share is counted
SEPARATION = 3.64  # standard deviations: an AUC of .995, that of `ring` on castings that it never saw
NAMES = ("broken", "broken, by photograph", "good passed", "good passed, by photograph", "may pass")


def main() -> None:
    """Simulate each cell, print how often each promise is broken, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=10_000, help="simulated calibrations a cell")
    parser.add_argument("--share", type=float, default=0.05, help="of the defective parts, that passes at most")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--one", action="store_true", help="one photograph a part")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    print("parts  correlation  " + "  ".join(f"{name:>26}" for name in NAMES))
    figures = []
    for parts, correlation in itertools.product(PARTS, CORRELATIONS):
        cell = simulate(parts, correlation, options.draws, options.share, options.confidence, options.one)
        figures.append({"parts": parts, "correlation": correlation, **dict(zip(NAMES, cell, strict=True))})
        print(f"{parts:5} {correlation:12}  " + "  ".join(f"{figure:>26.3f}" for figure in cell))
    most = max(cell["broken"] for cell in figures)
    print(f"broken in at most {most:.1%} of the draws of a cell")
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    write_figures({**settings, "cells": figures}, options.json)


def simulate(parts: int, correlation: float, draws: int, share: float, confidence: float, single: bool) -> list[float]:
    """Return the shares of draws in which each promise is broken, the shares of good photographs that pass, and how many parts may pass."""
    generator = np.random.default_rng([parts, round(correlation * 100)])
    least = np.sort(draw_least(generator, correlation, single))  # of each part of the population
    figures = np.zeros(len(NAMES))
    for _ in range(draws):
        chance, defect, member = draw_photographs(generator, parts, correlation, single)
        clear = np.ones(len(chance), bool)
        by_part, promise = pass_limit(chance, defect, clear, member, share, confidence, by_part=True)
        by_photograph, _ = pass_limit(chance, defect, clear, np.arange(len(chance)), share, confidence, by_part=False)
        figures += np.array(
            [
                np.searchsorted(least, by_part) / len(least) > share,
                share_below(by_photograph, 0.0) > share,
                share_below(by_part, -SEPARATION),
                share_below(by_photograph, -SEPARATION),
                promise.may_pass,
            ]
        )
    return (figures / draws).tolist()


def draw_photographs(
    generator: np.random.Generator, parts: int, correlation: float, single: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability of a defect, the label and the part of each photograph of a calibration, (photographs,) each."""
    number = parts + GOOD_PARTS
    member = np.repeat(np.arange(number), np.ones(number, int) if single else draw_sizes(generator, number))
    common, own = generator.normal(size=number)[member], generator.normal(size=len(member))
    defect = member < parts
    margins = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own - SEPARATION * ~defect
    return probability(margins, 1.0), defect, member


def draw_least(generator: np.random.Generator, correlation: float, single: bool) -> np.ndarray:
    """Return the least probability of a defect over the photographs of each defective part of a large population."""
    images = np.ones(POPULATION) if single else draw_sizes(generator, POPULATION)
    own = stats.norm.isf(generator.random(POPULATION) ** (1 / images))  # the least of so many draws
    return probability(np.sqrt(correlation) * generator.normal(size=POPULATION) + np.sqrt(1 - correlation) * own, 1.0)


def share_below(limit: float, mean: float) -> float:
    """Return the true share of photographs whose probability of a defect lies below a limit, for margins around this mean."""
    return float(stats.norm.cdf(np.log(limit / (1 - limit)), loc=mean)) if limit else 0.0


if __name__ == "__main__":
    main()
