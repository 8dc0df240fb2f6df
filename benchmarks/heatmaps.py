"""How often does the heat map's peak lie on the defect? Judged on the drawn sample, whose defects are known to the pixel.

python benchmarks/heatmaps.py --file artifacts/models/DIGEST/model.keras --json heatmaps.json

Without --file a model is trained first.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
from scipy import ndimage

from benchmarks import training
from benchmarks.preparation import PreparedImages, prepare_images, working_places, write_figures
from tasks.dataset.group_split import assign
from tasks.images import loading
from tasks.images.marks import marked_pixels
from tasks.images.strips import strips
from tasks.images.views import VIEWS
from tasks.records.rows import Row
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import MODEL_SPECS
from tasks.settings.settings import Places, SplitSettings, TrainingSettings

if TYPE_CHECKING:
    import keras

NEAR = 10  # pixels that the peak may lie beside the mask


class PeakDistance(NamedTuple):
    """A photographed defect, and how far from its mask the peak lies, in pixels; None where the network calls the part good."""

    kind: str
    difficulty: str
    distance: float | None


def main() -> None:
    """Judge the drawn sample by a network, print how far its peaks lie from the defects, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="ring", help="which to train")
    parser.add_argument("--epochs", type=int, help="passes over the training images; else as the recipe says")
    parser.add_argument("--file", type=Path, help="a model.keras, instead of training one")
    parser.add_argument(
        "--data", type=Path, help="folder where prepared images are kept for another call; else none are"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with working_places(options.data) as places:
        data = prepare_images("sample", (), places)
        settings = TrainingSettings.model_validate({"model": options.model, "epochs": options.epochs})
        file = options.file or train_network(data, settings)
        figures = summarize_groups(judge_defects(file, data.rows, places))
    for name, group in figures.items():
        print(f"{name:<15}" + "".join(f"{key.replace('_', ' ')} {value:<8.3g}" for key, value in group.items()))
    write_figures(figures, options.json)


def train_network(data: PreparedImages, settings: TrainingSettings) -> Path:
    """Return the file of a network that is trained now."""
    rows = assign(data.rows, data.copies, SplitSettings())
    return training.train_and_evaluate(rows, data.classes, settings, data.places).model.file.path(data.places)


def judge_defects(file: Path, rows: Sequence[Row], places: Places) -> list[PeakDistance]:
    """Judge all photographs of the published test that have a mask, by the network of a file."""
    from tasks.inference.forward import forward
    from tasks.networks import networks

    network = networks.load(file)
    view = MODEL_SPECS[network.name].view
    truth = read_truth(places)
    masked = [row for row in rows if row.published == "test" and Path(row.path).stem in truth]
    size = network.input_shape[1:3] if view == "detail" else network.input_shape[1]
    levels = loading.load_inputs(masked, view, size, places).levels
    margins, _ = forward(network, levels)
    distances = peak_distances(network, levels, masked, [truth[Path(row.path).stem].mask for row in masked], places)
    return [
        PeakDistance(*truth[Path(row.path).stem][:2], distance if margin >= 0 else None)
        for row, margin, distance in zip(masked, margins, distances, strict=True)
    ]


def peak_distances(
    network: "keras.Model", levels: np.ndarray, rows: Sequence[Row], paths: Sequence[Path], places: Places
) -> Iterator[float]:
    """Yield the distance from each image's peak to the nearest pixel of its mask, in pixels."""
    from tasks.inference import heatmaps

    unwrapped = strips(rows, places) if VIEWS[MODEL_SPECS[network.name].view].needs_ring else [None] * len(rows)
    for path, row, strip, heat in zip(paths, rows, unwrapped, heatmaps.maps(network, levels), strict=True):
        shape = row.height, row.width
        distances = ndimage.distance_transform_edt(~marked_pixels(path, shape))
        if MODEL_SPECS[network.name].view == "detail":
            heat = heatmaps.crop_to_picture(heat, shape, levels.shape[1:3])
        x, y = heatmaps.peak(heat, strip.ring if strip else None, shape)
        yield float(distances[min(max(round(y), 0), row.height - 1), min(max(round(x), 0), row.width - 1)])


class Truth(NamedTuple):
    """A drawn defect, and the picture that marks its pixels."""

    kind: str
    difficulty: str
    mask: Path


def read_truth(places: Places) -> dict[str, Truth]:
    """Return the truth about each defective photograph of the drawn sample, by the stem of its name."""
    folders = sorted(places.data.glob("archives/sample-*-truth"))
    if len(folders) != 1:
        raise BadInput(
            f"{len(folders)} drawn samples lie in {places.data / 'archives'}, expected 1: give a fresh --data"
        )
    with open(folders[0] / "truth.csv", newline="", encoding="utf-8") as lines:
        stems = {Path(line["path"]).stem: line for line in csv.DictReader(lines)}
    paths = (folders[0] / "masks").glob("*.png")
    return {path.stem: Truth(stems[path.stem]["defect"], stems[path.stem]["difficulty"], path) for path in paths}


def summarize_groups(defects: Sequence[PeakDistance]) -> dict[str, dict[str, float]]:
    """Return the figures of all defects, of each kind, and of each difficulty."""
    groups = defaultdict(list)
    for defect in defects:
        for name in ("all", defect.kind, defect.difficulty):
            groups[name].append(defect)
    return {name: summarize_distances([defect.distance for defect in group]) for name, group in groups.items()}


def summarize_distances(distances: Sequence[float | None]) -> dict[str, float]:
    """Return counts, the share of detected defects whose peak lies on the mask grown by 10 px, and the median distance in pixels.

    `distances` holds None for a defect that the network calls good.
    """
    detected = np.array([distance for distance in distances if distance is not None])
    return {
        "defects": len(distances),
        "detected": len(detected),
        "on_the_mask": float(np.mean(detected <= NEAR)) if len(detected) else float("nan"),
        "median_distance": float(np.median(detected)) if len(detected) else float("nan"),
    }


if __name__ == "__main__":
    main()
