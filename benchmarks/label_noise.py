"""How many wrong labels does recast find, and how many right ones does it suspect? Planted before training, and found again.

python benchmarks/label_noise.py --seeds 10 --predictions out-of-fold --json label_noise.json

A share of the parts is labeled wrongly as a whole, and as large a share of all photographs one by one. Then each part is judged by a
network that was trained on other parts, wrong labels among them. Each seed plants other labels, and draws a sample of its own.
cleanlab stands beside it where it is installed: on the mean probability of each part, and on single photographs.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.crossfitting import cross_fit, decide
from benchmarks.preparation import PreparedImages, make_parser, prepare_images, working_places, write_figures
from tasks.evaluation.label_suspects import find_suspects
from tasks.records.rows import OutOfFoldRow, Prediction, Row
from tasks.settings.settings import Classes, CrossfitSettings, SampleSettings, TrainingSettings
from tasks.storage.tables import read_table, write_table


class TrueLabel(NamedTuple):
    """The label of a content before noise was planted."""

    sha256: str
    label: str


class Noise(NamedTuple):
    """Labels that are wrong, or that a method takes for wrong."""

    parts: set[str]
    """Groups that are labeled wrongly as a whole."""
    images: set[str]
    """Single photographs of other parts, by sha256."""


def main() -> None:
    """Plant, train and search for each seed, and print and write the figures after each."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--model", default="ring")
    parser.add_argument(
        "--seeds", type=int, default=10, help="so many repetitions: of noise, sample, folds and training"
    )
    parser.add_argument("--noise", type=float, default=0.02, help="share of parts, and share of single photographs")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--predictions", type=Path, help="folder where predictions are kept for another call")
    options = parser.parse_args()
    figures: dict[str, dict] = {}
    for seed in range(options.seeds):
        settings = TrainingSettings.model_validate({"model": options.model, "epochs": options.epochs, "seed": seed})
        with working_places(options.data) as places:
            folder = (options.predictions or places.data_root) / f"{seed}"
            if not folder.exists():
                data = prepare_images(options.source, (), places, SampleSettings(seed=seed))
                store_predictions(data, options.noise, options.folds, settings, folder)
            predictions = read_table(folder / "predictions.csv", Prediction)
            truth = {row.sha256: row.label for row in read_table(folder / "truth.csv", TrueLabel)}
        figures[f"seed {seed}"] = measure(predictions, truth, Classes())
        figures["pooled"] = pool([values for name, values in figures.items() if name != "pooled"])
        print_table(f"seed {seed}", figures[f"seed {seed}"])
        write_figures(figures, options.json)
    print_table("pooled", figures["pooled"])


def store_predictions(data: PreparedImages, noise: float, folds: int, settings: TrainingSettings, folder: Path) -> None:
    """Plant noise, train, and store what the networks say of images whose parts they never saw, beside the true labels."""
    rows = plant_noise(data.rows, data.classes, noise, settings.seed)
    noisy, recipe = data._replace(rows=rows), settings.recipe()
    out_of_fold = cross_fit(noisy, CrossfitSettings(folds=folds, seed=settings.seed), recipe)
    judged = read_table(out_of_fold.judged.path(data.places), OutOfFoldRow)
    predictions = decide(judged, noisy, recipe, out_of_fold)
    folder.mkdir(parents=True)
    write_table(folder / "truth.csv", [TrueLabel(row.sha256, row.label) for row in data.rows], TrueLabel)
    write_table(folder / "predictions.csv", predictions, Prediction)


def plant_noise(rows: Sequence[Row], classes: Classes, share: float, seed: int) -> list[Row]:
    """Return the rows with wrong labels: so large a share of the parts, and so many single photographs of the others.

    A part of one photograph gets no wrong photograph: it would be a wrong part.
    """
    rng = np.random.default_rng([seed, 7])
    members: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        members[row.group].add(row.sha256)
    total = sum(map(len, members.values()))
    parts = set(rng.choice(sorted(members), round(share * len(members)), replace=False).tolist())
    others = [contents for group, contents in members.items() if group not in parts and len(contents) > 1]
    single = sorted(content for contents in others for content in contents)
    images = set(rng.choice(single, min(round(share * total), len(single)), replace=False).tolist())
    flipped = {classes.defect: classes.good, classes.good: classes.defect}
    return [
        row._replace(label=flipped[row.label]) if row.group in parts or row.sha256 in images else row for row in rows
    ]


