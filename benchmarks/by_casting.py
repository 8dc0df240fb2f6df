"""How well does each network judge castings that it never saw?

python benchmarks/by_casting.py --source castings.zip --models ring,compact,tutorial_dropout --json by_casting.json

The published split is ignored: every casting is judged once, by a network trained on the other folds, of whose castings some
validate. Intervals are over castings, since photographs of one casting are no new evidence.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks import training
from benchmarks.crossfitting import cross_fit, decide
from benchmarks.folds import average_folds, casting_intervals, list_errors, score_predictions
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.crossfit import fit_temperature
from tasks.evaluation import costs, metrics
from tasks.evaluation.guarantee import pass_limit
from tasks.inference.calibration import probability
from tasks.inference.decision import DECIDED_BY_PROBABILITY
from tasks.records.results import Fold
from tasks.records.rows import OutOfFoldRow, Prediction
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import CrossfitSettings, EvaluationSettings, Recipe, TrainingSettings
from tasks.storage.tables import read_table

SHARES = (0.05, 0.1)  # of defective castings that a guarantee lets pass
WORST = 12  # castings in the list of errors of a model


def main() -> None:
    """Measure each network, print its tables, and write the figures after each."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--models", type=split_names, default=["ring", "compact", "tutorial_dropout"])
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the folds, of validation and of training")
    options = parser.parse_args()
    if unknown := set(options.models) - set(get_args(ModelName)):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(get_args(ModelName))}")
    with working_places(options.data) as places:
        data = prepare_images(options.source, (), places)
        figures = {}
        for model in options.models:
            settings = {"model": model, "epochs": options.epochs, "seed": options.seed}
            recipe = training.recipe_for(
                data.rows, data.classes, TrainingSettings.model_validate(settings), data.places
            )
            figures[model] = measure_network(data, CrossfitSettings(folds=options.folds, seed=options.seed), recipe)
            print_table(model, figures[model])
            write_figures(figures, options.json)  # an interruption loses no finished network


def measure_network(data: PreparedImages, settings: CrossfitSettings, recipe: Recipe) -> dict:
    """Return the figures of a network: in all, with intervals, and of each fold."""
    castings = {row.sha256: row.group for row in data.rows}
    out_of_fold = cross_fit(data, settings, recipe)
    rows = read_table(out_of_fold.judged.path(data.places), OutOfFoldRow)
    tested = [
        decide([row for row in rows if row.fold == number], data, recipe, out_of_fold)
        for number in range(1, settings.folds + 1)
    ]
    by_fold = [
        {
            **score_predictions(predictions, castings, data.classes),
            "errors": list_errors(predictions, castings, data.classes),
            "train_images": fold.model.images,
            "cpu_seconds": fold.model.cpu_seconds,
            "temperatures": compare_temperatures(fold, number, rows, data),
        }
        for number, (fold, predictions) in enumerate(zip(out_of_fold.folds, tested, strict=True), start=1)
    ]
    intervals = casting_intervals(tested, castings, data.classes, settings.seed)
    guarantees = [measure_guarantee(tested, castings, data, share) for share in SHARES]
    return average_folds(by_fold) | intervals | {"guarantees": guarantees, "folds": by_fold}


def compare_temperatures(fold: Fold, number: int, rows: Sequence[OutOfFoldRow], data: PreparedImages) -> dict:
    """Return the mean log loss of a fold at the temperature of its few validation parts, and at that of all other folds' parts."""
    judged = [row for row in rows if row.fold == number]
    temperatures = {
        "validation": fold.temperature,
        "other_folds": fit_temperature([row for row in rows if row.fold != number], data.classes),
    }
    return {
        name: {"temperature": temperature, "log_loss": log_loss(judged, temperature, data)}
        for name, temperature in temperatures.items()
    }


