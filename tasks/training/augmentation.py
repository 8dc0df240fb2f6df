"""Alterations: images as other poses, lights and cameras would show them, functions of the image and of seeds alone."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tasks.settings.model_specs import ViewName

FAR = 2**32  # apart lie the seeds of two batches, and no epoch has so many images
ROWS = 3  # by which a strip is shifted at most
GAIN = 0.3  # logarithm of the greatest change of contrast
FRINGES = 2  # in a strip at most
FRINGED = 0.12  # of the strips show each of them
FRINGE = (60.0, 15.0)  # greatest grey levels of a fringe in each plane, as they are on photographs that show one
Alteration = Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]


def alter_raw(images: tf.Tensor, seeds: tf.Tensor, several: bool) -> tf.Tensor:
    """Each of square images uint8 (batch, size, size, 1) in one of its eight poses, as float32, of however many strata they are."""
    poses = tf.random.stateless_uniform([tf.shape(images)[0]], seeds, maxval=8, dtype=tf.int32)
    return tf.cast(apply_poses(images, poses), tf.float32)


def alter_ring(strips: tf.Tensor, seeds: tf.Tensor, several: bool) -> tf.Tensor:
    """Strips uint8 (batch, height, width, 2) turned by any angle, every other mirrored, a little further in or out, of another
    contrast, as float32.

    Some of `several` strata show fringes: the few castings of a new camera show them on one label alone by chance.
    """
    number, height, width, planes = tf.unstack(tf.shape(strips))
    draws = tf.random.stateless_uniform([3, number], seeds)
    turns = tf.cast(draws[0] * tf.cast(width, tf.float32), tf.int32)
    shifts = tf.cast(tf.floor(draws[2] * (2 * ROWS + 1)), tf.int32)[:, None] - ROWS
    rows = tf.clip_by_value(tf.range(height)[None] + shifts, 0, height - 1)
    places = tf.gather(tf.bitcast(strips, tf.uint16), rows, batch_dims=1)  # what moves together is one number
    places = tf.where(draws[1, :, None, None] < 0.5, tf.reverse(places, [2]), places)
    places = tf.map_fn(lambda one: tf.roll(one[0], -one[1], 1), (places, turns), fn_output_signature=tf.uint16)
    gains = tf.exp(tf.random.stateless_uniform([number, 1, 1, planes], tf.bitwise.invert(seeds), -GAIN, GAIN))
    altered = (flat(tf.cast(tf.bitcast(places, tf.uint8), tf.float32)) - 128) * flat(
        tf.tile(gains, [1, 1, width, 1])
    ) + 128
    if several:
        altered = add_fringes(
            altered, [fringe(number, height, width, seeds - [0, FAR // (one + 2)]) for one in range(FRINGES)]
        )
    return tf.reshape(altered, tf.shape(strips))


def flat(strips: tf.Tensor) -> tf.Tensor:
    """(batch, height, width x planes): arithmetic with a number a plane is five times as slow along a last axis of two."""
    number, height, width, planes = tf.unstack(tf.shape(strips))
    return tf.reshape(strips, [number, height, width * planes])


def add_fringes(altered: tf.Tensor, fringes: list[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Flat strips with fringes, as of `fringe`, on those that show any."""
    number, height, columns = tf.unstack(tf.shape(altered))
    shape = [number, height, columns // len(FRINGE)]
    shown = tf.add_n([tf.scatter_nd(strips[:, None], waves, shape) for strips, waves in fringes])
    some, _ = tf.unique(tf.concat([strips for strips, _ in fringes], 0))
    return tf.tensor_scatter_nd_add(
        altered, some[:, None], flat(tf.gather(shown, some)[..., None] * tf.constant(FRINGE))
    )


def fringe(number: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which of so many strips show a fringe, int32 (some,), and theirs, float32 (some, height, width), -1 to 1.

    The rings that a lathe leaves lie about as close as pixels do. Where they run along rows or columns of the photograph, the two
    beat: a V of arcs, which says nothing about the part. Rings that lie 1 + detuning to a pixel beat with the pixels
    radius x (1 + detuning - cos angle) times.
    """
    draws = tf.random.stateless_uniform([5, number, 1, 1], seeds)
    some = tf.cast(tf.where(draws[4, :, 0, 0] < FRINGED)[:, 0], tf.int32)
    middle, detuning, inner, strength = (tf.gather(draws[draw], some) for draw in range(4))
    turns = tf.cast(tf.range(width), tf.float32) / tf.cast(width, tf.float32) - middle
    angle = 2 * np.pi * (turns - tf.round(turns))
    radius = 60 + 40 * inner + 0.7 * tf.cast(tf.range(height)[:, None], tf.float32)  # pixels of a photograph of 300
    beat = 1 + 0.3 * (detuning - 0.5) - tf.cos(angle)
    visible = tf.exp(-(beat**2 + tf.sin(angle) ** 2) / 0.2**2)  # faster beats are lost between the pixels
    slope = tf.clip_by_value(tf.sin(angle) / 0.1, -1, 1)  # a strip shows differences along the turn
    return some, strength * visible * slope * tf.sin(2 * np.pi * radius * beat)


ALTERATIONS: dict[ViewName, Alteration] = {"raw": alter_raw, "ring": alter_ring}


def apply_poses(images: tf.Tensor, poses: tf.Tensor) -> tf.Tensor:
    """Square images (batch, size, size, 1), each in its pose 0-7: bit 0 mirrors left-right, bit 1 up-down, bit 2 swaps the axes."""
    bit = [tf.cast(tf.bitwise.bitwise_and(poses, value), tf.bool)[:, None, None, None] for value in (1, 2, 4)]
    images = tf.where(bit[0], tf.reverse(images, [2]), images)
    images = tf.where(bit[1], tf.reverse(images, [1]), images)
    return tf.where(bit[2], tf.transpose(images, [0, 2, 1, 3]), images)
