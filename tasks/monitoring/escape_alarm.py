"""Escape alarm: notices when more passed parts are defective than is accepted, however often somebody looks.

A bet against "at most the accepted share is defective" starts with one unit. While that is true, the capital reaches 1 / alpha with a
probability of at most alpha, over the whole life of a version (Ville's inequality; Waudby-Smith and Ramdas, Estimating means of bounded
random variables by betting, 2024). The bets are likelihood ratios against larger shares. A part of the capital begins to bet with each
block of checked parts, so that good months before a change do not eat what notices it (Shin, Ramdas and Rinaldo, E-detectors, 2023).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

FACTORS = np.array([1.5, 2.0, 3.0, 5.0, 10.0])  # larger shares that are bet on, as multiples of the accepted one
MOST_SHARE = 0.9  # of a bet
BLOCK = 25  # parts after which another share of the capital begins to bet
MOST_LOG = 700.0  # of a capital that is shown
ALPHA = 0.05  # false alarms over the life of a version


class AlarmState(NamedTuple):
    """How the bet stands."""

    checked: int
    """Parts so far."""
    escapes: int
    evidence: float
    """The capital. At 1 / alpha the alarm goes off."""
    alarm_after: int | None
    """Parts after which the alarm went off; None where it did not."""

    @property
    def is_suspect(self) -> bool:
        """Return whether the alarm went off."""
        return self.alarm_after is not None


def watch_escapes(escapes: Iterable[bool], accepted: float, alpha: float = ALPHA) -> AlarmState:
    """Bet on each checked part in the order of the checks. `escapes` says which passed parts were defective.

    Args:
        escapes: One value a part.
        accepted: Share of the passed parts that may be defective, above 0 and below 0.9.
        alpha: Probability of a false alarm, over all parts that will ever be checked.
    """
    hits = np.fromiter(escapes, bool)
    capital = log_capital(hits, accepted)
    reached = np.flatnonzero(capital >= -np.log(alpha))
    return AlarmState(
        len(hits),
        int(hits.sum()),
        float(np.exp(min(capital[-1], MOST_LOG))) if len(hits) else 1.0,
        int(reached[0]) + 1 if len(reached) else None,
    )


def log_capital(hits: np.ndarray, accepted: float) -> np.ndarray:
    """Return the logarithm of the capital after each part: float (parts,), from bool (parts,).

    Before each block of parts, block n, a share of 1 / (n (n + 1)) of the first unit begins to bet, equally on each larger share.
    """
    if not len(hits):
        return np.empty(0)
    shares = np.minimum(FACTORS * accepted, MOST_SHARE)
    gains = np.where(hits[:, None], np.log(shares / accepted), np.log((1 - shares) / (1 - accepted)))
    sums = gains.cumsum(axis=0)
    number = np.arange(1, (len(hits) - 1) // BLOCK + 2)[:, None]  # of each block
    before = np.concatenate([np.zeros((1, len(shares))), sums[BLOCK - 1 :: BLOCK]])[: len(number)]
    begun = np.logaddexp.accumulate(-np.log(number * (number + 1.0)) - before, axis=0)
    block = np.arange(len(hits)) // BLOCK
    bets = np.logaddexp.reduce(sums + begun[block], axis=1) - np.log(len(shares))
    return np.logaddexp(bets, -np.log(block + 2.0))
