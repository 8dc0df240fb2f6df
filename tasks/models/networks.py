"""Networks: raw grey levels in; logits and features out. Keras operations only, so that any backend can run them.

A network takes float32 (batch, size, size, 1), grey 0-255, rescales by itself, and gives `logits`, float32
(batch, 2), good then defect, and `features`, float32 (batch, n), the layer before them.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tasks.runs.config import ModelName


def build(name: ModelName, image_size: int) -> keras.Model:
    """The network of this name with new weights, drawn from Keras' global seed.

    Every layer is named here: Keras' own names count the layers of the process, and would make equal networks differ.
    """
    image = keras.Input((image_size, image_size, 1), name="image")
    scaled = layers.Rescaling(1 / 255, name="rescale")(image)
    features = (
        compact(scaled) if name == "compact" else tutorial(scaled, dropout=0.2 if name == "tutorial_dropout" else 0.0)
    )
    logits = layers.Dense(2, name="logits", dtype="float32")(features)
    return keras.Model(image, {"logits": logits, "features": features}, name=name)


def compact(x: keras.KerasTensor) -> keras.KerasTensor:
    """Features of a small network: four blocks, then the mean and the greatest of each map, so that a small defect counts."""
    for filters in (16, 32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"convolve_{filters}")(x)
        # Keras' momentum of 0.99 would not settle in the few steps of a small data set
        x = layers.BatchNormalization(momentum=0.9, name=f"normalize_{filters}")(x)
        x = layers.ReLU(name=f"activate_{filters}")(x)
        x = layers.MaxPooling2D(name=f"pool_{filters}")(x)
    pooled = [layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D(name="greatest")(x)]
    return layers.Concatenate(name="features")(pooled)


def tutorial(x: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """Features of the published tutorial's network, which sees the grey plane three times."""
    x = layers.Concatenate(name="colour")([x, x, x])
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"convolve_{filters}")(x)
        x = layers.MaxPooling2D(name=f"pool_{filters}")(x)
    x = layers.Flatten(name="flatten")(layers.Dropout(dropout, name="drop")(x) if dropout else x)
    return layers.Dense(128, activation="relu", name="features")(x)


def classifier(network: keras.Model) -> keras.Model:
    """The logits alone, on the same weights: this model is compiled and fitted, so the network is saved without an optimizer."""
    return keras.Model(network.inputs, network.output["logits"])


def defect_probabilities(network: keras.Model, images: np.ndarray, batch_size: int = 128) -> np.ndarray:
    """The probability of a defect of each image: float64 (n,), from uint8 (n, size, size, 1). Every image counts once."""
    chunks = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    logits = np.concatenate([np.asarray(network(chunk, training=False)["logits"]) for chunk in chunks]).astype(
        np.float64
    )
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))  # the softmax of two logits


def weights_digest(network: keras.Model) -> str:
    """sha256 over the weights in their order: equal for equal weights, which a saved file's digest is not."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def summary(network: keras.Model) -> str:
    """The layers as a table, for people."""
    lines: list[str] = []
    network.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)


def save(network: keras.Model, path: Path) -> None:
    """Writes the network; equal weights give an equal file, since the date of saving is left out."""
    saved = path.with_name(f"dated-{path.name}")
    network.save(saved)
    with zipfile.ZipFile(saved) as dated, zipfile.ZipFile(path, "w") as undated:
        for name in sorted(dated.namelist()):
            content = dated.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "date_saved": ""}).encode()
            undated.writestr(zipfile.ZipInfo(name), content)
    saved.unlink()


def load(path: Path) -> keras.Model:
    """A saved network; safe mode refuses code inside the file."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
