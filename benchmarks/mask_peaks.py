"""Mask peaks: does the heat map of a detected defect peak on the mask that came with its photograph?"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.heatmaps import NEAR, peak_distances
from tasks.images import loading
from tasks.images.marks import pixels_of
from tasks.records.results import Model
from tasks.records.rows import Prediction, Row, images_root
from tasks.settings.settings import Classes, Places


def count_peaks(
    model: Model, tested: Sequence[Prediction], rows: Sequence[Row], classes: Classes, places: Places
) -> dict[str, int]:
    """Count the judged defects with a mask, those of them that the network detects, and the peaks on the mask grown by 10 pixels.

    A defect is detected where it is rejected, or likelier than none. `rows` are all images; the network judged those of `tested`.
    """
    by_path = {(row.origin, row.path): row for row in rows}
    defects = [
        (prediction, row)
        for prediction in tested
        for row in [by_path[prediction.origin, prediction.path]]
        if row.label == classes.defect and marks_something(row, places)
    ]
    detected = [row for prediction, row in defects if is_detected(prediction)]
    distances = distances_to_masks(model, detected, places)
    return {"masked": len(defects), "detected": len(detected), "on_the_mask": sum(value <= NEAR for value in distances)}


def is_detected(prediction: Prediction) -> bool:
    """Return whether a defect would be noticed, by the decision or by the likelier class."""
    return prediction.decision == "reject" or prediction.defect_probability >= 0.5


def marks_something(row: Row, places: Places) -> bool:
    """Return whether an image has a mask that is not empty."""
    return bool(row.mask) and bool(pixels_of(row, places).any())


def distances_to_masks(model: Model, rows: Sequence[Row], places: Places) -> list[float]:
    """Return how far the peak of each image's map lies from its mask, in pixels of the photograph."""
    if not rows:
        return []
    from tasks.networks import networks  # late, with TensorFlow

    network = networks.load(model.file.path(places))
    levels = loading.load_inputs(rows, model.view, model.image_size, places).levels
    return list(peak_distances(network, levels, rows, [Path(images_root(places), row.mask) for row in rows], places))
