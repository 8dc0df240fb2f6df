"""Showcase: heat maps and similar labeled parts, made once and kept in memory."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from tasks.inference import model_folder
from tasks.inference.heat_pictures import HeatPainter
from tasks.inference.predictor import Predictor
from tasks.labeling.product import Product
from tasks.records.rows import Row, stored_path
from tasks.review.access import Refusal
from tasks.review.desk import Desk
from tasks.review.neighbors import Neighbors
from tasks.review.pictures import SIDE, encode_jpeg, encode_photograph, load_gray, require_intact
from tasks.review.queues import Card
from tasks.settings.errors import BadInput
from tasks.tracking import registry


class Showcase:
    """What stands beside a photograph."""

    def __init__(self, desk: Desk):
        """Take the desk, whose product and places it shows. Nothing is loaded before somebody asks."""
        self.desk = desk
        self._lock = threading.Lock()
        self._neighbors: tuple[Product, Neighbors] | None = None
        self._painter: HeatPainter | None = None
        self._heat = lru_cache(maxsize=64)(paint_heat)
        self._nearest = lru_cache(maxsize=4_096)(self._find_nearest)

    def neighbors(self, card: Card) -> Sequence[Row]:
        """Return the most similar labeled parts, one of each class; none where there are none at hand."""
        return self._nearest(card, str(self.desk.product.run))

    def _find_nearest(self, card: Card, run: str) -> Sequence[Row]:
        """Return the neighbors by the images of this run."""
        product = self.desk.product
        with self._lock:
            if self._neighbors is None or self._neighbors[0] is not product:
                try:
                    self._neighbors = product, Neighbors(product, self.desk.places)
                except BadInput:  # an image of the run is gone
                    return ()
            row = product.rows.get(card.sha256)
            return self._neighbors[1].nearest(card.path, card.sha256, row.group if row else "")

    def labeled(self, sha256: str, side: int) -> bytes:
        """Return a labeled image of the last run as JPEG. Raises Refusal where the run did not know it."""
        row = self.desk.product.rows.get(sha256)
        if row is None:
            raise Refusal(404, "unknown_photograph")
        return encode_photograph(stored_path(row, self.desk.places), sha256, side)

    def heat(self, card: Card) -> bytes:
        """Return the photograph under the heat map of the model in use, as JPEG. Raises Refusal where there is none."""
        version = registry.champion(self.desk.places)
        if version is None:
            raise Refusal(404, "no_heat", why="no model is in use")
        with self._lock:
            if self._painter is None or self._painter.predictor.version != version.number:
                self._painter = HeatPainter(
                    Predictor(model_folder.ensure_local(version, self.desk.places), version.number)
                )
            return self._heat(card.path, card.sha256, self._painter)


def paint_heat(path: Path, sha256: str, painter: HeatPainter) -> bytes:
    """Return a photograph under its heat map as JPEG. Raises Refusal where it has changed, or where the model sees no part in it."""
    require_intact(path, sha256)
    load_gray(path)  # the painter takes validated photographs, of any size
    try:
        return encode_jpeg(Image.fromarray(painter.paint(path, SIDE)))
    except BadInput as fault:
        raise Refusal(404, "no_heat", why=str(fault)) from fault
