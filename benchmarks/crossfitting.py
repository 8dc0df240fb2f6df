"""Crossfitting: judge prepared images out of fold by the step itself, and decide about them at the standard costs."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from benchmarks.preparation import PreparedImages
from tasks.dataset.folds import divided_images
from tasks.evaluation import costs
from tasks.inference.decision import DecisionRule
from tasks.inference.scoring import decide_out_of_fold
from tasks.records.results import OutOfFold
from tasks.records.rows import OutOfFoldRow, Prediction
from tasks.settings.settings import CrossfitSettings, EvaluationSettings, Recipe, SplitSettings


def cross_fit(data: PreparedImages, settings: CrossfitSettings, recipe: Recipe) -> OutOfFold:
    """Judge every image by a network that never saw its casting. What the step prints goes to standard error."""
    from tasks.crossfit import crossfit

    with redirect_stdout(sys.stderr):
        images = divided_images(data.rows, data.classes, data.places, castings=True)
        validation_fraction, unlike_share = SplitSettings().validation_fraction, EvaluationSettings().unlike_share
        return crossfit.fn(images, recipe, settings, validation_fraction, unlike_share, data.places)


def decide(
    rows: Sequence[OutOfFoldRow], data: PreparedImages, recipe: Recipe, out_of_fold: OutOfFold
) -> list[Prediction]:
    """Decide about the images of a fold at the standard costs."""
    settings = EvaluationSettings()
    rule = DecisionRule(
        classes=data.classes,
        model=recipe.model,
        network_sha256="",
        view=recipe.view,
        image_size=recipe.image_size,
        threshold=costs.threshold(settings),
        temperature=out_of_fold.temperature,
        review_band=costs.review_band(settings),
    )
    return decide_out_of_fold(rows, rule)
