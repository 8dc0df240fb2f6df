"""Guarantee: the limit below which parts pass, so that with a confidence no more than a share of all defective parts passes.

Learn then test (Angelopoulos et al., 2021) with the part as the unit: each limit is tested by the exact binomial test, from the strictest
on, and the first that fails ends the sequence. A higher limit never passes fewer parts, so the last limit that holds has a closed form.
"""

from bisect import bisect_left

import numpy as np

from tasks.evaluation.intervals import parts_needed, upper_bound
from tasks.records.results import Guarantee


def pass_limit(
    chance: np.ndarray,
    defect: np.ndarray,
    passable: np.ndarray,
    parts: np.ndarray,
    share: float,
    confidence: float,
    *,
    by_part: bool,
) -> tuple[float, Guarantee]:
    """Return the limit, of which only what lies strictly below passes, and the promise that it keeps.

    The limit lies halfway to the next lower probability: rounding, as in another format of the network, then moves no image across it.

    Args:
        chance: float (images,) probability of a defect, by a network that did not train on the part.
        defect: bool (images,), the labels. Of a part with both labels only the photographs of the defect count.
        passable: bool (images,), whether the probability alone decides; all other images go to a person, however low it is.
        parts: (images,) name or number of the part that each image shows.
        share: Of the defective parts, above 0.
        confidence: With which no larger share passes.
        by_part: Whether it is known which images show one part.
    """
    passable = passable & ~np.isnan(chance)
    scores = part_scores(np.where(passable, chance, np.inf)[defect], parts[defect])
    may_pass = most_passing(len(scores), share, confidence)
    limit = 0.0 if may_pass is None else float(scores[may_pass])
    if np.isfinite(limit):
        limit = (limit + float(np.max(chance[passable & (chance < limit)], initial=0.0))) / 2
    needed = parts_needed(0, share, confidence)
    assert needed, "parts_needed has an answer for every share and confidence that the settings allow"
    return limit, Guarantee(
        share=share,
        confidence=confidence,
        parts=len(scores),
        may_pass=may_pass or 0,
        missing=max(0, needed - len(scores)),
        by_part=by_part,
    )


def part_scores(chance: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the least probability of each part, in rising order: the part passes where the limit is above it. Columns are (images,)."""
    names, member = np.unique(parts, return_inverse=True)
    scores = np.full(len(names), np.inf)
    np.minimum.at(scores, member, chance)
    return np.sort(scores)


def most_passing(parts: int, share: float, confidence: float) -> int | None:
    """Return how many of these defective parts may pass, so that no larger share than this of all passes; None: not even none."""
    first_too_many = bisect_left(
        range(parts + 1), True, key=lambda passing: upper_bound(passing, parts, confidence) > share
    )
    return first_too_many - 1 if first_too_many else None
