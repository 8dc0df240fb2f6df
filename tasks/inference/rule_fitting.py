"""Rule fitting: build the decision rule of a trained network from the images that it learned from and was validated on."""

from collections.abc import Sequence

import numpy as np

from tasks.evaluation import costs
from tasks.evaluation.guarantee import pass_limit
from tasks.images.views import VIEWS
from tasks.inference import out_of_distribution
from tasks.inference.calibration import probability, temperature, temperature_interval
from tasks.inference.decision import DECIDED_BY_PROBABILITY, DecisionRule, Evidence
from tasks.inference.normality import with_normal_limits
from tasks.records.results import Calibration, Model
from tasks.records.rows import NO_PROBABILITY, Prediction, Row, is_defect
from tasks.settings.messages import say
from tasks.settings.settings import Classes, EvaluationSettings

SUREST = 1e-12  # probabilities nearer to 0 or 1 count as this one
POOR_RING = 2.0  # a ring fits poorly from so many times the residual on that nearly all known rings keep within


def fit_decision_rule(
    rows: Sequence[Row], evidence: Sequence[Evidence], classes: Classes, model: Model, settings: EvaluationSettings
) -> DecisionRule:
    """Build the decision rule: temperature from validation, limits from costs, outlier limits from train and validation.

    Of a network of good parts alone, the good parts that validate set the limits.
    """
    good_alone = model.spec.good_alone
    learned = [
        (row, image)
        for row, image in zip(rows, evidence, strict=True)
        if row.split != "test" and not (good_alone and is_defect(row, classes))
    ]
    residuals = [image.residual for _, image in learned if VIEWS[model.view].needs_ring]
    residual = worst_residual(residuals, settings.unlike_share)
    clear = [(row, image) for row, image in learned if residual is None or image.residual <= residual]
    groups, pictures = [row.group for row, _ in clear], [image.appearance for _, image in clear]
    rule = DecisionRule(
        classes=classes,
        model=model.name,
        network_sha256=model.file.sha256,
        view=model.view,
        image_size=model.image_size,
        crop=model.crop,
        threshold=costs.threshold(settings),
        review_band=costs.review_band(settings),
        appearance=out_of_distribution.fit_limits(pictures, groups, settings.unlike_share),
        appearances=out_of_distribution.fit_origins(
            pictures, groups, [row.origin for row, _ in clear], settings.unlike_share
        ),
        features=out_of_distribution.fit_limits([image.features for _, image in clear], groups, settings.unlike_share),
        max_residual=residual,
    )
    validation = [(row, image) for row, image in clear if row.split == "validation"]
    if good_alone:
        return with_normal_limits(rule, validation, settings)
    return rule.model_copy(update={"temperature": fit_temperature(validation, classes)})


def with_guarantee(
    rule: DecisionRule, unseen: Sequence[Prediction], share: float, confidence: float, *, by_part: bool
) -> DecisionRule:
    """Return the rule with a limit of passing, so that with this confidence no larger share of defective parts passes.

    No image that the rule sends to a person passes by the new one. `unseen` are judged by the rule; no network that judged them trained
    on their parts. `by_part` says whether their groups are parts; else they are copies alone, which count as one part.
    """
    limit, guarantee = pass_limit(
        np.array([image.defect_probability for image in unseen], float),
        np.array([image.label == rule.classes.defect for image in unseen], bool),
        np.array([image.cause in DECIDED_BY_PROBABILITY for image in unseen], bool),
        np.array([image.group for image in unseen], str),
        share,
        confidence,
        by_part=by_part,
    )
    say(f"evaluate: {guarantee.summary()}")
    low, high = rule.review_band or (rule.threshold, rule.threshold)
    return rule.model_copy(update={"review_band": (min(low, limit), high), "guarantee": guarantee})


def fit_temperature(validation: Sequence[tuple[Row, Evidence]], classes: Classes) -> float:
    """Return the temperature at which the labels of the validation images are likeliest, each part counting once."""
    validation = [(row, image) for row, image in validation if np.isfinite(image.margin)]
    margins = np.array([evidence.margin for _, evidence in validation])
    defect = np.array([is_defect(row, classes) for row, _ in validation], bool)
    return temperature(margins, defect, [row.group for row, _ in validation])


def weigh_calibration(
    rule: DecisionRule, unseen: Sequence[Prediction], test: Sequence[Prediction], *, count_parts: bool
) -> Calibration:
    """Return what the temperature rests on, and how many test images would be decided otherwise at either end of its interval.

    Args:
        rule: It decided about all these images.
        unseen: The images that its temperature was fitted to, and others that the network could not see.
        test: The images of the test.
        count_parts: Whether each part counts once, as in `fit_temperature`.
    """
    unseen = [image for image in unseen if image.cause not in NO_PROBABILITY]
    margins = rule.temperature * logits(unseen)
    defect = np.array([image.label == rule.classes.defect for image in unseen], bool)
    parts = [image.group or f"{number}" for number, image in enumerate(unseen)]
    low, high = temperature_interval(rule.temperature, margins, defect, parts if count_parts else None)
    decided = [image for image in test if image.cause in DECIDED_BY_PROBABILITY]
    others = [probability(rule.temperature * logits(decided), other).tolist() for other in (low, high)]
    changed = sum(
        any(rule.decide_by_probability(chance).name != image.decision for chance in chances)
        for image, chances in zip(decided, zip(*others, strict=True), strict=True)
    )
    return Calibration(parts=len(set(parts)), low=round(low, 3), high=round(high, 3), changed=changed)


def logits(predictions: Sequence[Prediction]) -> np.ndarray:
    """Return the logit of each probability of a defect, float64 (predictions,), finite also where it is 0 or 1."""
    chances = np.clip([prediction.defect_probability for prediction in predictions], SUREST, 1 - SUREST)
    return np.log(chances / (1 - chances))


def worst_residual(residuals: Sequence[float], share: float) -> float | None:
    """Return the residual from which on a ring fits poorly; None where no ring is known."""
    ringed = [residual for residual in residuals if not np.isnan(residual)]
    return POOR_RING * float(np.quantile(ringed, 1 - share)) if ringed else None
