"""Costs: which decision has the least expected cost, for a probability of a defect (Chow's rule, 1970)."""

import numpy as np

from tasks.records.results import Costs
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings


def threshold(costs: EvaluationSettings) -> float:
    """Return the probability of a defect at which passing and rejecting have the same expected cost."""
    return costs.false_reject_cost / (costs.escape_cost + costs.false_reject_cost)


def review_band(costs: EvaluationSettings, look_price: float | None = None) -> tuple[float, float]:
    """Return the probabilities between which a look costs less than passing and than rejecting are expected to cost.

    `look_price` is what a look counts as; None: as the settings say.
    """
    price = costs.review_cost if look_price is None else look_price
    limit = threshold(costs)  # the highest price that any image is worth empties the band
    return min(price / costs.escape_cost, limit), max(1 - price / costs.false_reject_cost, limit)


def price_of_looks(chances: np.ndarray, always_reviewed: int, share: float, costs: EvaluationSettings) -> float:
    """Return as what a look must count, so that people look at no more than a `share` of the images; at least what the settings say.

    A look is worth what the decision without it is expected to cost. The images for which it is worth most get one.

    Args:
        chances: float (images,), probabilities of a defect of images that the probability alone decides.
        always_reviewed: Number of images more, which go to a person whatever their probability.
        share: Of all these images.
        costs: Of the decisions.
    """
    highest = threshold(costs) * costs.escape_cost  # what a look is worth where passing and rejecting cost the same
    worth = np.sort(np.minimum(chances * costs.escape_cost, (1 - chances) * costs.false_reject_cost))[::-1]
    looks = max(0, int(share * (len(worth) + always_reviewed)) - always_reviewed)
    if not looks:
        return highest
    if looks >= len(worth):
        return costs.review_cost
    dearer = worth[worth > worth[looks]]  # halfway to the next one, so that rounding moves no image
    return max(costs.review_cost, float((worth[looks] + (dearer.min() if len(dearer) else highest)) / 2))


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
