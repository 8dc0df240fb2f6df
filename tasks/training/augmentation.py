"""Augmentation: show images as other poses, lights and cameras would. The result depends on the image and the seeds alone."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tasks.settings.model_specs import ViewName

SEED_STRIDE = 2**32  # distance between the seeds of two batches; no epoch has so many images
MAX_ROW_SHIFT = 3  # greatest shift of a strip
MAX_SHIFT = 16  # pixels: greatest shift of a whole picture, and an eighth of its shorter side at most
MAX_LOG_GAIN = 0.3  # greatest change of contrast, as a logarithm
MAX_FRINGES = 2  # greatest number in a strip
FRINGE_PROBABILITY = 0.12  # share of the strips that show each of them
FRINGE_AMPLITUDES = (
    60.0,
    15.0,
)  # greatest gray levels of a fringe in each plane, as they are on photographs that show one
Augmentation = Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]


def augment_raw(images: tf.Tensor, seeds: tf.Tensor, with_fringes: bool) -> tf.Tensor:
    """Show each square image, uint8 (batch, size, size, 1), in one of its eight poses, as float32. `with_fringes` changes nothing."""
    poses = tf.random.stateless_uniform([tf.shape(images)[0]], seeds, maxval=8, dtype=tf.int32)
    return tf.cast(apply_poses(images, poses), tf.float32)


def augment_ring(strips: tf.Tensor, seeds: tf.Tensor, with_fringes: bool) -> tf.Tensor:
    """Turn each strip, uint8 (batch, height, width, 2), by any angle, mirror half of them, shift rows and change contrast, as float32.

    `with_fringes`, for a training of several strata, lets some strips show fringes: the few castings of a new camera may, by
    chance, show fringes with one label alone.
    """
    number, height, width, planes = tf.unstack(tf.shape(strips))
    draws = tf.random.stateless_uniform([3, number], seeds)
    turns = tf.cast(draws[0] * tf.cast(width, tf.float32), tf.int32)
    shifts = tf.cast(tf.floor(draws[2] * (2 * MAX_ROW_SHIFT + 1)), tf.int32)[:, None] - MAX_ROW_SHIFT
    rows = tf.clip_by_value(tf.range(height)[None] + shifts, 0, height - 1)
    places = tf.gather(tf.bitcast(strips, tf.uint16), rows, batch_dims=1)  # both planes move together, as one number
    places = tf.where(draws[1, :, None, None] < 0.5, tf.reverse(places, [2]), places)
    places = tf.map_fn(lambda pair: tf.roll(pair[0], -pair[1], 1), (places, turns), fn_output_signature=tf.uint16)
    gains = tf.exp(
        tf.random.stateless_uniform([number, 1, 1, planes], tf.bitwise.invert(seeds), -MAX_LOG_GAIN, MAX_LOG_GAIN)
    )
    augmented = (flatten_planes(tf.cast(tf.bitcast(places, tf.uint8), tf.float32)) - 128) * flatten_planes(
        tf.tile(gains, [1, 1, width, 1])
    ) + 128
    if with_fringes:
        augmented = add_fringes(
            augmented,
            [fringe(number, height, width, seeds - [0, SEED_STRIDE // (index + 2)]) for index in range(MAX_FRINGES)],
        )
    return tf.reshape(augmented, tf.shape(strips))


def augment_detail(pictures: tf.Tensor, seeds: tf.Tensor, with_fringes: bool) -> tf.Tensor:
    """Show each picture, uint8 (batch, height, width, planes), in another pose, shifted and with another contrast, as float32.

    A third plane, the marks of `tasks.images.marks`, moves with the others and keeps its levels. `with_fringes` changes nothing.
    """
    number, height, width, planes = tf.unstack(tf.shape(pictures))
    poses = tf.random.stateless_uniform(
        [number], seeds, maxval=8 if pictures.shape[1] == pictures.shape[2] else 4, dtype=tf.int32
    )
    reach = tf.minimum(MAX_SHIFT, tf.minimum(height, width) // 8)
    shifts = tf.random.stateless_uniform([number, 2], tf.bitwise.invert(seeds), -reach, reach + 1, tf.int32)
    placed = apply_poses(pictures, poses)
    placed = tf.map_fn(lambda pair: tf.roll(pair[0], pair[1], [0, 1]), (placed, shifts), fn_output_signature=tf.uint8)
    gains = tf.exp(tf.random.stateless_uniform([number, 1, 1, 1], seeds + [0, 1], -MAX_LOG_GAIN, MAX_LOG_GAIN))
    levels = tf.cast(placed, tf.float32)
    detail = (levels[..., :2] - 128) * gains + 128
    return tf.concat([detail, levels[..., 2:]], axis=-1)


def flatten_planes(strips: tf.Tensor) -> tf.Tensor:
    """Reshape to (batch, height, width x planes). With a last axis of two, arithmetic with one number a plane is five times as slow."""
    number, height, width, planes = tf.unstack(tf.shape(strips))
    return tf.reshape(strips, [number, height, width * planes])


def add_fringes(augmented: tf.Tensor, fringes: list[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Add fringes, each as `fringe` returns it, to flat strips (batch, height, width x planes)."""
    number, height, columns = tf.unstack(tf.shape(augmented))
    shape = [number, height, columns // len(FRINGE_AMPLITUDES)]
    sums = tf.add_n([tf.scatter_nd(strips[:, None], waves, shape) for strips, waves in fringes])
    fringed, _ = tf.unique(tf.concat([strips for strips, _ in fringes], 0))
    return tf.tensor_scatter_nd_add(
        augmented,
        fringed[:, None],
        flatten_planes(tf.gather(sums, fringed)[..., None] * tf.constant(FRINGE_AMPLITUDES)),
    )


def fringe(number: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw which of `number` strips show a fringe, int32 (fringed,), and their fringes, float32 (fringed, height, width), -1 to 1.

    The rings that a lathe leaves lie about as close as pixels do. Where they run along rows or columns of the photograph, rings
    and pixels beat: they show a V of arcs that says nothing about the part. Rings that lie 1 + detuning to a pixel beat with
    the pixels radius x (1 + detuning - cos angle) times.
    """
    draws = tf.random.stateless_uniform([5, number, 1, 1], seeds)
    fringed = tf.cast(tf.where(draws[4, :, 0, 0] < FRINGE_PROBABILITY)[:, 0], tf.int32)
    middle, detuning, inner, strength = (tf.gather(draws[draw], fringed) for draw in range(4))
    turns = tf.cast(tf.range(width), tf.float32) / tf.cast(width, tf.float32) - middle
    angle = 2 * np.pi * (turns - tf.round(turns))
    radius = 60 + 40 * inner + 0.7 * tf.cast(tf.range(height)[:, None], tf.float32)  # pixels of a photograph of 300
    beat = 1 + 0.3 * (detuning - 0.5) - tf.cos(angle)
    visible = tf.exp(-(beat**2 + tf.sin(angle) ** 2) / 0.2**2)  # faster beats are lost between the pixels
    slope = tf.clip_by_value(tf.sin(angle) / 0.1, -1, 1)  # a strip shows differences along the turn
    return fringed, strength * visible * slope * tf.sin(2 * np.pi * radius * beat)


AUGMENTATIONS: dict[ViewName, Augmentation] = {"raw": augment_raw, "detail": augment_detail, "ring": augment_ring}


def apply_poses(images: tf.Tensor, poses: tf.Tensor) -> tf.Tensor:
    """Put each image (batch, height, width, planes) in its pose 0-7: bit 0 mirrors left-right, bit 1 up-down, bit 2 swaps the axes.

    An image that is not square has only the poses 0-3.
    """
    bit = [tf.cast(tf.bitwise.bitwise_and(poses, value), tf.bool)[:, None, None, None] for value in (1, 2, 4)]
    images = tf.where(bit[0], tf.reverse(images, [2]), images)
    images = tf.where(bit[1], tf.reverse(images, [1]), images)
    if images.shape[1] != images.shape[2]:
        return images
    return tf.where(bit[2], tf.transpose(images, [0, 2, 1, 3]), images)
