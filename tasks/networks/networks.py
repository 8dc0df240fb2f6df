"""Networks: raw grey levels in; logits and features out. Keras operations only, so that any backend can run them.

A network takes float32 (batch, height, width, planes), 0-255, as `views.shape` says, rescales by itself, and gives `logits`, float32
(batch, 2), good then defect, and `features`, float32 (batch, n), by which images are compared. `compact` and `ring` also
give `map`, float32 (batch, rows, columns): how strongly each place speaks for a defect, as a logit.
"""

import hashlib
import json
import random
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from tasks.images.views import shape
from tasks.settings.model_specs import MODEL_SPECS, ModelName

HALO = 32  # columns by which a strip is continued at both ends, so that no filter meets an edge
GREATEST = 8  # places whose mean speaks for the image

Draw = Callable[[], int]  # gives the seed of the next layer


def build(name: ModelName, image_size: int, seed: int = 0) -> keras.Model:
    """Build the network of this name with new weights, which depend on `seed` alone.

    Each layer gets a seed of its own. Without one, Keras would draw it from Python's global generator, which every thread shares.
    Every layer and operation is named here: Keras' own names count those of the process, and would make equal networks differ.
    """
    image = keras.Input(shape(MODEL_SPECS[name].view, image_size), name="image")
    draw = partial(random.Random(seed).randint, 1, 10**9)
    network = keras.Model(image, BODIES[name](image, draw), name=name)
    for number, operation in enumerate(network.operations):
        if not isinstance(operation, layers.Layer):
            operation.name = f"{type(operation).__name__.lower()}_{number}"
    return network


def compact(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """A small network: four blocks, then the mean and the greatest of each map, so that a small defect counts."""
    x = layers.Rescaling(1 / 255, name="rescale")(x)
    x = block(x, draw, 16, "16", size=6, strides=2)
    for filters in (24, 48, 96):
        x = block(x, draw, filters, f"{filters}")
        x = layers.MaxPooling2D(name=f"pool_{filters}")(x)
    pooled = [layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D(name="greatest")(x)]
    features = layers.Concatenate(name="features")(pooled)
    return {
        "logits": layers.Dense(2, kernel_initializer=new_weights(draw), name="logits", dtype="float32")(features),
        "features": features,
    }


def block(
    x: keras.KerasTensor, draw: Draw, filters: int, name: str, size: int = 3, strides: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer=new_weights(draw), name=f"convolve_{name}"
    )(x)
    # Keras' momentum of 0.99 would not settle in the few steps of a small data set
    x = layers.BatchNormalization(momentum=0.9, name=f"normalize_{name}")(x)
    return layers.ReLU(name=f"activate_{name}")(x)


def new_weights(draw: Draw) -> keras.initializers.Initializer:
    """Draw new weights as Keras does where nothing else is asked for, with a seed of their own."""
    return keras.initializers.GlorotUniform(seed=draw())


def ring(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """A network of local logits over the detail of the unwrapped ring; the mean of the greatest few is the image's."""
    x = layers.Rescaling(1 / 64, offset=-2, name="rescale")(x)
    x = ops.concatenate([x[:, :, -HALO:], x, x[:, :, :HALO]], axis=2)
    # multiplied, since TensorFlow would rewrite a sum as a bias of one number a plane
    heights = ops.ones_like(x[..., :1]) * ops.reshape(ops.linspace(-1.0, 1.0, x.shape[1]), (1, -1, 1, 1))
    x = ops.concatenate([x, heights], axis=3)  # whether a mark is a fault depends on how far out it lies
    # filters of even size where they stride, so that every place of the map lies in the middle of what it was made of
    for number, (filters, size, strides) in enumerate(((16, 8, 4), (32, 3, 1), (48, 4, 2), (64, 3, 1))):
        x = block(x, draw, filters, f"{number}", size, strides)
    x = x[:, :, HALO // 8 : -HALO // 8]
    local = layers.Conv2D(1, 1, kernel_initializer=new_weights(draw), name="local", dtype="float32")(x)[..., 0]
    greatest = ops.top_k(layers.Flatten(name="places")(local), GREATEST)[0]
    logit = layers.GlobalAveragePooling1D(name="mean_of_greatest")(greatest[..., None])
    pooled = [layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D(name="greatest")(x)]
    return {
        "logits": ops.concatenate([-logit / 2, logit / 2], axis=1),
        "features": layers.Concatenate(name="features")(pooled),
        "map": local,
    }


def tutorial(x: keras.KerasTensor, draw: Draw, dropout: float = 0.0) -> dict[str, keras.KerasTensor]:
    """The published tutorial's network, which sees the grey plane three times."""
    x = layers.Rescaling(1 / 255, name="rescale")(x)
    x = layers.Concatenate(name="colour")([x, x, x])
    for filters in (16, 32, 64):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=new_weights(draw),
            name=f"convolve_{filters}",
        )(x)
        x = layers.MaxPooling2D(name=f"pool_{filters}")(x)
    x = layers.Flatten(name="flatten")(layers.Dropout(dropout, seed=draw(), name="drop")(x) if dropout else x)
    features = layers.Dense(128, activation="relu", kernel_initializer=new_weights(draw), name="features")(x)
    return {
        "logits": layers.Dense(2, kernel_initializer=new_weights(draw), name="logits", dtype="float32")(features),
        "features": features,
    }


BODIES: dict[ModelName, Callable[[keras.KerasTensor, Draw], dict[str, keras.KerasTensor]]] = {
    "compact": compact,
    "ring": ring,
    "tutorial": tutorial,
    "tutorial_dropout": partial(tutorial, dropout=0.2),
}


def classifier(network: keras.Model) -> keras.Model:
    """The logits alone, on the same weights: this model is compiled and fitted, so the network is saved without an optimizer."""
    return keras.Model(network.inputs, network.output["logits"])


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
    """Writes the network; equal weights give an equal file, since the date of saving and addresses in memory are left out."""
    saved = path.with_name(f"dated-{path.name}")
    network.save(saved)
    with zipfile.ZipFile(saved) as dated, zipfile.ZipFile(path, "w") as undated:
        for name in sorted(dated.namelist()):
            content = dated.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "date_saved": ""}).encode()
            elif name == "config.json":
                content = numbered(content)
            undated.writestr(zipfile.ZipInfo(name), content)
    saved.unlink()


def numbered(config: bytes) -> bytes:
    """Keras marks what several layers share by where it lay in memory; here by the order in which it is first met."""
    met: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda found: found[1] + str(met.setdefault(found[2], len(met))).encode(),
        config,
    )


def load(path: Path) -> keras.Model:
    """A saved network; safe mode refuses code inside the file."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
