"""Rule fitting: build the decision rule of a trained network from the images that it learned from and was validated on."""

from collections.abc import Sequence

import numpy as np

from tasks.evaluation import costs
from tasks.images.views import VIEWS
from tasks.inference import out_of_distribution
from tasks.inference.calibration import temperature
from tasks.inference.decision import DecisionRule, Evidence
from tasks.records.results import Model
from tasks.records.rows import Row, is_defect
from tasks.settings.settings import Classes, EvaluationSettings

POOR_RING = 2.0  # a ring fits poorly from so many times the residual on that nearly all known rings keep within


def fit_decision_rule(
    rows: Sequence[Row], evidence: Sequence[Evidence], classes: Classes, model: Model, settings: EvaluationSettings
) -> DecisionRule:
    """Build the decision rule: temperature from validation, limits from costs, outlier limits from train and validation."""
    learned = [(row, image) for row, image in zip(rows, evidence, strict=True) if row.split != "test"]
    residuals = [image.residual for _, image in learned if VIEWS[model.view].needs_ring]
    residual = worst_residual(residuals, settings.unlike_share)
    clear = [(row, image) for row, image in learned if residual is None or image.residual <= residual]
    groups, pictures = [row.group for row, _ in clear], [image.appearance for _, image in clear]
    return DecisionRule(
        classes=classes,
        model=model.name,
        network_sha256=model.file.sha256,
        view=model.view,
        image_size=model.image_size,
        threshold=costs.threshold(settings),
        temperature=fit_temperature([(row, image) for row, image in clear if row.split == "validation"], classes),
        review_band=costs.review_band(settings),
        appearance=out_of_distribution.fit_limits(pictures, groups, settings.unlike_share),
        appearances=out_of_distribution.fit_origins(
            pictures, groups, [row.origin for row, _ in clear], settings.unlike_share
        ),
        features=out_of_distribution.fit_limits([image.features for _, image in clear], groups, settings.unlike_share),
        max_residual=residual,
    )


def fit_temperature(validation: Sequence[tuple[Row, Evidence]], classes: Classes) -> float:
    """Return the temperature at which the labels of the validation images are likeliest, each part counting once."""
    margins = np.array([evidence.margin for _, evidence in validation])
    defect = np.array([is_defect(row, classes) for row, _ in validation], bool)
    return temperature(margins, defect, [row.group for row, _ in validation])


def worst_residual(residuals: Sequence[float], share: float) -> float | None:
    """Return the residual from which on a ring fits poorly; None where no ring is known."""
    ringed = [residual for residual in residuals if not np.isnan(residual)]
    return POOR_RING * float(np.quantile(ringed, 1 - share)) if ringed else None
