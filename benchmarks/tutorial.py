"""Tutorial: the published recipe as its author wrote it, from folders of JPEGs to a trained network.

Its own two calls draw validation by two seeds, so that four fifths of the validation images are trained on; that is its recipe.
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.isolation import peak_bytes
from tasks.training.stopwatch import Elapsed

if TYPE_CHECKING:
    import keras

SIDE = 300  # pixels
BATCH = 32
EPOCHS = 4
VALIDATION = 0.2
SEEDS = {"training": 123, "validation": 200}


def train(folder: Path, defect: str, seed: int, epochs: int | None) -> dict:
    """Train on `folder/train`, judge `folder/test`, and return the figures. Imports and judging are not timed."""
    import keras
    import tensorflow  # noqa: F401  it loads most of itself late

    keras.utils.set_random_seed(seed)
    with redirect_stdout(sys.stderr):
        began = Elapsed.now()
        parts = [
            keras.utils.image_dataset_from_directory(
                folder / "train", validation_split=VALIDATION, subset=subset, seed=validation_seed,
                image_size=(SIDE, SIDE), batch_size=BATCH,
            )
            for subset, validation_seed in SEEDS.items()
        ]  # fmt: skip
        network = build_network()
        network.compile(
            optimizer="adam",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        network.fit(parts[0], validation_data=parts[1], epochs=epochs or EPOCHS, verbose=0)
        elapsed, peak = Elapsed.now() - began, peak_bytes()
        errors = count_errors(network, folder, defect)
    images = (epochs or EPOCHS) * len(parts[0].file_paths)
    return {
        "wall_seconds": elapsed.wall,
        "cpu_seconds": elapsed.cpu,
        "images_per_second": images / elapsed.wall,
        "peak_memory_mb": peak / 1e6,
        "parameters": network.count_params(),
        **errors,
    }


def build_network() -> "keras.Model":
    """Build its network with dropout: logits of two classes from float32 (batch, 300, 300, 3), 0-255."""
    from keras import layers, models

    blocks = [
        layer
        for filters in (16, 32, 64)
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    head = [layers.Dropout(0.2), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(2)]
    return models.Sequential([layers.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255), *blocks, *head])


def count_errors(network: "keras.Model", folder: Path, defect: str) -> dict:
    """Return accuracy and errors on the test images, each judged once."""
    import keras

    test = keras.utils.image_dataset_from_directory(
        folder / "test", shuffle=False, image_size=(SIDE, SIDE), batch_size=BATCH
    )
    labels = np.concatenate([labels for _, labels in test])
    wrong = network.predict(test, verbose=0).argmax(axis=1) != labels
    return {
        "test_accuracy": 1 - float(wrong.sum()) / len(labels),
        "test_errors": int(wrong.sum()),
        "missed_defects": int(np.sum(wrong & (labels == test.class_names.index(defect)))),
    }
