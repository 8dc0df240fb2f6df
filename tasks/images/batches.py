"""Batches: tf.data pipelines over an array of images.

The order and the augmentation of an epoch are functions of the seed and the epoch's number alone, so that equal
settings give equal batches, and an interrupted training can take up any epoch.
"""

import numpy as np
import tensorflow as tf


def training_batches(
    pixels: np.ndarray, labels: np.ndarray, *, batch_size: int, epochs: int, seed: int, turn: bool
) -> tf.data.Dataset:
    """(images, labels) for all epochs in turn: float32 (batch, size, size, 1), 0-255, and int32 (batch,), 1 for a defect.

    Each epoch shows every image once, fully shuffled; with `turn` in one of its eight flips and quarter turns.
    """
    images, classes = tf.constant(pixels), tf.constant(labels, tf.int32)
    count = len(labels)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.cast(seed, tf.int64), number])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seeds)
        poses = (
            tf.random.stateless_uniform([count], seeds, maxval=8, dtype=tf.int32)
            if turn
            else tf.zeros([count], tf.int32)
        )
        return tf.data.Dataset.from_tensor_slices((order, poses)).batch(batch_size)

    def gather(order: tf.Tensor, poses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return posed(tf.cast(tf.gather(images, order), tf.float32), poses), tf.gather(classes, order)

    batches = tf.data.Dataset.range(epochs).flat_map(epoch)
    return batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def posed(images: tf.Tensor, poses: tf.Tensor) -> tf.Tensor:
    """Square images (batch, size, size, 1), each in its pose 0-7: bit 0 mirrors left-right, bit 1 up-down, bit 2 swaps the axes."""
    bit = [tf.cast(tf.bitwise.bitwise_and(poses, value), tf.bool)[:, None, None, None] for value in (1, 2, 4)]
    images = tf.where(bit[0], tf.reverse(images, [2]), images)
    images = tf.where(bit[1], tf.reverse(images, [1]), images)
    return tf.where(bit[2], tf.transpose(images, [0, 2, 1, 3]), images)


def evaluation_batches(pixels: np.ndarray, *, batch_size: int) -> tf.data.Dataset:
    """Images float32 (batch, size, size, 1), 0-255, in their order, every one once: the last batch may be smaller."""
    images = tf.data.Dataset.from_tensor_slices(pixels).batch(batch_size)
    return images.map(lambda batch: tf.cast(batch, tf.float32)).prefetch(tf.data.AUTOTUNE)
