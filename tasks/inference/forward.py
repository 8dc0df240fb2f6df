"""Forward: run a network once over images, and collect all that decides about them."""

from collections.abc import Sequence

import numpy as np

from tasks.images.appearance import appearance
from tasks.inference.decision import Evidence
from tasks.inference.runtimes import Network

BATCH, PIXELS = 128, 2**24  # images and pixels at a time, at most; one image where it has more


def evidence(
    network: Network, levels: np.ndarray, residuals: Sequence[float] | np.ndarray, small_squares: np.ndarray
) -> list[Evidence]:
    """Return the evidence for each image, in order. There must be at least one image.

    Levels uint8 (images, height, width, planes), residuals (images,) and small squares uint8 (images, 75, 75) as in `InputBatch`.
    """
    margins, features = forward(network, levels)
    statistics = appearance(small_squares)
    return [Evidence(*facts) for facts in zip(margins.tolist(), features, statistics, residuals, strict=True)]


def forward(network: Network, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return margins (logit of defect less that of good) float64 (images,), and features float64 (images, n), of at least one image."""
    batch = max(1, min(BATCH, PIXELS // (levels.shape[1] * levels.shape[2])))
    outputs = [network.predict_on_batch(levels[start : start + batch]) for start in range(0, len(levels), batch)]
    logits = np.concatenate([output["logits"] for output in outputs]).astype(np.float64)
    return logits[:, 1] - logits[:, 0], np.concatenate([output["features"] for output in outputs]).astype(np.float64)