def measure(predictions: Sequence[Prediction], truth: Mapping[str, str], classes: Classes) -> dict[str, dict]:
    """Return for each method how many wrong parts and photographs there are, how many it suspects, and how many of them rightly."""
    wrong = as_noise(predictions, {image.sha256 for image in predictions if image.label != truth[image.sha256]})
    methods: dict[str, Callable[[Sequence[Prediction], Classes], Noise]] = {"recast": search_suspects}
    if find_spec("cleanlab"):
        methods |= {"cleanlab, parts": search_parts_by_cleanlab, "cleanlab, photographs": search_images_by_cleanlab}
    figures = {}
    for name, search in methods.items():
        suspected = search(predictions, classes)
        for unit in Noise._fields:
            planted, found = getattr(wrong, unit), getattr(suspected, unit)
            counts = {"wrong": len(planted), "suspected": len(found), "rightly": len(planted & found)}
            figures[f"{name}: {unit}"] = counts | rates(counts)
    return figures


def as_noise(predictions: Sequence[Prediction], contents: set[str]) -> Noise:
    """Return the parts of which all photographs are among `contents`, and the other photographs among them."""
    complete = {image.group for image in predictions} - {
        image.group for image in predictions if image.sha256 not in contents
    }
    return Noise(
        complete, {image.sha256 for image in predictions if image.sha256 in contents and image.group not in complete}
    )


def search_suspects(predictions: Sequence[Prediction], classes: Classes) -> Noise:
    """Return what recast suspects."""
    return as_noise(predictions, {suspect.sha256 for suspect in find_suspects(predictions, classes)})


def search_images_by_cleanlab(predictions: Sequence[Prediction], classes: Classes) -> Noise:
    """Return what confident learning suspects of photographs that it takes one by one."""
    defect, probability = label_arrays(predictions, classes)
    contents = np.array([image.sha256 for image in predictions])
    return as_noise(predictions, set(contents[label_issues(defect, probability)].tolist()))


def search_parts_by_cleanlab(predictions: Sequence[Prediction], classes: Classes) -> Noise:
    """Return what confident learning suspects of parts, by the label of most photographs and their mean probability.

    Photographs of the other parts are then judged by the mean probability of their part.
    """
    defect, probability = label_arrays(predictions, classes)
    names, member = np.unique([image.group for image in predictions], return_inverse=True)
    sizes = np.bincount(member)
    shares, means = np.bincount(member, defect) / sizes, np.bincount(member, probability) / sizes
    parts = label_issues(shares >= 0.5, means)
    images = label_issues(defect, means[member]) & ~parts[member]
    contents = np.array([image.sha256 for image in predictions])
    return Noise(set(names[parts].tolist()), set(contents[images].tolist()))


def label_arrays(predictions: Sequence[Prediction], classes: Classes) -> tuple[np.ndarray, np.ndarray]:
    """Return which images are labeled defective, bool (images,), and their probabilities of a defect, float (images,)."""
    defect = np.array([image.label == classes.defect for image in predictions], bool)
    return defect, np.array([image.defect_probability for image in predictions], float)


def label_issues(defect: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return which labels confident learning takes for wrong: bool (images,)."""
    from cleanlab.filter import find_label_issues

    return find_label_issues(defect.astype(int), np.column_stack([1 - probability, probability]), n_jobs=1)


def rates(counts: Mapping[str, int]) -> dict[str, float | None]:
    """Return precision and recall; None where nothing was suspected, or nothing is wrong."""
    suspected, wrong = counts["suspected"], counts["wrong"]
    return {
        "precision": counts["rightly"] / suspected if suspected else None,
        "recall": counts["rightly"] / wrong if wrong else None,
    }


def pool(seeds: Sequence[Mapping[str, Mapping]]) -> dict[str, dict]:
    """Return sums of the counts over the seeds, and their rates."""
    pooled = {}
    for name in seeds[0]:
        counts = {count: sum(seed[name][count] for seed in seeds) for count in ("wrong", "suspected", "rightly")}
        pooled[name] = counts | rates(counts)
    return pooled


def print_table(title: str, figures: Mapping[str, Mapping]) -> None:
    """Print the counts and rates of each method."""
    print(f"\n{title:<32}{'wrong':>8}{'suspected':>11}{'rightly':>9}{'precision':>11}{'recall':>8}")
    for name, values in figures.items():
        shares = ["none" if values[rate] is None else f"{values[rate]:.3f}" for rate in ("precision", "recall")]
        print(
            f"{name:<32}{values['wrong']:>8}{values['suspected']:>11}{values['rightly']:>9}{shares[0]:>11}{shares[1]:>8}"
        )


if __name__ == "__main__":
    main()
