"""Backbone: EfficientNetV2B0 of `keras.applications`, which sees the whole picture. A training begins with its ImageNet weights."""

import keras
from keras import layers

from tasks.networks.blocks import Draw, new_weights


def backbone(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """Build the backbone over the gray plane, shown three times, then the mean and the greatest value of each of its maps.

    Its weights are new here, so that a network is built, loaded and exported without a download. Images are compared by the means
    alone: 2,560 features would make the decision's file and its cloud of known images several times as large.
    """
    x = layers.Concatenate(name="color")([x, x, x])
    base = keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_tensor=x)
    for layer in base.layers:
        seed_layer(layer, draw)
    mean = layers.GlobalAveragePooling2D(name="mean")(base.output)
    greatest = layers.GlobalMaxPooling2D(name="greatest")(base.output)
    pooled = layers.Concatenate(name="pooled")([mean, greatest])
    return {
        "logits": layers.Dense(2, kernel_initializer=new_weights(draw), name="logits", dtype="float32")(pooled),
        "features": mean,
    }


def seed_layer(layer: keras.Layer, draw: Draw) -> None:
    """Draw the layer's weights and its random generator anew, by a seed of our own, and name what Keras numbers.

    Keras seeds the layers of its applications from Python's global generator, which every thread shares.
    """
    if isinstance(layer, layers.Rescaling | layers.Normalization):
        layer.name = type(layer).__name__.lower()
    elif isinstance(layer, layers.Dropout):
        layer.seed_generator.state.assign([draw(), 0])
    elif isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        initializer = layer.depthwise_initializer if depthwise else layer.kernel_initializer
        seeded = type(initializer).from_config({**initializer.get_config(), "seed": draw()})
        layer.kernel.assign(seeded(layer.kernel.shape))
