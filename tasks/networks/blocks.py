"""Blocks: build the parts that several networks share. Keras operations only, so that any backend can run them."""

from collections.abc import Callable

import keras
from keras import layers

Draw = Callable[[], int]  # returns the seed of the next layer


def block(
    x: keras.KerasTensor, draw: Draw, filters: int, name: str, size: int = 3, strides: int = 1
) -> keras.KerasTensor:
    """Convolve, normalize and rectify maps (batch, rows, columns, planes); the result has `filters` planes."""
    x = layers.Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer=new_weights(draw), name=f"convolve_{name}"
    )(x)
    # Keras' momentum of 0.99 would not settle in the few steps of a small data set
    x = layers.BatchNormalization(momentum=0.9, name=f"normalize_{name}")(x)
    return layers.ReLU(name=f"activate_{name}")(x)


def new_weights(draw: Draw) -> keras.initializers.Initializer:
    """Return Keras' default initializer of new weights, with a seed of its own."""
    return keras.initializers.GlorotUniform(seed=draw())
