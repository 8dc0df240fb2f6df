"""How long does a running process take for one image, and for a folder, beside the tutorial's way and the bare decoder?

python benchmarks/predict.py --source castings.zip --file artifacts/models/DIGEST --json predict.json

Without --file a model is trained first. The tutorial's way is `load_img` and `model.predict` of its network, whose weights
play no part in the time.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
import simplejpeg

from benchmarks import training, tutorial
from benchmarks.apart import apart, seconds
from benchmarks.prepared import Prepared, arguments, prepared, room, write
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
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument(
        "--model", default="compact", help="which to train; `--epochs 1` is enough, it takes no longer to ask"
    )
    parser.add_argument("--file", type=Path, help="folder of a model, or the model.keras in it, instead")
    parser.add_argument("--images", type=int, help="at most so many of a folder")
    parser.add_argument("--singles", type=int, default=100, help="images that are asked for one at a time")
    asked = parser.parse_args()
    with room(asked.data) as places:
        data = prepared(asked.source, (), places)
        if asked.file:
            folder = asked.file if asked.file.is_dir() else asked.file.parent
        else:
            folder = made(data, TrainingSettings.model_validate({"model": asked.model, "epochs": asked.epochs}))
        figures = apart(measure, folder, jpegs(data)[: asked.images], asked.singles)
    for name, value in figures.items():
        shown = f"{value:>12,.3f}".removesuffix(".000") if isinstance(value, int | float) else f"  {value}"
        print(f"{name.replace('_', ' '):<34}{shown}")
    write(figures, asked.json)


def made(data: Prepared, settings: TrainingSettings) -> Path:
    """The folder of a model that is trained now."""
    rows = assign(data.rows, data.copies, SplitSettings())
    learnt = apart(training.learn, rows, data.classes, settings, data.places)
    return data.places.artifacts.absolute() / "models" / training.exported(learnt, data.places).digest


def jpegs(data: Prepared) -> list[Path]:
    paths = [stored_path(row, data.places) for row in data.rows]
    return [path for path in paths if BY_SUFFIX[path.suffix] is JPEG]


def measure(folder: Path, paths: Sequence[Path], singles: int) -> dict[str, float | str]:
    """Milliseconds of one image, images per second of a folder, and what limits that."""
    predictor, network = Predictor(folder), tutorial.sequential()
    some = list(paths[:singles])
    ours, theirs = medians(
        some, lambda path: list(predictor.judge([(path.name, path)])), lambda path: ask(network, path)
    )
    named = [(path.name, path) for path in paths]
    pictures = np.repeat(seen(predictor, paths[:1]), len(paths), axis=0)
    rates = {
        "folder": rate(paths, lambda: list(predictor.judge(named))),
        "bare_decoder": rate(paths, lambda: map_chunks_in_threads(decode, paths)),
        "network_alone": rate(paths, lambda: alone(predictor, pictures)),
    }
    limit = min(rates["bare_decoder"] / 2, rates["network_alone"])
    return {
        "model": predictor.decision.model,
        "processors": count_processors(),
        "single_milliseconds": ours,
        "tutorial_single_milliseconds": theirs,
        "tutorial_to_single": theirs / ours,
        "images": len(paths),
        **{f"{name}_per_second": value for name, value in rates.items()},
        "folder_to_lower_limit": rates["folder"] / limit,
        "lower_limit": "the network" if limit == rates["network_alone"] else "half of the bare decoder",
    }


def medians(paths: Sequence[Path], *ways: Callable[[Path], object]) -> list[float]:
    """Milliseconds that an image takes each way, in turn; the first image, which compiles, is not counted."""
    spent: list[list[float]] = [[] for _ in ways]
    for path in [paths[0], *paths]:
        for way, times in zip(ways, spent, strict=True):
            began = time.perf_counter()
            way(path)
            times.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(times[1:]) for times in spent]


def ask(network: "keras.Model", path: Path) -> np.ndarray:
    """The tutorial's answer to one image: the probabilities of both classes."""
    import keras

    image = keras.utils.load_img(path, target_size=(tutorial.SIDE, tutorial.SIDE))
    logits = network.predict(np.expand_dims(keras.utils.img_to_array(image), 0), verbose=0)
    return np.asarray(keras.ops.softmax(logits[0]))


def rate(paths: Sequence[Path], work: Callable[[], object]) -> float:
    """Images per second."""
    return len(paths) / statistics.median(seconds(work) for _ in range(ROUNDS))


def decode(paths: Sequence[Path]) -> list[tuple[int, ...]]:
    """What there is to do at the least: each file is read and decoded, and nothing is looked at."""
    return [simplejpeg.decode_jpeg(path.read_bytes(), colorspace="GRAY").shape for path in paths]


def seen(predictor: Predictor, paths: Sequence[Path]) -> np.ndarray:
    """Images as the network sees them, uint8 (n, height, width, planes). Raises ValueError when one shows nothing."""
    found = loading.see_all(paths, predictor.decision.view, predictor.decision.image_size)
    sights = [one.sight for one in found if isinstance(one, loading.Readable) and one.sight]
    if len(sights) < len(paths):
        raise ValueError("the first image shows nothing by the view of the model: take another source")
    return np.stack([sight.levels for sight in sights])


def alone(predictor: Predictor, pictures: np.ndarray) -> None:
    """The network's work, on images in memory."""
    from tasks.inference import forward

    forward.forward(predictor.network, pictures)


if __name__ == "__main__":
    main()
