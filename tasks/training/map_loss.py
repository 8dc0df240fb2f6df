"""Map loss: how well the map of a network agrees with the masks of its images."""

import keras
from keras import ops

from tasks.images.marks import DEFECT, UNKNOWN

MARKED = 5.0  # weight of a place that shows a defect: these places are few
LABEL_SHARE, MAP_SHARE = 0.5, 2.0  # weights of the two losses, where there are masks


def map_loss(marks: keras.KerasTensor, local: keras.KerasTensor) -> keras.KerasTensor:
    """Return the cross-entropy of the places of a map, float32 (batch,), a mean over its places.

    `marks` float32 (batch, height, width) are as in `tasks.images.marks`; `local` float32 (batch, rows, columns) are logits. A place
    shows a defect where one of its pixels does. A place of which nothing is known costs nothing.
    """
    factors = tuple(side // places for side, places in zip(marks.shape[1:], local.shape[1:], strict=True))
    places = ops.max_pool(marks[..., None], factors, factors)[..., 0]
    defect = ops.cast(places == DEFECT, "float32")
    weights = ops.cast(places != UNKNOWN, "float32") * (1 + (MARKED - 1) * defect)
    return ops.mean(weights * (ops.softplus(local) - defect * local), axis=(1, 2))
