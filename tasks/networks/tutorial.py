"""Tutorial: the network of the published tutorial, for comparison."""

import keras
from keras import layers

from tasks.networks.blocks import Draw, new_weights


def tutorial(x: keras.KerasTensor, draw: Draw, dropout: float = 0.0) -> dict[str, keras.KerasTensor]:
    """Build the published tutorial's network, which sees the gray plane three times."""
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
