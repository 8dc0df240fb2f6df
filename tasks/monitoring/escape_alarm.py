"""Escape alarm: notices when more passed parts are defective than is accepted, however often somebody looks.

It bets against "the next checked part is defective with a chance of at most the accepted share, whatever was checked before". While that
is true, no bet gains on average. So the capital, 1 at first, ever reaches 1 / `ALPHA` with a chance of at most `ALPHA` (Ville, 1939; see
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024). The capital is spread over bets on
several larger shares, and over the times at which they begin: a good past, in which a bet loses, must not hide a later change.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ALPHA = 0.05  # chance of a false alarm over the life of a version
TIMES_WORSE = (2, 4, 8)  # shares of defective parts on which to bet, as multiples of the accepted one
AT_ONCE = 0.5  # share of the capital that bets from the first part on
PATIENCE = 500  # checked parts after which half of the rest is in use
MOST = 1e100  # capital; more is given away, so that no number overflows


class AlarmState(NamedTuple):
    """How the bet stands."""

    checked: int
    """Parts so far."""
    escapes: int
    """Defective ones among them."""
    evidence: float
    """The capital. At 1 / alpha the alarm goes off."""
    alarm_after: int | None
    """Parts after which the alarm went off; None where it did not. It stays, however little the evidence is later."""

    @property
    def is_suspect(self) -> bool:
        """Return whether the alarm went off."""
        return self.alarm_after is not None


def watch_escapes(escapes: Sequence[bool], accepted: float, alpha: float = ALPHA) -> AlarmState:
    """Bet on each checked part in the order of the checks. `escapes` says which passed parts were defective.

    Args:
        escapes: One value a part.
        accepted: Share of the passed parts that may be defective, above 0 and below 1. It must not follow from these checks.
        alpha: Chance of a false alarm, over all parts that will ever be checked.
    """
    capital = evidence(np.array(escapes, bool), accepted)
    reached = np.flatnonzero(capital >= 1 / alpha)
    return AlarmState(
        len(escapes),
        int(np.sum(escapes)),
        float(capital[-1]) if len(escapes) else 1.0,
        int(reached[0]) + 1 if len(reached) else None,
    )


def evidence(defective: np.ndarray, accepted: float) -> np.ndarray:
    """Return the capital after each checked part, float (..., parts).

    A bet on a share multiplies its capital by the likelihood of the part under that share over that under the accepted one. Under the
    accepted share, or any smaller one, the mean of this factor is at most 1.

    Args:
        defective: bool (..., parts) in the order of checking; several sequences may stand above each other.
        accepted: Share of the passed parts that may be defective, above 0 and below 1.
    """
    shares = np.minimum(np.multiply(TIMES_WORSE, accepted), (1 + accepted) / 2)
    factors = np.stack([(1 - shares) / (1 - accepted), shares / accepted])  # of a good part, of a defective one
    capital = np.full((*defective.shape[:-1], len(shares)), AT_ONCE / len(shares))
    reserve, history = 1 - AT_ONCE, np.empty(defective.shape)
    for number in range(defective.shape[-1]):
        stake = reserve / (PATIENCE + number + 1)
        reserve -= stake
        capital = np.minimum((capital + stake / len(shares)) * factors[defective[..., number].astype(int)], MOST)
        history[..., number] = capital.sum(axis=-1) + reserve
    return history
