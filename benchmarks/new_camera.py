"""How well does each network judge photographs of a new camera set-up, before it has seen any, after a few, and after many?

python benchmarks/new_camera.py --source castings.zip --arrivals line-2 --models ring,compact --json new_camera.json

Always trained on the published train images, whatever copies the published test held back: alone, with all castings of the
arrivals but one fold, and with two defective and two good ones; the last also from the weights of the first.
"""

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks import training
from benchmarks.folds import average_folds, casting_intervals, list_errors, score_predictions
from benchmarks.isolation import run_isolated
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.dataset.folds import assign_folds
from tasks.dataset.group_split import assign, draw, groups_by_stratum, leaders
from tasks.records.rows import BASE, Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import ChampionModel, SplitSettings, TrainingSettings

DECIDED = ("images", "passed_defects", "rejected_good", "reviews")
PUBLISHED = ("accuracy", "images", "missed_defects", "false_rejects", "passed_defects", "reviews")
FEW = 2  # castings of each label, as there are soon after a camera was changed


def main() -> None:
    """Measure each network, print its table, and write the figures after each."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--arrivals", type=Path, action="append", required=True, help="folder of new labeled images")
    parser.add_argument("--models", type=split_names, default=["ring", "compact"])
    parser.add_argument(
        "--folds", type=int, default=4, help="folds of the arrivals' castings; 0: no training on three quarters"
    )
    parser.add_argument("--draws", type=int, default=3, help="so many choices of the few castings")
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds of folds, draws, validation and training")
    options = parser.parse_args()
    with working_places(options.data) as places:
        data = prepare_images(options.source, options.arrivals, places)
        figures: dict[str, list[dict]] = {}
        for model in options.models:
            figures[model] = []
            for seed in range(options.seeds):
                settings = TrainingSettings.model_validate({"model": model, "epochs": options.epochs, "seed": seed})
                figures[model].append(measure_network(data, settings, options.folds, options.draws))
                print_table(f"{model}, seed {seed}", figures[model][-1])
                write_figures(figures, options.json)
            print_means(model, figures[model])


def measure_network(data: PreparedImages, settings: TrainingSettings, folds: int, draws: int) -> dict:
    """Return the figures of a network: trained without the arrivals, on all folds of them but one, and on a few of their castings."""
    base, arrivals = split_origins(data, SplitSettings(seed=settings.seed))
    only_tested = with_splits(arrivals, dict.fromkeys(list_castings(arrivals), "test"))
    baseline = train_isolated(data, base + only_tested, settings)
    champion = training.export_model(baseline, data.places)
    few = [with_splits(arrivals, draw_few_castings(arrivals, settings.seed, draw)) for draw in range(draws)]
    continuing = settings.model_copy(update={"start_from": "champion"})
    anew = [train_isolated(data, base + rows, settings) for rows in few]
    continued = [train_isolated(data, base + rows, continuing, champion) for rows in few]
    return {
        "without_retraining": training_figures(baseline, data),
        **({"by_folds": measure_folds(data, base, arrivals, settings, folds)} if folds else {}),
        "with_few": average_draws([training_figures(trained, data) for trained in anew]),
        "with_few_continued": {
            **average_draws([training_figures(trained, data) for trained in continued]),
            "cpu_to_with_few": sum(trained.model.cpu_seconds for trained in continued)
            / sum(trained.model.cpu_seconds for trained in anew),
        },
    }


def split_origins(data: PreparedImages, splitting: SplitSettings) -> tuple[list[Row], list[Row]]:
    """Return the rows of the source, split as ever, and the arrivals whose castings the source does not show.

    Copies, and photographs of castings that the source shows, are left out: the network would know them by heart.
    """
    rows = assign(data.rows, data.copies, splitting)
    base = [row for row in rows if row.origin == BASE]
    base_castings = {row.group for row in base}
    return base, [
        row for row in rows if row.origin != BASE and row.split != "held_back" and row.group not in base_castings
    ]  # fmt: skip


def list_castings(rows: Sequence[Row], label: str = "") -> list[str]:
    """Return the castings of the rows; only those of one label where it is named."""
    return [group for group, leader in leaders(rows).items() if label in ("", leader.label)]


def with_splits(rows: Sequence[Row], sides: Mapping[str, str]) -> list[Row]:
    """Return the rows, each with the split of its casting."""
    return [row._replace(split=sides[row.group]) for row in rows]


def draw_few_castings(arrivals: Sequence[Row], seed: int, draw: int) -> dict[str, str]:
    """Return the split of each casting, where a few of each label train. Raises BadInput where none would be left to judge."""
    sides = dict.fromkeys(list_castings(arrivals), "test")
    for label in sorted({row.label for row in arrivals}):
        castings = sorted(list_castings(arrivals, label))
        if len(castings) <= FEW:
            raise BadInput(f"the arrivals show {len(castings)} castings of {label}, more than {FEW} are needed")
        sides |= dict.fromkeys(random.Random(f"{seed} {draw} {label}").sample(castings, FEW), "train")
    return sides


def measure_folds(
    data: PreparedImages, base: list[Row], arrivals: list[Row], settings: TrainingSettings, number: int
) -> dict:
    """Judge every casting of the arrivals by a network that learned from the other folds, and return the figures."""
    trainings = []
    for judged in assign_folds(arrivals, number, settings.seed):
        sides = dict.fromkeys(judged, "test")
        others = [row for row in arrivals if row.group not in judged]
        for stratum in groups_by_stratum(others, [""] * len(others)).values():
            sides |= draw(stratum, {"validation": SplitSettings().validation_fraction}, settings.seed)
        trainings.append(train_isolated(data, base + with_splits(arrivals, sides), settings))
    folds = [training_figures(trained, data) for trained in trainings]
    tested = [select_arrivals(trained.tested) for trained in trainings]
    groups = {row.sha256: row.group for row in arrivals}
    return {
        **average_folds(folds),
        **casting_intervals(tested, groups, data.classes, settings.seed),
        "published_test_accuracy": float(np.mean([fold["published_test_accuracy"] for fold in folds])),
        "folds": folds,
    }


def train_isolated(
    data: PreparedImages, rows: list[Row], settings: TrainingSettings, champion: ChampionModel | None = None
) -> training.TrainedModel:
    """Train and evaluate in a process of its own."""
    return run_isolated(training.train_and_evaluate, rows, data.classes, settings, data.places, champion)


def select_arrivals(tested: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions about arrivals."""
    return [prediction for prediction in tested if prediction.origin != BASE]


