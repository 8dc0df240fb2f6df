"""Networks: build, save and load the networks. Raw gray levels go in, logits and features come out.

They are built of Keras operations only, so that any backend can run them.

A network takes float32 (batch, height, width, planes), 0-255, as `views.shape` says, and rescales by itself. It returns `logits`,
float32 (batch, 2), good then defect, and `features`, float32 (batch, n), by which images are compared. `ring` and `patch` also return
`map`, float32 (batch, rows, columns): how strongly each place speaks for a defect, as a logit.
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
from keras import layers

from tasks.images.views import shape
from tasks.networks.backbone import backbone
from tasks.networks.blocks import Draw
from tasks.networks.compact import compact
from tasks.networks.patch import patch
from tasks.networks.ring import ring
from tasks.networks.tutorial import tutorial
from tasks.settings.model_specs import MODEL_SPECS, InputSize, ModelName


def build(name: ModelName, image_size: InputSize, seed: int = 0) -> keras.Model:
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


BODIES: dict[ModelName, Callable[[keras.KerasTensor, Draw], dict[str, keras.KerasTensor]]] = {
    "compact": compact,
    "ring": ring,
    "patch": patch,
    "normal": patch,
    "backbone": backbone,
    "tutorial": tutorial,
    "tutorial_dropout": partial(tutorial, dropout=0.2),
}


def learning_outputs(network: keras.Model, *, with_map: bool = False) -> keras.Model:
    """Return a model of the logits alone, or of `logits` and `map` by name, on the same weights.

    It is fitted in place of the network, which stays without an optimizer.
    """
    outputs = network.output
    return keras.Model(
        network.inputs, {name: outputs[name] for name in ("logits", "map")} if with_map else outputs["logits"]
    )


def weights_digest(network: keras.Model) -> str:
    """Return the sha256 over the weights in order. It is equal for equal weights, which the digest of a saved file is not."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights())).hexdigest()


def summary(network: keras.Model) -> str:
    """Return the layers as a table, for people."""
    lines: list[str] = []
    network.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)


def save(network: keras.Model, path: Path) -> None:
    """Write the network. Equal weights give an equal file, since it holds neither the date nor addresses in memory."""
    saved = path.with_name(f"dated-{path.name}")
    network.save(saved)
    with zipfile.ZipFile(saved) as dated, zipfile.ZipFile(path, "w") as undated:
        for name in sorted(dated.namelist()):
            content = dated.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "date_saved": ""}).encode()
            elif name == "config.json":
                content = number_shared_objects(content)
            undated.writestr(zipfile.ZipInfo(name), content)
    saved.unlink()


def number_shared_objects(config: bytes) -> bytes:
    """Replace the memory addresses by which Keras marks objects that layers share, by numbers in order of appearance."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers))).encode(),
        config,
    )


def load(path: Path) -> keras.Model:
    """Load a saved network. Safe mode refuses code inside the file."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
