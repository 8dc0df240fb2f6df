"""Runtimes: write a trained network as files for other runtimes, and load each of them again to judge images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tasks.storage.parallel import count_processors

if TYPE_CHECKING:
    import keras

NAMES = {"litert": "model.tflite", "keras": "model.keras", "savedmodel": "savedmodel"}


class Network(Protocol):
    """A network that judges images: a Keras model, or one of the runtimes below."""

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        """Return outputs by name, float32, for uint8 or float32 (images, height, width, planes)."""
        ...


class LiteRT:
    """A LiteRT file in its own interpreter: neither TensorFlow nor Keras is loaded."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self.runner = Interpreter(model_path=str(path), num_threads=count_processors()).get_signature_runner()
        (self.input,) = self.runner.get_input_details()

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        """Return outputs by name, as `Network` says."""
        return self.runner(**{self.input: levels.astype(np.float32)})


class SavedModel:
    """A SavedModel, called by its endpoint `serve`."""

    def __init__(self, path: Path):
        import keras

        self.layer = keras.layers.TFSMLayer(str(path), call_endpoint="serve")

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        """Return outputs by name, as `Network` says."""
        return {name: np.asarray(output) for name, output in self.layer(levels.astype(np.float32)).items()}


def write(network: "keras.Model", folder: Path) -> None:
    """Write the network to the folder in the formats LiteRT and SavedModel."""
    network.export(folder / NAMES["litert"], format="litert", verbose=False)
    network.export(folder / NAMES["savedmodel"], format="tf_saved_model", verbose=False)


def prepare(names: Sequence[str]) -> None:
    """Import TensorFlow where one of these formats needs it, and leave other processes their share of each GPU."""
    if set(names) - {"litert"}:
        from tasks.networks import devices, networks  # noqa: F401  with TensorFlow

        devices.share_memory()


def load(path: Path) -> Network:
    """Load the network from a file or folder in any of the formats; Keras' own format loads in safe mode."""
    if path.suffix == ".tflite":
        return LiteRT(path)
    if path.is_dir():
        return SavedModel(path)
    from tasks.networks import networks  # late, with TensorFlow

    return networks.load(path)