def training_figures(trained: training.TrainedModel, data: PreparedImages) -> dict:
    """Return the figures of one training, on the arrivals that it judged and on the published test."""
    groups = {row.sha256: row.group for row in data.rows}
    arrivals = select_arrivals(trained.tested)
    base = [prediction for prediction in trained.tested if prediction.origin == BASE]
    published = score_predictions(base, groups, data.classes)
    return {
        **score_predictions(arrivals, groups, data.classes),
        "errors": list_errors(arrivals, groups, data.classes),
        **{f"published_test_{name}": published[name] for name in PUBLISHED},
        "cpu_seconds": trained.model.cpu_seconds,
    }


def average_draws(draws: Sequence[dict]) -> dict:
    """Return means over the draws, and the figures of each draw."""
    names = ("accuracy", "auc", "published_test_accuracy", "cpu_seconds", *DECIDED)
    return {name: float(np.mean([figures[name] for figures in draws])) for name in names} | {"draws": list(draws)}


def print_table(title: str, figures: dict) -> None:
    """Print the scores of each case, and what they mean for the line."""
    print(f"\n{title:<22}{'accuracy':>10}{'AUC':>8}{'published':>11}{'to a person':>13}{'passed':>8}{'rejected':>10}")
    for name, case in figures.items():
        print(
            f"{name.replace('_', ' '):<22}{case['accuracy']:>10.4f}{case['auc']:>8.4f}{case['published_test_accuracy']:>11.4f}"
            f"{case['reviews'] / case['images']:>13.1%}{case['passed_defects']:>8.3g}{case['rejected_good']:>10.3g}"
        )
    baseline, continued = figures["without_retraining"], figures["with_few_continued"]
    print(
        f"without retraining, of {baseline['defects']} defects {baseline['passed_defects']} are passed; to review go "
        f"{baseline['reviews']} of {baseline['images']} arrivals and {baseline['published_test_reviews']} of "
        f"{baseline['published_test_images']} published test images"
    )
    print(f"continuing takes {continued['cpu_to_with_few']:.2f} of the CPU seconds of new weights")


def print_means(model: str, seeds: Sequence[dict]) -> None:
    """Print the mean accuracy of each case over the seeds, and the accuracy of each seed."""
    print(f"\n{model}, {len(seeds)} seeds")
    for name in seeds[0]:
        accuracies = [figures[name]["accuracy"] for figures in seeds]
        print(
            f"{name.replace('_', ' '):<22}{np.mean(accuracies):>10.4f}   {', '.join(f'{value:.3f}' for value in accuracies)}"
        )


if __name__ == "__main__":
    main()
