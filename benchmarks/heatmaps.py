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
from PIL import Image
from scipy import ndimage

from benchmarks import training
from benchmarks.prepared import Prepared, prepared, room, write
from tasks.dataset.group_split import assign
from tasks.images import loading
from tasks.images.strips import strips
from tasks.images.views import VIEWS
from tasks.records.rows import Row
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import MODEL_SPECS
from tasks.settings.settings import Places, SplitSettings, TrainingSettings

if TYPE_CHECKING:
    import keras

NEAR = 10  # pixels that the peak may lie beside the mask


class Defect(NamedTuple):
    """A photographed defect, and how far from its mask the peak lies, in pixels; None where the network calls the part good."""

    kind: str
    difficulty: str
    distance: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="ring", help="which to train")
    parser.add_argument("--epochs", type=int, help="passes over the training images; else as the recipe says")
    parser.add_argument("--file", type=Path, help="a model.keras, instead of training one")
    parser.add_argument(
        "--data", type=Path, help="folder where prepared images are kept for another call; else none are"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    with room(asked.data) as places:
        data = prepared("sample", (), places)
        settings = TrainingSettings.model_validate({"model": asked.model, "epochs": asked.epochs})
        file = asked.file or trained(data, settings)
        figures = table(judged(file, data.rows, places))
    for name, shares in figures.items():
        print(f"{name:<15}" + "".join(f"{key.replace('_', ' ')} {value:<8.3g}" for key, value in shares.items()))
    write(figures, asked.json)


def trained(data: Prepared, settings: TrainingSettings) -> Path:
    """The file of a network that is trained now."""
    rows = assign(data.rows, data.copies, SplitSettings())
    return training.learn(rows, data.classes, settings, data.places).model.file.path(data.places)


def judged(file: Path, rows: Sequence[Row], places: Places) -> list[Defect]:
    """All photographs of the published test that have a mask, by the network of a file."""
    from tasks.inference.forward import forward
    from tasks.networks import networks

    network = networks.load(file)
    view = MODEL_SPECS[network.name].view
    truth = masks(places)
    known = [row for row in rows if row.published == "test" and Path(row.path).stem in truth]
    seen = loading.load_inputs(known, view, network.input_shape[1], places).levels
    margins, _ = forward(network, seen)
    away = distances(network, seen, known, [truth[Path(row.path).stem].mask for row in known], places)
    return [
        Defect(*truth[Path(row.path).stem][:2], distance if margin >= 0 else None)
        for row, margin, distance in zip(known, margins, away, strict=True)
    ]


def distances(
    network: "keras.Model", seen: np.ndarray, rows: Sequence[Row], paths: Sequence[Path], places: Places
) -> Iterator[float]:
    """From each image's peak to the nearest pixel of its mask, in pixels."""
    from tasks.inference import heatmaps

    ringed = strips(rows, places) if VIEWS[MODEL_SPECS[network.name].view].needs_ring else [None] * len(rows)
    for path, row, strip, local in zip(paths, rows, ringed, heatmaps.maps(network, seen), strict=True):
        with Image.open(path) as mask:
            away = ndimage.distance_transform_edt(np.asarray(mask) == 0)
        x, y = heatmaps.peak(local, strip.ring if strip else None, (row.height, row.width))
        yield float(away[min(max(round(y), 0), row.height - 1), min(max(round(x), 0), row.width - 1)])


class Truth(NamedTuple):
    kind: str
    difficulty: str
    mask: Path


def masks(places: Places) -> dict[str, Truth]:
    """The truth about each defective photograph of the drawn sample, by the stem of its name."""
    found = sorted(places.data.glob("archives/sample-*-truth"))
    if len(found) != 1:
        raise BadInput(f"{len(found)} drawn samples lie in {places.data / 'archives'}, expected 1: give a fresh --data")
    with open(found[0] / "truth.csv", newline="", encoding="utf-8") as lines:
        stems = {Path(line["path"]).stem: line for line in csv.DictReader(lines)}
    paths = (found[0] / "masks").glob("*.png")
    return {path.stem: Truth(stems[path.stem]["defect"], stems[path.stem]["difficulty"], path) for path in paths}


def table(defects: Sequence[Defect]) -> dict[str, dict[str, float]]:
    """Counts, the share of the detected whose peak lies on the mask grown by 10 px, and the median distance: all, then by what they are."""
    groups = defaultdict(list)
    for defect in defects:
        for name in ("all", defect.kind, defect.difficulty):
            groups[name].append(defect)
    return {name: shares([one.distance for one in some]) for name, some in groups.items()}


def shares(away: Sequence[float | None]) -> dict[str, float]:
    detected = np.array([one for one in away if one is not None])
    return {
        "defects": len(away),
        "detected": len(detected),
        "on_the_mask": float(np.mean(detected <= NEAR)) if len(detected) else float("nan"),
        "median_distance": float(np.median(detected)) if len(detected) else float("nan"),
    }


if __name__ == "__main__":
    main()
