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
from benchmarks.apart import apart
from benchmarks.folds import counts, dealt, errors, intervals, summary
from benchmarks.prepared import Prepared, arguments, names, prepared, room, write
from tasks.dataset.group_split import assign, draw, leaders, strata
from tasks.records.rows import BASE, Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import ChampionModel, SplitSettings, TrainingSettings

PUBLISHED = ("accuracy", "images", "missed_defects", "false_rejects", "passed_defects", "reviews")
FEW = 2  # castings of each label, as there are soon after a camera was changed


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--arrivals", type=Path, action="append", required=True, help="folder of new labelled images")
    parser.add_argument("--models", type=names, default=["ring", "compact"])
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--draws", type=int, default=3, help="so many choices of the few castings")
    parser.add_argument("--seed", type=int, default=0, help="of folds, draws, validation and training")
    asked = parser.parse_args()
    with room(asked.data) as places:
        data = prepared(asked.source, asked.arrivals, places)
        figures = {}
        for model in asked.models:
            settings = TrainingSettings.model_validate({"model": model, "epochs": asked.epochs, "seed": asked.seed})
            figures[model] = measure(data, settings, asked.folds, asked.draws)
            show(model, figures[model])
            write(figures, asked.json)


def measure(data: Prepared, settings: TrainingSettings, folds: int, draws: int) -> dict:
    """The figures of a model in each of the cases."""
    base, own = divided(data, SplitSettings(seed=settings.seed))
    alone = trained(data, base + sent(own, dict.fromkeys(castings(own), "test")), settings)
    champion = training.exported(alone, data.places)
    few = [sent(own, chosen(own, settings.seed, draw)) for draw in range(draws)]
    continuing = settings.model_copy(update={"start_from": "champion"})
    anew = [trained(data, base + some, settings) for some in few]
    continued = [trained(data, base + some, continuing, champion) for some in few]
    return {
        "without_retraining": told(alone, data),
        "by_folds": by_folds(data, base, own, settings, folds),
        "with_few": means([told(one, data) for one in anew]),
        "with_few_continued": {
            **means([told(one, data) for one in continued]),
            "cpu_to_with_few": sum(one.model.cpu_seconds for one in continued)
            / sum(one.model.cpu_seconds for one in anew),
        },
    }


def divided(data: Prepared, splitting: SplitSettings) -> tuple[list[Row], list[Row]]:
    """The rows of the source, split as ever, and those of the arrivals that show castings of their own.

    Photographs of castings that the source shows, and copies, are left out: they would be known by heart.
    """
    rows = assign(data.rows, data.copies, splitting)
    base = [row for row in rows if row.origin == BASE]
    known = {row.group for row in base}
    return base, [
        row for row in rows if row.origin != BASE and row.split != "held_back" and row.group not in known
    ]  # fmt: skip


def castings(rows: Sequence[Row], label: str = "") -> list[str]:
    """Those that the rows show, of one label if it is named."""
    return [group for group, leader in leaders(rows).items() if label in ("", leader.label)]


def sent(rows: Sequence[Row], sides: Mapping[str, str]) -> list[Row]:
    """The rows, each with the split of its casting."""
    return [row._replace(split=sides[row.group]) for row in rows]


def chosen(own: Sequence[Row], seed: int, draw: int) -> dict[str, str]:
    """The split of each casting where a few of each label train. Raises BadInput where none would be left to judge."""
    sides = dict.fromkeys(castings(own), "test")
    for label in sorted({row.label for row in own}):
        there = sorted(castings(own, label))
        if len(there) <= FEW:
            raise BadInput(f"the arrivals show {len(there)} castings of {label}, more than {FEW} are needed")
        sides |= dict.fromkeys(random.Random(f"{seed} {draw} {label}").sample(there, FEW), "train")
    return sides


def by_folds(data: Prepared, base: list[Row], own: list[Row], settings: TrainingSettings, number: int) -> dict:
    """Every casting of the arrivals judged by a network that learnt from the other folds."""
    learnt = []
    for judged in dealt(own, number, settings.seed):
        sides = dict.fromkeys(judged, "test")
        others = [row for row in own if row.group not in judged]
        for some in strata(others, [""] * len(others)).values():
            sides |= draw(some, {"validation": SplitSettings().validation_fraction}, settings.seed)
        learnt.append(trained(data, base + sent(own, sides), settings))
    folds = [told(one, data) for one in learnt]
    tested = [arrived(one.tested) for one in learnt]
    groups = {row.sha256: row.group for row in own}
    return {
        **summary(folds),
        **intervals(tested, groups, data.classes, settings.seed),
        "published_test_accuracy": float(np.mean([one["published_test_accuracy"] for one in folds])),
        "folds": folds,
    }


def trained(
    data: Prepared, rows: list[Row], settings: TrainingSettings, champion: ChampionModel | None = None
) -> training.Learnt:
    return apart(training.learn, rows, data.classes, settings, data.places, champion)


def arrived(tested: Sequence[Prediction]) -> list[Prediction]:
    return [one for one in tested if one.origin != BASE]


def told(learnt: training.Learnt, data: Prepared) -> dict:
    """The figures of one training, on the arrivals that it judged and on the published test."""
    groups = {row.sha256: row.group for row in data.rows}
    published = counts([one for one in learnt.tested if one.origin == BASE], groups, data.classes)
    return {
        **counts(arrived(learnt.tested), groups, data.classes),
        "errors": errors(arrived(learnt.tested), groups, data.classes),
        **{f"published_test_{name}": published[name] for name in PUBLISHED},
        "cpu_seconds": learnt.model.cpu_seconds,
    }


def means(draws: Sequence[dict]) -> dict:
    """Means over the draws, and all of them."""
    names = ("accuracy", "auc", "published_test_accuracy", "cpu_seconds")
    return {name: float(np.mean([one[name] for one in draws])) for name in names} | {"draws": list(draws)}


def show(model: str, figures: dict) -> None:
    print(f"\n{model:<22}{'accuracy':>10}{'AUC':>8}{'published':>11}")
    for name, one in figures.items():
        print(
            f"{name.replace('_', ' '):<22}{one['accuracy']:>10.4f}{one['auc']:>8.4f}{one['published_test_accuracy']:>11.4f}"
        )
    alone, continued = figures["without_retraining"], figures["with_few_continued"]
    print(
        f"without retraining, of {alone['defects']} defects {alone['passed_defects']} are passed; to review go "
        f"{alone['reviews']} of {alone['images']} arrivals and {alone['published_test_reviews']} of "
        f"{alone['published_test_images']} published test images"
    )
    print(f"continuing takes {continued['cpu_to_with_few']:.2f} of the CPU seconds of new weights")


if __name__ == "__main__":
    main()
