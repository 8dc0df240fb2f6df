"""Costs: which decision has the least expected cost, for a probability of a defect (Chow's rule, 1970)."""

from tasks.records.results import Costs
from tasks.records.rows import Prediction
from tasks.settings.settings import Classes, EvaluationSettings


def threshold(costs: EvaluationSettings) -> float:
    """Return the probability of a defect at which passing and rejecting have the same expected cost."""
    return costs.false_reject_cost / (costs.escape_cost + costs.false_reject_cost)


def review_band(costs: EvaluationSettings) -> tuple[float, float]:
    """Return the probabilities between which a review costs less than passing and than rejecting are expected to cost."""
    return costs.review_cost / costs.escape_cost, 1 - costs.review_cost / costs.false_reject_cost


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
