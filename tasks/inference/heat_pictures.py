"""Heat pictures: a photograph under the heat map of the model that judges it."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.images import loading
from tasks.images.crops import find_shares, pixel_box
from tasks.images.detail import resize
from tasks.images.levels import Least
from tasks.images.views import VIEWS
from tasks.inference import heatmaps, runtimes
from tasks.inference.predictor import Predictor
from tasks.settings.errors import BadInput
from tasks.settings.frames import sides
from tasks.storage.files import publish, scratch_beside

if TYPE_CHECKING:
    import keras

SIDE = 900  # pixels of the longer side of a picture that is written


class HeatPainter:
    """Paints photographs with the heat maps of one model. The network is loaded with the first photograph."""

    def __init__(self, predictor: Predictor):
        """Take the model that judges."""
        self.predictor = predictor

    @cached_property
    def _keras_network(self) -> "keras.Model":
        """Return the network as Keras trained it: gradients need it."""
        return runtimes.load(self.predictor.folder / runtimes.NAMES["keras"])

    def paint(self, path: Path, side: int) -> np.ndarray:
        """Return the photograph under its heat map, uint8 (height, width, 3), its longer side at most `side` pixels.

        Raises BadInput where it cannot be read, and where the model sees no part in it.
        """
        pixels = loading.load_levels(path, Least())
        rule = self.predictor.rule
        shape = pixels.shape[0], pixels.shape[1]
        seen = pixel_box(find_shares(pixels, rule.crop), shape)
        cropped = pixels[seen.slices]
        view = VIEWS[rule.view].make_input(cropped, rule.image_size)
        if view is None:
            raise BadInput(f"{path.name} shows no part that the model can see")
        heat = (self._map_of(view.levels) - rule.offset) / rule.temperature
        if rule.view == "detail":
            heat = heatmaps.crop_to_picture(heat, (seen.height, seen.width), sides(rule.image_size))
        ring = None
        if VIEWS[rule.view].needs_ring:
            from tasks.images import ring_search  # late: it needs SciPy

            ring = ring_search.find(cropped)
            ring = ring.moved(seen.left, seen.top) if ring else None
        spread = heatmaps.heat_over_photograph(heat, ring, shape, side, seen)
        painted = heatmaps.paint(resize(pixels, (side, side)), spread)
        scale = min(1.0, side / max(shape))
        height, width = (max(1, round(length * scale)) for length in shape)
        return np.asarray(Image.fromarray(painted).resize((width, height), Image.Resampling.LANCZOS))

    def _map_of(self, levels: np.ndarray) -> np.ndarray:
        """Return how strongly each place of a view uint8 (height, width, planes) speaks for a defect: float32 (rows, columns)."""
        outputs = self.predictor.network.predict_on_batch(levels[None])
        if "map" in outputs:
            return np.asarray(outputs["map"][0], np.float32)
        return heatmaps.maps(self._keras_network, levels[None])[0]


def write_picture(painter: HeatPainter, path: Path, target: Path) -> Path:
    """Write a photograph under its heat map as a PNG, whole or not at all, and return its path. Raises BadInput as `paint` does."""
    picture = Image.fromarray(painter.paint(path, SIDE))
    with scratch_beside(target) as scratch:
        picture.save(scratch, "PNG")
        publish(scratch, target)
    return target
