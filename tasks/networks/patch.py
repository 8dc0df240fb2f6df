"""Patch: a network that sees the fine detail of the whole picture of any part, and also shows where a defect lies."""

import keras
from keras import layers

from tasks.networks.blocks import Draw, block
from tasks.networks.local_logits import decide_locally

GREATEST = 6  # places of the greatest logits; their mean is the logit of the image
BLOCKS = ((16, 8, 4), (32, 3, 1), (48, 4, 2), (64, 3, 1))  # filters, their size, and strides


def patch(x: keras.KerasTensor, draw: Draw) -> dict[str, keras.KerasTensor]:
    """Build local logits over the detail of a picture; the mean of the greatest few is the logit of the image."""
    x = layers.Rescaling(1 / 64, offset=-2, name="rescale")(x)
    # filters of even size where they stride, so that each place of the map lies in the middle of the pixels that it depends on
    for number, (filters, size, strides) in enumerate(BLOCKS):
        x = block(x, draw, filters, f"{number}", size, strides)
    return decide_locally(x, draw, GREATEST)