def measure_guarantee(
    tested: Sequence[Sequence[Prediction]], castings: Mapping[str, str], data: PreparedImages, share: float
) -> dict:
    """Return how many defective castings and good photographs of each fold pass where the other folds' castings keep the promise.

    The limit of passing is that of the standard costs, or a lower one that the promise needs.
    """
    images = [prediction for fold in tested for prediction in fold]
    fold = np.repeat(np.arange(len(tested)), [len(predictions) for predictions in tested])
    chance = np.array([image.defect_probability for image in images])
    defect = np.array([image.label == data.classes.defect for image in images], bool)
    clear = np.array([image.cause in DECIDED_BY_PROBABILITY for image in images], bool)
    part = np.array([castings[image.sha256] for image in images])
    passed = np.zeros(len(images), bool)
    for number in range(len(tested)):
        others, confidence = fold != number, EvaluationSettings().confidence
        limit, _ = pass_limit(
            chance[others], defect[others], clear[others], part[others], share, confidence, by_part=True
        )
        passed |= (fold == number) & clear & (chance < min(limit, costs.review_band(EvaluationSettings())[0]))
    return {
        "share": share,
        "passed_castings": len(set(part[passed & defect])),
        "defective_castings": len(set(part[defect])),
        "passed_good": int(np.sum(passed & ~defect)),
        "good": int(np.sum(~defect)),
    }


def log_loss(rows: Sequence[OutOfFoldRow], temperature: float, data: PreparedImages) -> float:
    """Return the mean log loss of the images at a temperature, in nat."""
    defect = np.array([row.label == data.classes.defect for row in rows], bool)
    return float(np.mean(metrics.log_loss(defect, probability(np.array([row.margin for row in rows]), temperature))))


def print_table(model: str, figures: dict) -> None:
    """Print the scores of each fold, their means, and the castings with the most errors."""
    print(
        f"\n{model:<18}{'images':>8}{'castings':>10}{'accuracy':>10}{'AUC':>8}{'missed':>15}{'refused':>15}{'CPU, s':>9}"
    )
    for number, fold in enumerate(figures["folds"], start=1):
        missed = f"{fold['missed_defects']} of {fold['defects']:,}"
        refused = f"{fold['false_rejects']} of {fold['good']:,}"
        print(
            f"fold {number:<13}{fold['images']:>8,}{fold['castings']:>10}{fold['accuracy']:>10.4f}{format_score(fold['auc']):>8}"
            f"{missed:>15}{refused:>15}{fold['cpu_seconds']:>9.0f}"
        )
    accuracy, auc, escapes, rejects = (
        format_interval(figures.get(f"{name}_interval"))
        for name in ("accuracy", "auc", "escape_rate", "false_reject_rate")
    )
    print(f"mean accuracy {figures['accuracy']:.4f} {accuracy}; mean AUC {format_score(figures['auc'])} {auc}")
    print(
        f"missed defects {figures['missed_defects']:,} {escapes}; refused good parts {figures['false_rejects']:,} {rejects}"
    )
    for name, words in (("validation", "the few that validate"), ("other_folds", "all of the other folds")):
        losses = [fold["temperatures"][name]["log_loss"] for fold in figures["folds"]]
        print(
            f"log loss with a temperature from parts, {words}: {np.mean(losses):.4f} nat, worst fold {max(losses):.4f}"
        )
    for promise in figures["guarantees"]:
        print(
            f"promised: at most {promise['share']:.0%} of defective castings pass; {promise['passed_castings']} of "
            f"{promise['defective_castings']} do, and {promise['passed_good']:,} of {promise['good']:,} good photographs"
        )
    worst = sorted((row for fold in figures["folds"] for row in fold["errors"]), key=lambda row: -row["errors"])
    for row in worst[:WORST]:
        print(
            f"  {row['errors']:>4} of {row['images']:>4} {row['label']} of casting {row['casting']}, such as {row['first']}"
        )
    if len(worst) > WORST:
        print(f"  and {len(worst) - WORST} castings more with fewer errors")


def format_score(value: float | None) -> str:
    """Return a score with four digits, or `none`."""
    return "none" if value is None else f"{value:.4f}"


def format_interval(ends: Sequence[float] | None) -> str:
    """Return the ends of an interval in brackets; an empty text where there is none."""
    return f"({ends[0]:.4f} to {ends[1]:.4f})" if ends else ""


if __name__ == "__main__":
    main()
