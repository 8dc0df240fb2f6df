"""ImageNet: take the backbone's weights from Keras, which downloads them once into its own cache, and copy them into a network."""

import os
from pathlib import Path

import keras

from tasks.settings.errors import BadInput

FILE = "efficientnetv2-b0_notop.h5"
"""Name of the weights in Keras' cache."""


def copy_weights(network: keras.Model) -> None:
    """Give the layers of the backbone their ImageNet weights; the others keep theirs. Raises BadInput where there are none."""
    for layer in pretrained().layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())


def pretrained() -> keras.Model:
    """Return Keras' backbone with its ImageNet weights, which Keras checks by their digest.

    Raises BadInput where they are not in Keras' cache and cannot be downloaded.
    """
    try:
        return keras.applications.EfficientNetV2B0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    except Exception as error:  # Keras raises a bare one where a download fails
        raise BadInput(
            f"the backbone's ImageNet weights are not in Keras' cache, and Keras could not download them ({error}): run once with "
            f"a network, put the file at {cached_file()}, or take --model patch"
        ) from error


def cached_file() -> Path:
    """Return where Keras keeps the weights, as `keras.utils.get_file` says."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / FILE
