"""Calibration: probabilities that mean what they say, by one temperature for all margins (Guo et al., 2017)."""

import math

import numpy as np

BOUNDS = (0.1, 10.0)  # a network that needs more has learnt nothing, or was shown what it knows by heart
PRIOR = math.log(2) / 2  # standard deviation of a temperature's logarithm: a factor of two is already unlikely


def temperature(margins: np.ndarray, defect: np.ndarray) -> float:
    """The likeliest divisor of margins float (images,), each the logit of defect less that of good; labels bool (images,).

    Where no image is called wrongly the least loss is at 0, and every image would be judged with full certainty; with one
    casting more in validation it would be far from it. So a prior holds the temperature near 1, as the network was trained,
    until many images speak against it. It is above 0: no image is called otherwise than by the network.
    """
    if not len(margins):
        return 1.0
    from scipy.optimize import minimize_scalar  # late: a run in which nothing changed has no use for it

    signed = np.where(defect, margins, -margins)

    def loss(logarithm: float) -> float:
        return float(np.logaddexp(0, -signed / math.exp(logarithm)).sum()) + logarithm**2 / (2 * PRIOR**2)

    low, high = map(math.log, BOUNDS)
    return math.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)


def probability(margins: np.ndarray, temperature: float) -> np.ndarray:
    """The probability of a defect, float64 in the shape of the margins; never exactly 0 or 1 for a finite margin below 700."""
    return np.exp(-np.logaddexp(0, -np.asarray(margins, np.float64) / temperature))
