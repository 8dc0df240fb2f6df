"""Costs: which decision has the least expected cost, for a probability of a defect (Chow's rule, 1970)."""

import numpy as np

from tasks.records.results import Costs
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings


def threshold(costs: EvaluationSettings) -> float:
    """Return the probability of a defect at which passing and rejecting have the same expected cost."""
    return costs.false_reject_cost / (costs.escape_cost + costs.false_reject_cost)


def review_band(costs: EvaluationSettings, look: float | None = None) -> tuple[float, float]:
    """Return the probabilities between which a look costs less than passing and than rejecting are expected to cost.

    `look` is what a look costs; None: as the settings say.
    """
    look = costs.review_cost if look is None else look
    limit = threshold(costs)  # a dearer look pays for nothing; the band is empty there
    return min(look / costs.escape_cost, limit), max(1 - look / costs.false_reject_cost, limit)


def scarce_look(chances: np.ndarray, others: int, share: float, costs: EvaluationSettings) -> float:
    """Return what a look costs where people can look at no more than a `share` of the images: at least what the settings say.

    A look is worth what the decision without it is expected to cost. The images for which it is worth most get one.

    Args:
        chances: float (images,), probabilities of a defect of images that the probability alone decides.
        others: Number of images more, which go to a person whatever their probability.
        share: Of all these images.
        costs: Of the decisions.
    """
    worth = np.sort(np.minimum(chances * costs.escape_cost, (1 - chances) * costs.false_reject_cost))[::-1]
    looks = max(0, int(share * (len(worth) + others)) - others)
    if looks >= len(worth):
        return costs.review_cost
    dearest = worth[looks - 1] if looks else 2 * worth[0]
    return max(costs.review_cost, float((worth[looks] + dearest) / 2))  # halfway, so that rounding moves no image


def cost(prediction: Prediction, classes: Classes, costs: EvaluationSettings) -> float:
    """Return the cost of the decision about an image."""
    defect = prediction.label == classes.defect
    spent = {
        "review": costs.review_cost,
        "pass": costs.escape_cost if defect else 0.0,
        "reject": 0.0 if defect else costs.false_reject_cost,
    }
    return spent[prediction.decision]


def mean_costs(
    costs: EvaluationSettings, *, defects: int, good: int, escapes: int, rejects: int, reviews: int
) -> Costs | None:
    """Return the mean cost of an image, as it was decided and as three rules would decide that look at no image.

    None where there are no images.
    """
    images = defects + good
    if not images:
        return None
    spent = escapes * costs.escape_cost + rejects * costs.false_reject_cost + reviews * costs.review_cost
    return Costs(
        decided=spent / images,
        passing_all=defects * costs.escape_cost / images,
        rejecting_all=good * costs.false_reject_cost / images,
        reviewing_all=costs.review_cost,
    )
