"""Input pipeline: build tf.data pipelines over an array of images.

The order and the augmentation of an epoch depend on the seed and the epoch's number alone. So equal settings give equal
batches, and an interrupted training can resume at any epoch.
"""

import math
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tasks.settings.model_specs import ViewName
from tasks.training.augmentation import AUGMENTATIONS, SEED_STRIDE

Targets: TypeAlias = tf.Tensor | dict[str, tf.Tensor]
"""Labels int32 (batch,), 1 for a defect; with marks the two by the names of outputs."""


@dataclass(frozen=True)
class Examples:
    """Images with labels, to learn from."""

    pixels: np.ndarray
    """uint8 (n, height, width, planes), as `views.shape` says."""
    labels: np.ndarray
    """int32 (n,), 1 for a defect."""
    strata: np.ndarray
    """int32 (n,), from 0 on: each stratum gets an equal share of an epoch, however few images it has."""
    marks: np.ndarray | None = None
    """uint8 (n, height, width), the pixels of defects as in `tasks.images.marks`; None where nothing marks them."""


def steps(examples: Examples, batch_size: int) -> int:
    """Return the number of batches in an epoch, which shows as many images as there are; the last batch may be smaller."""
    return math.ceil(len(examples.labels) / batch_size)


def training_batches(
    examples: Examples, *, batch_size: int, epochs: range, seed: int, augment_view: ViewName | None
) -> tf.data.Dataset:
    """Return a dataset of (images, targets) batches of these epochs in turn.

    Images are float32 (batch, height, width, planes), 0-255; targets are as `targets` returns them. A single stratum is
    fully shuffled, and shows every image once an epoch. `augment_view` names the view whose augmentation shows each image in another
    pose and light every time and, where there are several strata, as other cameras show it. None leaves images as they are.
    """
    with tf.device("/CPU:0"):  # the pipeline runs there: a GPU would receive all images only to send them back
        images, classes = tf.constant(examples.pixels), tf.constant(examples.labels, tf.int32)
        marks = None if examples.marks is None else tf.constant(examples.marks)
        members = [tf.constant(np.flatnonzero(examples.strata == stratum)) for stratum in np.unique(examples.strata)]
    length, augment = len(examples.labels), AUGMENTATIONS[augment_view] if augment_view else None

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.cast(seed, tf.int64), number])
        numbers = tf.data.Dataset.from_tensor_slices(order(members, length, seeds)).batch(batch_size)
        draws = tf.data.Dataset.range(1, length + 1).map(lambda step: seeds + [0, step * SEED_STRIDE])
        return tf.data.Dataset.zip(numbers, draws)

    def gather(numbers: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, Targets]:
        originals = tf.gather(images, numbers)
        if marks is not None:  # they move with the picture, as one more plane
            originals = tf.concat([originals, tf.gather(marks, numbers)[..., None]], axis=-1)
        shown = augment(originals, seeds, len(members) > 1) if augment else tf.cast(originals, tf.float32)
        labels = tf.gather(classes, numbers)
        return (shown, labels) if marks is None else (shown[..., :-1], targets(labels, shown[..., -1]))

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(epoch)
    return batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def order(members: list[tf.Tensor], images: int, seeds: tf.Tensor) -> tf.Tensor:
    """Return the numbers of the images of an epoch, int64 (images,), in the order in which they are shown.

    `members` holds the numbers of the images of each stratum.
    """
    shares, draws = [], count(1)
    for stratum, numbers in enumerate(members):
        share = images // len(members) + (stratum < images % len(members))
        rounds = math.ceil(share / len(numbers))
        turns = [
            tf.random.experimental.stateless_shuffle(numbers, seeds - [0, next(draws) * SEED_STRIDE])
            for _ in range(rounds)
        ]
        shares.append(tf.concat(turns, 0)[:share])
    return tf.random.experimental.stateless_shuffle(tf.concat(shares, 0), seeds)


def evaluation_batches(examples: Examples, *, batch_size: int) -> tf.data.Dataset:
    """Return batches of (images, targets) as `training_batches` does, each image once, in order. The last batch may be smaller."""
    columns = (examples.pixels, examples.labels, *([] if examples.marks is None else [examples.marks]))

    def as_floats(pixels: tf.Tensor, labels: tf.Tensor, *marks: tf.Tensor) -> tuple[tf.Tensor, Targets]:
        floats = tf.cast(pixels, tf.float32)
        return floats, targets(labels, tf.cast(marks[0], tf.float32)) if marks else labels

    return tf.data.Dataset.from_tensor_slices(columns).batch(batch_size).map(as_floats).prefetch(tf.data.AUTOTUNE)


def targets(labels: tf.Tensor, marks: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return labels int32 (batch,) and marks float32 (batch, height, width) under the names of the outputs that learn from them."""
    return {"logits": labels, "map": marks}
