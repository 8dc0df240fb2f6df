"""Workload: limit how many images go to a person, and tell what fewer looks would cost."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tasks.evaluation import costs
from tasks.inference.decision import DECIDED_BY_PROBABILITY, DecisionRule
from tasks.records.results import Workload
from tasks.records.rows import Prediction
from tasks.settings.settings import EvaluationSettings

SHARES = (0.0, 0.05, 0.1, 0.25, 0.5)  # of the images


def with_capacity(
    rule: DecisionRule, unseen: Sequence[Prediction], share: float, settings: EvaluationSettings
) -> DecisionRule:
    """Return the rule with a review band that sends no more than this share of images to a person: those for which a look saves most.

    `unseen` are judged by the rule; no network that judged them trained on their parts. Images that go to a person whatever their
    probability count too, and always go.
    """
    chances = [image.defect_probability for image in unseen if image.cause in DECIDED_BY_PROBABILITY]
    price = costs.price_of_looks(np.array(chances), len(unseen) - len(chances), share, settings)
    return rule.model_copy(update={"review_band": costs.review_band(settings, price)})


def workloads(
    rule: DecisionRule, unseen: Sequence[Prediction], test: Sequence[Prediction], settings: EvaluationSettings
) -> Iterator[Workload]:
    """Yield how the test would be decided at each share of looks at which it would be decided otherwise than by costs alone.

    `unseen` are as in `with_capacity`; `test` are judged by the rule.
    """
    free = count_decisions(with_capacity(rule, unseen, 1.0, settings), test, 1.0)
    for share in SHARES:
        workload = count_decisions(with_capacity(rule, unseen, share, settings), test, share)
        if workload.reviews == free.reviews:
            return
        yield workload


def count_decisions(rule: DecisionRule, test: Sequence[Prediction], share: float) -> Workload:
    """Count what the rule decides about test images, given their probabilities."""
    counts = Counter(
        (
            image.label == rule.classes.defect,
            rule.decide_by_probability(image.defect_probability).name
            if image.cause in DECIDED_BY_PROBABILITY
            else image.decision,
        )
        for image in test
    )
    return Workload(
        share=share,
        reviews=counts[True, "review"] + counts[False, "review"],
        escapes=counts[True, "pass"],
        rejects=counts[False, "reject"],
    )
