"""How many photographs of the published test go to a person, and how far does that hang on chance?

python benchmarks/reviews.py --source castings.zip --arrivals line-2 --seeds 10 --json reviews.json

Each seed draws other castings to validate and other first weights. Nothing is learned from the arrivals.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks import training
from benchmarks.folds import score_predictions
from benchmarks.isolation import run_isolated
from benchmarks.new_camera import list_castings, select_arrivals, split_origins, with_splits
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.evaluation.metrics import review_causes
from tasks.records.rows import BASE
from tasks.settings.settings import SplitSettings, TrainingSettings


def main() -> None:
    """Measure each network, print its table, and write the figures after each."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--arrivals", type=Path, action="append", default=[], help="folder of new labeled images")
    parser.add_argument("--models", type=split_names, default=["ring"])
    parser.add_argument("--seeds", type=int, default=10, help="so many trainings")
    options = parser.parse_args()
    with working_places(options.data) as places:
        data = prepare_images(options.source, options.arrivals, places)
        figures = {}
        for model in options.models:
            trainings = [
                measure_training(
                    data,
                    TrainingSettings.model_validate({"model": model, "epochs": options.epochs, "seed": seed}),
                )
                for seed in range(options.seeds)
            ]
            figures[model] = summarize(trainings)
            print_table(model, figures[model])
            write_figures(figures, options.json)


def measure_training(data: PreparedImages, settings: TrainingSettings) -> dict:
    """Return the figures of one training that learns from the source alone, on the published test and on the arrivals."""
    base, arrivals = split_origins(data, SplitSettings(seed=settings.seed))
    rows = base + with_splits(arrivals, dict.fromkeys(list_castings(arrivals), "test"))
    trained = run_isolated(training.train_and_evaluate, rows, data.classes, settings, data.places)
    groups = {row.sha256: row.group for row in rows}
    tested = [prediction for prediction in trained.tested if prediction.origin == BASE]
    new = select_arrivals(trained.tested)
    return {
        "seed": settings.seed,
        "temperature": trained.evaluation.temperature,
        "published_test": {**score_predictions(tested, groups, data.classes), "causes": review_causes(tested)},
        "arrivals": score_predictions(new, groups, data.classes) if new else None,
        "cpu_seconds": trained.model.cpu_seconds,
    }


def summarize(trainings: Sequence[dict]) -> dict:
    """Return the share of the published test that goes to a person, over all trainings, and the figures of each."""
    shares = [figures["published_test"]["reviews"] / figures["published_test"]["images"] for figures in trainings]
    return {
        "share_mean": float(np.mean(shares)),
        "share_deviation": float(np.std(shares)),
        "share_least": min(shares),
        "share_most": max(shares),
        "trainings": list(trainings),
    }


def print_table(model: str, figures: dict) -> None:
    """Print a line for each training, and the mean and spread of the share that goes to a person."""
    print(
        f"\n{model:<10}{'temperature':>12}{'errors':>8}{'passed defects':>16}{'reviews':>9}{'of arrivals':>13}  causes"
    )
    for row in figures["trainings"]:
        test, arrivals = row["published_test"], row["arrivals"]
        errors, of_arrivals = test["missed_defects"] + test["false_rejects"], arrivals["reviews"] if arrivals else ""
        causes = ", ".join(f"{cause} {count}" for cause, count in test["causes"].items())
        print(
            f"seed {row['seed']:<5}{row['temperature']:>12.2f}{errors:>8}{test['passed_defects']:>16}{test['reviews']:>9}"
            f"{of_arrivals:>13}  {causes}"
        )
    print(
        f"to a person go {figures['share_mean']:.2%} in the mean, with a standard deviation of {figures['share_deviation']:.2%}, "
        f"{figures['share_least']:.2%} at least and {figures['share_most']:.2%} at most"
    )


if __name__ == "__main__":
    main()
