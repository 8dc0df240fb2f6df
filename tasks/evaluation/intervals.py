"""Intervals: what counts over few parts show about a rate.

Photographs of one part are right or wrong together, so the part is the unit: Clopper and Pearson's exact binomial interval (1934), over
an effective number of parts in place of the number of images. `benchmarks/coverage.py` shows how often it holds the true rate.
"""

import math
from bisect import bisect_left

import numpy as np

from tasks.records.results import Interval, Rate

MOST = 10**7  # parts: more are never asked for


def effective_parts(errors: np.ndarray, images: np.ndarray) -> float:
    """Return how many parts of equal size tell as much as these, after Kish (1965).

    Parts without any error, or without anything else, say as much as parts of equal size: then it is their number.

    Args:
        errors: (parts,) number of images of each part that are wrong.
        images: (parts,) number of images of each part, above 0.
    """
    wrong, total = errors.sum(), images.sum()
    return float(len(images) if wrong in (0, total) else total**2 / np.sum(images.astype(float) ** 2))


def rate_interval(errors: np.ndarray, images: np.ndarray, confidence: float) -> Interval | None:
    """Return the two-sided interval of the share of wrong images, from errors and images of each part; None without a part."""
    if not len(images):
        return None
    parts = effective_parts(errors, images)
    failed, tail = parts * errors.sum() / images.sum(), (1 - confidence) / 2
    # The lower bound of a share is what is missing to 1 from the upper bound of the rest.
    return Interval(low=1 - upper_bound(parts - failed, parts, 1 - tail), high=upper_bound(failed, parts, 1 - tail))


def rate_bound(errors: np.ndarray, images: np.ndarray, confidence: float) -> float | None:
    """Return the one-sided bound: with this confidence the share of wrong images is no larger. None without a part."""
    if not len(images):
        return None
    parts = effective_parts(errors, images)
    return upper_bound(parts * errors.sum() / images.sum(), parts, confidence)


def bound_of(rate: Rate, confidence: float) -> float:
    """Return the one-sided bound of a rate at this confidence; 1 where no part was judged."""
    if rate.bound is not None and confidence == rate.confidence:
        return rate.bound
    return upper_bound(rate.failed_parts, rate.effective_parts, confidence)


def more_parts(rate: Rate, limit: float, confidence: float) -> int | None:
    """Return how many parts more, of which none fails, would show the limit; None where no number of parts can."""
    needed = parts_needed(rate.failed_parts, limit, confidence)
    return None if needed is None else max(0, math.ceil(needed - rate.effective_parts))


def upper_bound(failed: float, parts: float, confidence: float) -> float:
    """Return the largest rate at which so few failures among so many parts are not rarer than 1 - `confidence`.

    Failures and parts may be fractions, as those of `effective_parts` are.
    """
    if failed >= parts:
        return 1.0
    if not failed:
        return 1 - (1 - confidence) ** (1 / parts)  # the same, without SciPy
    from scipy import special  # late: SciPy takes time, and few runs in which nothing changed have a use for it

    return float(special.betaincinv(failed + 1, parts - failed, confidence))


def parts_needed(failed: float, limit: float, confidence: float) -> int | None:
    """Return how many parts must be judged, without a failure more, so that the bound is no larger than `limit`.

    Return None where no number of parts can show it: a limit of 0, or more than `MOST`.
    """
    fewest = math.ceil(failed)
    number = fewest + bisect_left(
        range(fewest, MOST), True, key=lambda parts: upper_bound(failed, parts, confidence) <= limit
    )
    return number if number < MOST else None
