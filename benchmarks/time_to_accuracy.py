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
from benchmarks.apart import apart
from benchmarks.folds import counts
from benchmarks.prepared import Prepared, arguments, names, prepared, room, write
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
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--models", type=names, default=["tutorial", "compact"], help=f"of {', '.join(MODELS)}")
    parser.add_argument("--seeds", type=int, default=3, help="medians are over so many trainings of each")
    parser.add_argument("--batch-size", type=int, help="images a step of compact and ring; else as for this device")
    parser.add_argument("--published", action="store_true", help="nothing is held back from train, as in the tutorial")
    asked = parser.parse_args()
    if unknown := set(asked.models) - set(MODELS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(MODELS)}")
    with room(asked.data) as places:
        data = prepared(asked.source, (), places)
        splitting = SplitSettings(protocol="published" if asked.published else "cleaned")
        found = measure(data, splitting, asked.models, asked.seeds, asked.epochs, asked.batch_size)
    figures = {model: medians(found[model]) for model in asked.models}
    if "tutorial" in figures:
        figures |= {
            model: one | ratios(one, figures["tutorial"]) for model, one in figures.items() if model != "tutorial"
        }
    show(figures)
    write(figures, asked.json)


def measure(
    data: Prepared,
    splitting: SplitSettings,
    models: Sequence[str],
    seeds: int,
    epochs: int | None,
    batch_size: int | None,
) -> dict[str, list[dict]]:
    """The figures of each training, in the order of the seeds; every other seed takes the models in reverse."""
    rows = assign(data.rows, data.copies, splitting)
    found: dict[str, list[dict]] = {model: [] for model in models}
    with tempfile.TemporaryDirectory() as scratch:
        folder = laid_out(data, Path(scratch, "files"))
        for seed in range(seeds):
            for model in models if seed % 2 == 0 else models[::-1]:
                if model == "tutorial":
                    one = apart(tutorial.learn, folder, data.classes.defect, seed, epochs)
                else:
                    one = trained(data, rows, model, TrainingSettings.model_validate({
                        "model": model.removesuffix("_kept"), "seed": seed, "epochs": epochs, "batch_size": batch_size,
                    }))  # fmt: skip
                print(line(f"{model}, seed {seed}", one), file=sys.stderr, flush=True)
                found[model].append(one)
    return found


def laid_out(data: Prepared, folder: Path) -> Path:
    """The published images in class folders, as the tutorial expects them. Raises BadInput where no test was published."""
    for row in data.rows:
        link = folder / row.published / row.label / Path(row.path).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(stored_path(row, data.places).absolute())
    if not (folder / "test").is_dir():
        raise BadInput("the source has no folder test/: the tutorial's recipe is judged on a published test")
    return folder


def trained(data: Prepared, rows: Sequence[Row], model: str, settings: TrainingSettings) -> dict:
    """The figures of one training of the pipeline's own. But for `_kept`, nothing is known of the images beforehand."""
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(data=Path(scratch, "data"), artifacts=Path(scratch, "artifacts"))
        places.data.mkdir()
        for name in ("images", NAME) if model.endswith("_kept") else ("images",):
            (places.data / name).symlink_to(data.places.data.absolute() / name)
        learnt = apart(training.learn, rows, data.classes, settings, places)
    castings = {row.sha256: row.group for row in rows}
    published = [one for one in learnt.tested if one.origin == BASE]
    found = counts(published, castings, data.classes)
    return {
        "wall_seconds": learnt.model.wall_seconds,
        "cpu_seconds": learnt.model.cpu_seconds,
        "images_per_second": learnt.model.images_per_second,
        "peak_memory_mb": learnt.peak_bytes / 1e6,
        "parameters": learnt.model.parameters,
        "test_accuracy": found["accuracy"],
        "test_errors": found["missed_defects"] + found["false_rejects"],
        **{name: found[name] for name in ("missed_defects", "passed_defects", "rejected_good", "reviews")},
        "missed_at_threshold": sum(
            one.label == data.classes.defect and one.defect_probability < learnt.evaluation.threshold
            for one in published
        ),
    }


def medians(trainings: Sequence[dict]) -> dict:
    """The median of each figure, the mean number of errors, and all of them."""
    return {
        **{key: statistics.median(one[key] for one in trainings) for key in trainings[0]},
        "mean_test_errors": statistics.fmean(one["test_errors"] for one in trainings),
        "trainings": list(trainings),
    }


def ratios(one: dict, tutorial: dict) -> dict:
    """How many times as much as the tutorial's recipe takes."""
    keys = ("wall_seconds", "cpu_seconds", "peak_memory_mb", "parameters")
    return {"to_tutorial": {key: one[key] / tutorial[key] for key in keys}}


def line(name: str, one: dict) -> str:
    return f"{name:<18}" + "".join(f"{one[key]:>14{form}}" for key, form in WIDTHS.items())


def show(figures: dict[str, dict]) -> None:
    heads = ("wall, s", "CPU, s", "images/s", "peak, MB", "parameters", "accuracy", "errors", "missed")
    print(f"{'median':<18}" + "".join(f"{head:>14}" for head in heads))
    for model, one in figures.items():
        print(line(model, one))
    for model, one in figures.items():
        for key, ratio in one.get("to_tutorial", {}).items():
            print(f"{model} to tutorial, {key.replace('_', ' ')}: {ratio:.3f} (1 / {1 / ratio:.1f})")


if __name__ == "__main__":
    main()
