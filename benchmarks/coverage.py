"""How often does an interval hold the true rate? Simulated, where few parts have many photographs each.

python benchmarks/coverage.py --json coverage.json

Three intervals stand side by side: recast's own, a bootstrap over parts, and Clopper and Pearson's over images. The rate of a part is
drawn from a beta distribution: `correlation` is how much alike two photographs of one part are judged. The sizes of parts spread as
those of the published castings do (1 to 160 photographs, 35 in the middle), or are those of a run: `--splits RUN/splits.csv`.
"""

import argparse
import itertools
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
from scipy import stats

from benchmarks.preparation import write_figures
from tasks.evaluation import bootstrap
from tasks.evaluation.intervals import rate_bound, rate_interval
from tasks.records.rows import Row
from tasks.settings.settings import EvaluationSettings
from tasks.storage.tables import read_table

PARTS, RATES, CORRELATIONS = (14, 30, 108), (0.005, 0.02, 0.05, 0.2), (0.3, 0.6, 0.95)
NAMES = ("ours", "ours, one-sided", "bootstrap", "images")


def main() -> None:
    """Simulate each cell, print the coverage of the three intervals, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=1_000, help="simulated tests a cell")
    parser.add_argument("--confidence", type=float, default=0.95, help="nominal coverage")
    parser.add_argument("--splits", type=Path, help="splits.csv of a run, for the sizes of its parts; else drawn sizes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    pool = list(Counter(row.group for row in read_table(options.splits, Row)).values()) if options.splits else None
    print("parts   rate  correlation  " + "  ".join(f"{name:>15}" for name in NAMES))
    figures = []
    for number, rate, correlation in itertools.product(PARTS, RATES, CORRELATIONS):
        covered = simulate(number, rate, correlation, options.draws, options.confidence, pool)
        figures.append(
            {"parts": number, "rate": rate, "correlation": correlation, **dict(zip(NAMES, covered, strict=True))}
        )
        print(f"{number:5} {rate:6.1%} {correlation:12} " + "  ".join(f"{share:>15.3f}" for share in covered))
    print("least " + " " * 20 + "  ".join(f"{min(cell[name] for cell in figures):>15.3f}" for name in NAMES))
    write_figures({"draws": options.draws, "confidence": options.confidence, "cells": figures}, options.json)


def simulate(
    number: int, rate: float, correlation: float, draws: int, confidence: float, pool: list[int] | None
) -> list[float]:
    """Return the share of simulated tests in which each of the intervals of `NAMES` holds the true rate."""
    generator = np.random.default_rng([number, round(rate * 1e4), round(correlation * 100)])
    settings = EvaluationSettings(confidence=confidence, resamples=300)
    spread = (1 - correlation) / correlation
    covered = np.zeros(len(NAMES))
    for _ in range(draws):
        images = generator.choice(pool, number) if pool else draw_sizes(generator, number)
        errors = generator.binomial(images, generator.beta(rate * spread, (1 - rate) * spread, number))
        ours, bound = rate_interval(errors, images, confidence), rate_bound(errors, images, confidence)
        resampled = bootstrap.mean_interval(bootstrap.draw_castings(number, settings), errors, images, confidence)
        low, high = stats.binomtest(int(errors.sum()), int(images.sum())).proportion_ci(confidence, method="exact")
        assert ours and bound is not None, "there are parts"
        by_bootstrap = (
            resampled is not None and resampled.low <= rate <= resampled.high
        )  # None: all draws are one point
        covered += (ours.low <= rate <= ours.high, rate <= bound, by_bootstrap, low <= rate <= high)
    return (covered / draws).tolist()


def draw_sizes(generator: np.random.Generator, number: int) -> np.ndarray:
    """Return the number of photographs of each part: log-normal, as far apart as those of the published castings."""
    return np.clip(np.round(generator.lognormal(np.log(28), 0.9, number)), 1, 160).astype(int)


if __name__ == "__main__":
    main()
