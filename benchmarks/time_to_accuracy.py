"""What does it take to train compact and ring from JPEG files on, beside the tutorial's recipe, and how well do they judge?

python benchmarks/time_to_accuracy.py --source castings.zip --published --seeds 3 --json time.json

Each training has a process of its own. Decoding, finding rings and validation passes are counted; imports and judging the
test are not. `ring_kept` is ring where the strips are kept already, as after an audit.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks import training, tutorial
from benchmarks.folds import score_predictions
from benchmarks.isolation import run_isolated
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.dataset.group_split import assign
from tasks.records.rows import BASE, Row, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places, SplitSettings, TrainingSettings
from tasks.storage.result_cache import NAME

MODELS = ("tutorial", "compact", "ring", "ring_kept")
WIDTHS = {
    "wall_seconds": ".1f", "cpu_seconds": ".1f", "images_per_second": ",.0f", "peak_memory_mb": ",.0f",
    "parameters": ",.0f", "test_accuracy": ".2%", "test_errors": "g", "missed_defects": "g",
}  # fmt: skip


def main() -> None:
    """Measure the trainings, print medians and ratios, and write them."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--models", type=split_names, default=["tutorial", "compact"], help=f"of {', '.join(MODELS)}")
    parser.add_argument("--seeds", type=int, default=3, help="medians are over so many trainings of each")
    parser.add_argument("--batch-size", type=int, help="images a step of compact and ring; else as for this device")
    parser.add_argument("--published", action="store_true", help="nothing is held back from train, as in the tutorial")
    options = parser.parse_args()
    if unknown := set(options.models) - set(MODELS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(MODELS)}")
    with working_places(options.data) as places:
        data = prepare_images(options.source, (), places)
        splitting = SplitSettings(protocol="published" if options.published else "cleaned")
        trainings = measure_trainings(
            data, splitting, options.models, options.seeds, options.epochs, options.batch_size
        )
    figures = {model: median_figures(trainings[model]) for model in options.models}
    if "tutorial" in figures:
        figures |= {
            model: medians | tutorial_ratios(medians, figures["tutorial"])
            for model, medians in figures.items()
            if model != "tutorial"
        }
    print_table(figures)
    write_figures(figures, options.json)


def measure_trainings(
    data: PreparedImages,
    splitting: SplitSettings,
    models: Sequence[str],
    seeds: int,
    epochs: int | None,
    batch_size: int | None,
) -> dict[str, list[dict]]:
    """Return the figures of each training, in the order of the seeds. Every other seed takes the models in reverse."""
    rows = assign(data.rows, data.copies, splitting)
    trainings: dict[str, list[dict]] = {model: [] for model in models}
    with tempfile.TemporaryDirectory() as scratch:
        folder = link_class_folders(data, Path(scratch, "files"))
        for seed in range(seeds):
            for model in models if seed % 2 == 0 else models[::-1]:
                if model == "tutorial":
                    figures = run_isolated(tutorial.train, folder, data.classes.defect, seed, epochs)
                else:
                    figures = measure_training(data, rows, model, TrainingSettings.model_validate({
                        "model": model.removesuffix("_kept"), "seed": seed, "epochs": epochs, "batch_size": batch_size,
                    }))  # fmt: skip
                print(format_row(f"{model}, seed {seed}", figures), file=sys.stderr, flush=True)
                trainings[model].append(figures)
    return trainings


def link_class_folders(data: PreparedImages, folder: Path) -> Path:
    """Link the published images into class folders, as the tutorial expects them. Raises BadInput where no test was published."""
    for row in data.rows:
        link = folder / row.published / row.label / Path(row.path).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(stored_path(row, data.places).absolute())
    if not (folder / "test").is_dir():
        raise BadInput("the source has no folder test/: the tutorial's recipe is judged on a published test")
    return folder


def measure_training(data: PreparedImages, rows: Sequence[Row], model: str, settings: TrainingSettings) -> dict:
    """Return the figures of one of the pipeline's own trainings. But for `_kept`, nothing is cached of the images beforehand."""
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(data=Path(scratch, "data"), artifacts=Path(scratch, "artifacts"))
        places.data.mkdir()
        for name in ("images", NAME) if model.endswith("_kept") else ("images",):
            (places.data / name).symlink_to(data.places.data.absolute() / name)
        trained = run_isolated(training.train_and_evaluate, rows, data.classes, settings, places)
    castings = {row.sha256: row.group for row in rows}
    published = [prediction for prediction in trained.tested if prediction.origin == BASE]
    scores = score_predictions(published, castings, data.classes)
    return {
        "wall_seconds": trained.model.wall_seconds,
        "cpu_seconds": trained.model.cpu_seconds,
        "images_per_second": trained.model.images_per_second,
        "peak_memory_mb": trained.peak_bytes / 1e6,
        "parameters": trained.model.parameters,
        "test_accuracy": scores["accuracy"],
        "test_errors": scores["missed_defects"] + scores["false_rejects"],
        **{name: scores[name] for name in ("missed_defects", "passed_defects", "rejected_good", "reviews")},
        "missed_at_threshold": sum(
            prediction.label == data.classes.defect and prediction.defect_probability < trained.evaluation.threshold
            for prediction in published
        ),
    }


def median_figures(trainings: Sequence[dict]) -> dict:
    """Return the median of each figure, the mean number of errors, and the figures of each training."""
    return {
        **{key: statistics.median(training[key] for training in trainings) for key in trainings[0]},
        "mean_test_errors": statistics.fmean(training["test_errors"] for training in trainings),
        "trainings": list(trainings),
    }


def tutorial_ratios(figures: dict, tutorial: dict) -> dict:
    """Return how many times as much this takes as the tutorial's recipe."""
    keys = ("wall_seconds", "cpu_seconds", "peak_memory_mb", "parameters")
    return {"to_tutorial": {key: figures[key] / tutorial[key] for key in keys}}


def format_row(name: str, figures: dict) -> str:
    """Return a row of the table."""
    return f"{name:<18}" + "".join(f"{figures[key]:>14{form}}" for key, form in WIDTHS.items())


def print_table(figures: dict[str, dict]) -> None:
    """Print the medians of each model, and its ratios to the tutorial."""
    columns = ("wall, s", "CPU, s", "images/s", "peak, MB", "parameters", "accuracy", "errors", "missed")
    print(f"{'median':<18}" + "".join(f"{column:>14}" for column in columns))
    for model, medians in figures.items():
        print(format_row(model, medians))
    for model, medians in figures.items():
        for key, ratio in medians.get("to_tutorial", {}).items():
            print(f"{model} to tutorial, {key.replace('_', ' ')}: {ratio:.3f} (1 / {1 / ratio:.1f})")


if __name__ == "__main__":
    main()
