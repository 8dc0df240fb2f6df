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
from benchmarks.apart import apart
from benchmarks.folds import counts, dealt, errors, intervals, sided, summary
from benchmarks.prepared import Prepared, arguments, names, prepared, room, write
from tasks.records.rows import Prediction
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import SplitSettings, TrainingSettings

WORST = 12  # castings in the list of errors of a model


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--models", type=names, default=["ring", "compact", "tutorial_dropout"])
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the folds, of validation and of training")
    asked = parser.parse_args()
    if unknown := set(asked.models) - set(get_args(ModelName)):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(get_args(ModelName))}")
    with room(asked.data) as places:
        data = prepared(asked.source, (), places)
        folds = dealt(data.rows, asked.folds, asked.seed)
        figures = {}
        for model in asked.models:
            settings = {"model": model, "epochs": asked.epochs, "seed": asked.seed}
            figures[model] = measure(data, folds, TrainingSettings.model_validate(settings))
            show(model, figures[model])
            write(figures, asked.json)  # what is known already outlives an interruption


def measure(data: Prepared, folds: Sequence[set[str]], settings: TrainingSettings) -> dict:
    """The figures of a model: in all, with intervals, and of each fold."""
    castings = {row.sha256: row.group for row in data.rows}
    tested: list[list[Prediction]] = []
    found = []
    for judged in folds:
        rows = sided(data.rows, judged, SplitSettings(seed=settings.seed))
        learnt = apart(training.learn, rows, data.classes, settings, data.places)
        tested.append(learnt.tested)
        found.append({
            **counts(learnt.tested, castings, data.classes),
            "errors": errors(learnt.tested, castings, data.classes),
            "train_images": learnt.model.images,
            "cpu_seconds": learnt.model.cpu_seconds,
        })  # fmt: skip
    return summary(found) | intervals(tested, castings, data.classes, settings.seed) | {"folds": found}


def show(model: str, figures: dict) -> None:
    print(
        f"\n{model:<18}{'images':>8}{'castings':>10}{'accuracy':>10}{'AUC':>8}{'missed':>15}{'refused':>15}{'CPU, s':>9}"
    )
    for number, one in enumerate(figures["folds"], start=1):
        missed = f"{one['missed_defects']} of {one['defects']:,}"
        refused = f"{one['false_rejects']} of {one['good']:,}"
        print(
            f"fold {number:<13}{one['images']:>8,}{one['castings']:>10}{one['accuracy']:>10.4f}{number_or_none(one['auc']):>8}"
            f"{missed:>15}{refused:>15}{one['cpu_seconds']:>9.0f}"
        )
    accuracy, auc = (between(figures.get(f"{name}_interval")) for name in ("accuracy", "auc"))
    print(f"mean accuracy {figures['accuracy']:.4f} {accuracy}; mean AUC {number_or_none(figures['auc'])} {auc}")
    worst = sorted((one for part in figures["folds"] for one in part["errors"]), key=lambda one: -one["errors"])
    for one in worst[:WORST]:
        print(
            f"  {one['errors']:>4} of {one['images']:>4} {one['label']} of casting {one['casting']}, such as {one['first']}"
        )
    if len(worst) > WORST:
        print(f"  and {len(worst) - WORST} castings more with fewer errors")


def number_or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def between(ends: Sequence[float] | None) -> str:
    return f"({ends[0]:.4f} to {ends[1]:.4f})" if ends else ""


if __name__ == "__main__":
    main()
