"""How well does each network judge castings that it never saw?

python benchmarks/by_casting.py --source castings.zip --models ring,compact,tutorial_dropout --json by_casting.json

The published split is ignored: every casting is judged once, by a network trained on the other folds, of whose castings some
validate. Intervals are over castings, since photographs of one casting are no new evidence.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks import training
from benchmarks.folds import (
    assign_folds,
    average_folds,
    casting_intervals,
    list_errors,
    score_predictions,
    split_by_fold,
)
from benchmarks.isolation import run_isolated
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.records.rows import Prediction
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import SplitSettings, TrainingSettings

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
        folds = assign_folds(data.rows, options.folds, options.seed)
        figures = {}
        for model in options.models:
            settings = {"model": model, "epochs": options.epochs, "seed": options.seed}
            figures[model] = measure_network(data, folds, TrainingSettings.model_validate(settings))
            print_table(model, figures[model])
            write_figures(figures, options.json)  # an interruption loses no finished network


def measure_network(data: PreparedImages, folds: Sequence[set[str]], settings: TrainingSettings) -> dict:
    """Return the figures of a network: in all, with intervals, and of each fold."""
    castings = {row.sha256: row.group for row in data.rows}
    tested: list[list[Prediction]] = []
    by_fold = []
    for judged in folds:
        rows = split_by_fold(data.rows, judged, SplitSettings(seed=settings.seed))
        trained = run_isolated(training.train_and_evaluate, rows, data.classes, settings, data.places)
        tested.append(trained.tested)
        by_fold.append({
            **score_predictions(trained.tested, castings, data.classes),
            "errors": list_errors(trained.tested, castings, data.classes),
            "train_images": trained.model.images,
            "cpu_seconds": trained.model.cpu_seconds,
        })  # fmt: skip
    intervals = casting_intervals(tested, castings, data.classes, settings.seed)
    return average_folds(by_fold) | intervals | {"folds": by_fold}


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
