"""Blocks: parts that several networks are made of. Keras operations only, so that any backend can run them."""

from collections.abc import Callable

import keras
from keras import layers

Draw = Callable[[], int]  # gives the seed of the next layer


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
