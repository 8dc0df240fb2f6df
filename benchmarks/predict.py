"""How long does a running process take for one image, and for a folder, beside the tutorial's way and the bare decoder?

python benchmarks/predict.py --source castings.zip --file artifacts/models/DIGEST --json predict.json

Without --file a model is trained first. The tutorial's way is `load_img` and `model.predict` of its network, whose weights
play no part in the time.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
import simplejpeg

from benchmarks import training, tutorial
from benchmarks.isolation import run_isolated, wall_seconds
from benchmarks.preparation import PreparedImages, make_parser, prepare_images, working_places, write_figures
from tasks.dataset.group_split import assign
from tasks.images import loading
from tasks.images.decoding import BY_SUFFIX, JPEG
from tasks.inference.predictor import Predictor
from tasks.records.rows import stored_path
from tasks.settings.settings import SplitSettings, TrainingSettings
from tasks.storage.parallel import count_processors, map_chunks_in_threads

if TYPE_CHECKING:
    import keras

ROUNDS = 3  # of a folder; medians are taken


def main() -> None:
    """Measure the model of the options, print the figures, and write them."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument(
        "--model", default="compact", help="which to train; `--epochs 1` is enough, it takes no longer to ask"
    )
    parser.add_argument("--file", type=Path, help="folder of a model, or the model.keras in it, instead")
    parser.add_argument("--images", type=int, help="at most so many of a folder")
    parser.add_argument("--singles", type=int, default=100, help="images that are asked for one at a time")
    options = parser.parse_args()
    with working_places(options.data) as places:
        data = prepare_images(options.source, (), places)
        if options.file:
            folder = options.file if options.file.is_dir() else options.file.parent
        else:
            settings = TrainingSettings.model_validate({"model": options.model, "epochs": options.epochs})
            folder = train_model(data, settings)
        figures = run_isolated(measure, folder, jpeg_paths(data)[: options.images], options.singles)
    for name, value in figures.items():
        cell = f"{value:>12,.3f}".removesuffix(".000") if isinstance(value, int | float) else f"  {value}"
        print(f"{name.replace('_', ' '):<34}{cell}")
    write_figures(figures, options.json)


def train_model(data: PreparedImages, settings: TrainingSettings) -> Path:
    """Return the folder of a model that is trained now."""
    rows = assign(data.rows, data.copies, SplitSettings())
    trained = run_isolated(training.train_and_evaluate, rows, data.classes, settings, data.places)
    return data.places.artifacts.absolute() / "models" / training.export_model(trained, data.places).digest


def jpeg_paths(data: PreparedImages) -> list[Path]:
    """Return the files of the JPEGs."""
    paths = [stored_path(row, data.places) for row in data.rows]
    return [path for path in paths if BY_SUFFIX[path.suffix] is JPEG]


def measure(folder: Path, paths: Sequence[Path], singles: int) -> dict[str, float | str]:
    """Return milliseconds of one image, images per second of a folder, and what limits that."""
    predictor, network = Predictor(folder), tutorial.build_network()
    single_paths = list(paths[:singles])
    milliseconds, tutorial_milliseconds = median_milliseconds(
        single_paths,
        lambda path: list(predictor.judge([(path.name, path)])),
        lambda path: predict_as_tutorial(network, path),
    )
    named = [(path.name, path) for path in paths]
    pictures = np.repeat(load_levels(predictor, paths[:1]), len(paths), axis=0)
    rates = {
        "folder": images_per_second(paths, lambda: list(predictor.judge(named))),
        "bare_decoder": images_per_second(paths, lambda: map_chunks_in_threads(decode_only, paths)),
        "network_alone": images_per_second(paths, lambda: run_network(predictor, pictures)),
    }
    limit = min(rates["bare_decoder"] / 2, rates["network_alone"])
    return {
        "model": predictor.rule.model,
        "processors": count_processors(),
        "single_milliseconds": milliseconds,
        "tutorial_single_milliseconds": tutorial_milliseconds,
        "tutorial_to_single": tutorial_milliseconds / milliseconds,
        "images": len(paths),
        **{f"{name}_per_second": value for name, value in rates.items()},
        "folder_to_lower_limit": rates["folder"] / limit,
        "lower_limit": "the network" if limit == rates["network_alone"] else "half of the bare decoder",
    }


def median_milliseconds(paths: Sequence[Path], *ways: Callable[[Path], object]) -> list[float]:
    """Return the median milliseconds of an image for each of the ways, taken in turn. The first image, which compiles, is not counted."""
    milliseconds: list[list[float]] = [[] for _ in ways]
    for path in [paths[0], *paths]:
        for way, times in zip(ways, milliseconds, strict=True):
            times.append(1e3 * wall_seconds(partial(way, path)))
    return [statistics.median(times[1:]) for times in milliseconds]


def predict_as_tutorial(network: "keras.Model", path: Path) -> np.ndarray:
    """Return the tutorial's answer to one image: float (2,), the probabilities of both classes."""
    import keras

    image = keras.utils.load_img(path, target_size=(tutorial.SIDE, tutorial.SIDE))
    logits = network.predict(np.expand_dims(keras.utils.img_to_array(image), 0), verbose=0)
    return np.asarray(keras.ops.softmax(logits[0]))


def images_per_second(paths: Sequence[Path], work: Callable[[], object]) -> float:
    """Return the images per second of `work`, which takes all paths: the median of `ROUNDS`."""
    return len(paths) / statistics.median(wall_seconds(work) for _ in range(ROUNDS))


def decode_only(paths: Sequence[Path]) -> list[tuple[int, ...]]:
    """Read and decode each file, and return the shapes: the least work that there is."""
    return [simplejpeg.decode_jpeg(path.read_bytes(), colorspace="GRAY").shape for path in paths]


def load_levels(predictor: Predictor, paths: Sequence[Path]) -> np.ndarray:
    """Return images as the network sees them, uint8 (n, height, width, planes). Raises ValueError when one shows nothing."""
    results = loading.load_files(paths, predictor.rule.view, predictor.rule.image_size)
    inputs = [
        result.network_input for result in results if isinstance(result, loading.Readable) and result.network_input
    ]
    if len(inputs) < len(paths):
        raise ValueError("the first image shows nothing by the view of the model: take another source")
    return np.stack([picture.levels for picture in inputs])


def run_network(predictor: Predictor, pictures: np.ndarray) -> None:
    """Run the network on images in memory."""
    from tasks.inference import forward

    forward.forward(predictor.network, pictures)


if __name__ == "__main__":
    main()
