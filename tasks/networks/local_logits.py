"""Local logits: end a network by one logit for each place; the greatest few decide about the image."""

import keras
from keras import layers, ops

from tasks.networks.blocks import Draw, new_weights


def decide_locally(x: keras.KerasTensor, draw: Draw, greatest: int) -> dict[str, keras.KerasTensor]:
    """Return the outputs of a network whose last maps are `x` (batch, rows, columns, planes).

    The logit of the image is the mean of the `greatest` logits of its places. So a small defect counts, a single place does not
    decide, and the map of the logits shows where the defect lies.
    """
    local = layers.Conv2D(1, 1, kernel_initializer=new_weights(draw), name="local", dtype="float32")(x)[..., 0]
    first = ops.top_k(layers.Flatten(name="places")(local), greatest)[0]
    logit = layers.GlobalAveragePooling1D(name="mean_of_greatest")(first[..., None])
    pooled = [layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D(name="greatest")(x)]
    return {
        "logits": ops.concatenate([-logit / 2, logit / 2], axis=1),
        "features": layers.Concatenate(name="features")(pooled),
        "map": local,
    }
