"""Control charts: which weeks differ from the others by more than chance explains."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEAST_POINTS = 4  # below these the spread between weeks tells nothing
SIGMAS = 3.0  # from the mean to a limit (Shewhart)
ROUNDING = 1e-9  # of a mean: weeks that are all equal lie within their limits
MEAN_RANGE = 1.128  # mean range of two draws from a normal distribution, in standard deviations (d2)


class ControlChart(NamedTuple):
    """Values with their mean and limits, one a week."""

    values: np.ndarray
    """float (weeks,)."""
    mean: float
    lower: np.ndarray
    """float (weeks,), NaN where there are no limits."""
    upper: np.ndarray

    @property
    def outside(self) -> np.ndarray:
        """Return which weeks lie outside their limits, bool (weeks,)."""
        return (self.values < self.lower) | (self.values > self.upper)


def chart_rates(counts: Sequence[int], sizes: Sequence[int]) -> ControlChart:
    """Return the p' chart of weekly shares: limits that allow for the usual change from week to week (Laney, 2002).

    A plain p chart takes every photograph for independent. With thousands a week its limits are so narrow that nearly every week lies
    outside. Laney's limits are wider by the standard deviation of the standardized shares, from their moving ranges. Sizes are above 0.
    """
    number, total = np.asarray(counts, float), np.asarray(sizes, float)
    shares = number / total
    mean = float(number.sum() / total.sum()) if len(total) else 0.0
    within = np.sqrt(mean * (1 - mean) / total)
    if len(shares) < LEAST_POINTS or not within.all():
        return without_limits(shares, mean)
    standardized = (shares - mean) / within
    between = float(np.abs(np.diff(standardized)).mean()) / MEAN_RANGE
    reach = SIGMAS * within * between + ROUNDING * mean
    return ControlChart(shares, mean, np.maximum(mean - reach, 0.0), np.minimum(mean + reach, 1.0))


def chart_means(values: Sequence[float]) -> ControlChart:
    """Return the chart of individual values: limits from their moving ranges."""
    points = np.asarray(values, float)
    mean = float(points.mean()) if len(points) else 0.0
    if len(points) < LEAST_POINTS:
        return without_limits(points, mean)
    reach = SIGMAS * float(np.abs(np.diff(points)).mean()) / MEAN_RANGE + ROUNDING * abs(mean)
    return ControlChart(points, mean, np.full(len(points), mean - reach), np.full(len(points), mean + reach))


def without_limits(values: np.ndarray, mean: float) -> ControlChart:
    """Return a chart on which no week lies outside."""
    missing = np.full(len(values), np.nan)
    return ControlChart(values, mean, missing, missing)
