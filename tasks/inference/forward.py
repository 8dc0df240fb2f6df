"""Inference: what a network says of images, in one pass."""

from collections.abc import Sequence

import numpy as np

from tasks.images.appearance import appearance
from tasks.inference.decision import Evidence
from tasks.inference.runtimes import Network

BATCH = 128  # images


def evidence(
    network: Network, levels: np.ndarray, residuals: Sequence[float] | np.ndarray, glances: np.ndarray
) -> list[Evidence]:
    """What decides about each of at least one image, in order.

    Levels uint8 (images, height, width, planes) and residuals (images,) as of `pixels.Sights`, glances uint8 (images, 75, 75).
    """
    margins, features = forward(network, levels)
    statistics = appearance(glances)
    return [Evidence(*one) for one in zip(margins.tolist(), features, statistics, residuals, strict=True)]


def forward(network: Network, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins (logit of defect less that of good) float64 (images,), and features float64 (images, n), of at least one image."""
    said = [network.predict_on_batch(levels[start : start + BATCH]) for start in range(0, len(levels), BATCH)]
    logits = np.concatenate([one["logits"] for one in said]).astype(np.float64)
    return logits[:, 1] - logits[:, 0], np.concatenate([one["features"] for one in said]).astype(np.float64)
