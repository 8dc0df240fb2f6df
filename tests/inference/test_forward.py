"""Forward: a network sees few large pictures at a time, and answers in order."""

import numpy as np
import pytest

from tasks.inference.forward import BATCH, PIXELS, forward


class MeanNetwork:
    """A network whose margin is the mean level of a picture; it notes how many pictures it sees at a time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(levels))
        mean = levels.mean(axis=(1, 2, 3))
        return {"logits": np.stack([-mean / 2, mean / 2], axis=1), "features": mean[:, None]}


@pytest.mark.parametrize(
    ("images", "shape", "batches"),
    [
        (BATCH + 3, (8, 8), [BATCH, 3]),
        (5, (2_048, 4_096), [2, 2, 1]),
        (2, (4_096, 4_100), [1, 1]),  # more pixels than are seen at a time
    ],
)
def test_large_pictures_are_seen_few_at_a_time_and_answered_in_order(images, shape, batches):
    assert shape[0] * shape[1] * batches[0] <= PIXELS or batches[0] == 1
    network = MeanNetwork()
    levels = np.broadcast_to(np.arange(images, dtype=np.uint8)[:, None, None, None], (images, *shape, 1))
    margins, features = forward(network, levels)
    assert network.batches == batches
    assert margins == pytest.approx(np.arange(images))
    assert features.shape == (images, 1)
