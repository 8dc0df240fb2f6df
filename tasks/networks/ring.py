"""Ring: a network that sees the unwrapped ring of a round part, and also shows where a defect lies."""

import keras
from keras import layers, ops

from tasks.networks.blocks import Draw, block
from tasks.networks.local_logits import decide_locally

HALO = 32  # columns added to both ends of a strip, so that no filter meets an edge
GREATEST = 8  # places of the greatest logits; their mean is the logit of the image


def ring(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """Build local logits over the detail of the unwrapped ring; the mean of the greatest few is the logit of the image."""
    x = layers.Rescaling(1 / 64, offset=-2, name="rescale")(x)
    x = ops.concatenate([x[:, :, -HALO:], x, x[:, :, :HALO]], axis=2)
    # multiplied, since TensorFlow would rewrite a sum as a bias with one number a plane
    heights = ops.ones_like(x[..., :1]) * ops.reshape(ops.linspace(-1.0, 1.0, x.shape[1]), (1, -1, 1, 1))
    x = ops.concatenate([x, heights], axis=3)  # whether a mark is a fault depends on how far out it lies
    # filters of even size where they stride, so that each place of the map lies in the middle of the columns that it depends on
    for number, (filters, size, strides) in enumerate(((16, 8, 4), (32, 3, 1), (48, 4, 2), (64, 3, 1))):
        x = block(x, draw, filters, f"{number}", size, strides)
    x = x[:, :, HALO // 8 : -HALO // 8]
    return decide_locally(x, draw, GREATEST)
