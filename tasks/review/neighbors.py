"""Neighbors: the labeled parts that look most like a photograph, so that a person can compare."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.evaluation.baselines import SIDE, correlations, standardize
from tasks.images import loading
from tasks.images.views import square
from tasks.labeling.product import Product
from tasks.records.rows import Row
from tasks.review.access import Refusal
from tasks.review.pictures import load_gray
from tasks.settings.settings import Places

MOST_REFERENCES = 2_000  # labeled images that are compared: 8 MB


class Neighbors:
    """The labeled images of the last run, ready to be compared."""

    def __init__(self, product: Product, places: Places):
        """Load the thumbnails of labeled images, as many of each class. Raises BadInput where one cannot be read."""
        self.classes = product.classes
        self.rows = [
            row
            for label in (self.classes.defect, self.classes.good)
            for row in [row for row in product.rows.values() if row.label == label][: MOST_REFERENCES // 2]
        ]
        patterns = standardize(loading.thumbnails(self.rows, places))
        self._columns = patterns.reshape(len(patterns), SIDE * SIDE).T

    def nearest(self, path: Path, sha256: str, group: str = "") -> Sequence[Row]:
        """Return the most similar defective and the most similar good image, of another part where parts are known.

        Similar are images with equal light and pose: the correlation of 32 x 32 thumbnails, the greatest of eight poses. Fewer where a
        class has no image; none where the photograph cannot be read.
        """
        try:
            _, levels = load_gray(path)
        except Refusal:
            return []
        pattern = standardize(square(levels, loading.THUMBNAIL)[None])
        alike = correlations(pattern, self._columns)[0]
        is_other = np.array([row.sha256 != sha256 and (not group or row.group != group) for row in self.rows], bool)
        labels = np.array([row.label for row in self.rows], object)
        nearest = []
        for label in (self.classes.defect, self.classes.good):
            candidates = np.flatnonzero(is_other & (labels == label))
            if len(candidates):
                nearest.append(self.rows[candidates[alike[candidates].argmax()]])
        return nearest
