"""Calibration: turn margins into probabilities that mean what they say, by one temperature for all margins (Guo et al., 2017)."""

import math
from collections.abc import Callable, Sequence

import numpy as np

BOUNDS = (0.1, 10.0)  # a network that needs more has learned nothing, or was shown what it knows by heart
USUAL = 0.6  # the temperature without evidence: where some labels are wrong, a network learns to be less sure than it is right
WRONG_LABELS = 0.01  # share that the fit allows for where parts are few: one wrong part among them would decide
STEP, NINETY = 0.05, 1.645  # of a logarithm, for its curvature; deviations about the mean that hold 90 %
PRIOR = math.log(2) / 2  # standard deviation of a temperature's logarithm: a factor of two is already unlikely


def temperature(margins: np.ndarray, defect: np.ndarray, parts: Sequence[str] | None = None) -> float:
    """Return the divisor of the margins that makes the labels most likely; 0.6 without images.

    Where the network calls every image correctly, the loss is least at 0, and every image would be judged with full certainty.
    One more part in validation could move that value far away, the more so as all its images say the same. So a prior holds the
    temperature near 0.6 until many parts speak against it. It is above 0, so it changes no image's likelier class.

    Args:
        margins: float (images,), each the logit of defect less that of good.
        defect: bool (images,), the labels.
        parts: Of each image, which part it shows, where parts are few. Then each part counts once, and a few labels may be wrong.
            None: parts are many, and each image counts as it is labeled.
    """
    if not len(margins):
        return USUAL
    from scipy.optimize import minimize_scalar  # late: a run in which nothing changed has no use for it

    loss = make_loss(margins, defect, parts)
    bounds = tuple(map(math.log, BOUNDS))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


def temperature_interval(
    fitted: float, margins: np.ndarray, defect: np.ndarray, parts: Sequence[str] | None = None
) -> tuple[float, float]:
    """Return the temperatures between which the right one lies with 90 % probability, given these images and the prior.

    The logarithm of the temperature is taken as normal about the `fitted` one (Laplace). The other arguments are as in `temperature`.
    """
    loss, middle = make_loss(margins, defect, parts), math.log(fitted)
    curvature = (loss(middle + STEP) - 2 * loss(middle) + loss(middle - STEP)) / STEP**2
    reach = NINETY / math.sqrt(max(curvature, 1 / PRIOR**2))
    return fitted * math.exp(-reach), fitted * math.exp(reach)


def make_loss(margins: np.ndarray, defect: np.ndarray, parts: Sequence[str] | None) -> Callable[[float], float]:
    """Return the function of a temperature's logarithm that the right one makes least; the arguments are as in `temperature`."""
    signed = np.where(defect, margins, -margins)
    weights, wrong = np.ones(len(margins)), 0.0
    if parts is not None:
        _, part, images = np.unique(parts, return_inverse=True, return_counts=True)
        weights, wrong = 1 / images[part], WRONG_LABELS

    def loss(logarithm: float) -> float:
        likelihood = -np.logaddexp(0, -signed / math.exp(logarithm))  # its logarithm, of each label
        if wrong:
            likelihood = np.logaddexp(math.log1p(-2 * wrong) + likelihood, math.log(wrong))
        return -float((weights * likelihood).sum()) + (logarithm - math.log(USUAL)) ** 2 / (2 * PRIOR**2)

    return loss


def probability(margins: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probability of a defect, float64 in the shape of the margins.

    Rounding makes it exactly 1 where margin / temperature is above about 37, and exactly 0 below about -745.
    """
    return np.exp(-np.logaddexp(0, -np.asarray(margins, np.float64) / temperature))
