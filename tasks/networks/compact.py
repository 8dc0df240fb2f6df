"""Compact: a small and quick network that sees the whole picture."""

import keras
from keras import layers

from tasks.networks.blocks import Draw, block, new_weights


def compact(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """Build four blocks, then the mean and the greatest value of each map, so that a small defect counts."""
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
