"""Trainer: fit a network's weights to images and labels, epoch by epoch, on all devices that TensorFlow has.

An interrupted training goes on after its last finished epoch, and ends with the same weights as one without interruption.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tasks.images.views import shape
from tasks.networks import devices, imagenet
from tasks.networks.networks import build, learning_outputs, load
from tasks.networks.tuning import uses_xla
from tasks.records.results import Epoch
from tasks.settings.settings import Recipe, TunedRecipe
from tasks.training.best_epoch import CheckpointCallback
from tasks.training.input_pipeline import Examples, evaluation_batches, steps, training_batches
from tasks.training.map_loss import LABEL_SHARE, MAP_SHARE, map_loss


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training."""

    network: keras.Model
    """Computes in float32, whatever precision it was trained with."""
    history: tuple[Epoch, ...]
    kept_epoch: int
    resumed_from_epoch: int | None
    """The last epoch that an earlier process had finished; None where there was none."""


def fit(
    train_examples: Examples,
    validation_examples: Examples,
    recipe: TunedRecipe,
    report_epoch: Callable[[Sequence[Epoch]], None],
    checkpoint_folder: Path | None = None,
    start: Path | None = None,
) -> TrainingResult:
    """Train a network on the training images, and validate it on the validation images after each epoch.

    The tutorial's networks keep their last epoch, as published. Others keep the epoch with the least validation loss of their
    last quarter. `report_epoch` receives all epochs so far as each ends. From the checkpoints in `checkpoint_folder` an
    interrupted training goes on; None keeps none. `start` is the file of a network whose weights are the first ones; None: new weights.
    """
    devices.share_memory()
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()  # in the whole process; it cannot be undone
    tf.random.set_seed(recipe.seed)  # of the pipeline's operations; the network has its own
    epochs = epoch_budget(recipe, len(train_examples.labels))
    with devices.strategy().scope(), dtype_policy(recipe.precision):
        network = build_network(recipe, start)
        learner = compile_network(
            network,
            recipe,
            steps(train_examples, recipe.batch_size) * epochs,
            with_map=train_examples.marks is not None,
        )
    first_compared = epochs - 1 if recipe.spec.reference else epochs * 3 // 4  # large steps can be lucky once
    checkpoint = CheckpointCallback(network, first_compared, report_epoch, checkpoint_folder)
    finished = checkpoint.resume(learner)
    if finished < epochs:
        run_epochs(learner, train_examples, validation_examples, recipe, range(finished, epochs), checkpoint)
    network.set_weights(checkpoint.best_weights)
    if recipe.spec.balanced and not recipe.spec.good_alone:  # nobody knows the odds of defects that were never seen
        restore_odds(network, train_examples.labels)
    history, kept_epoch = tuple(checkpoint.history), checkpoint.kept_epoch or epochs
    return TrainingResult(to_float32(network, recipe), history, kept_epoch, finished or None)


def restore_odds(network: keras.Model, labels: np.ndarray) -> None:
    """Shift the logits of a network that saw both classes equally often to the odds of a defect among the training labels.

    Otherwise its probabilities would be those of a world in which every second part is defective. `labels` int (images,), 1 for a defect.
    """
    defects = int(labels.sum())
    _, bias = network.get_layer("local").weights
    bias.assign_add([math.log(defects / (len(labels) - defects))])


def run_warm_up_step(recipe: TunedRecipe) -> None:
    """Run one step on black images. Later trainings of this process reuse what a GPU loads and chooses for it."""
    with devices.strategy().scope(), dtype_policy(recipe.precision):
        learner = compile_network(build(recipe.model, recipe.image_size, recipe.seed), recipe, 1)
    levels = np.zeros((recipe.batch_size, *shape(recipe.view, recipe.image_size)), np.float32)
    learner.train_on_batch(levels, np.zeros(recipe.batch_size, np.int32))


def run_epochs(
    learner: keras.Model,
    train_examples: Examples,
    validation_examples: Examples,
    recipe: TunedRecipe,
    epochs: range,
    checkpoint: CheckpointCallback,
) -> None:
    """Train the learner for these epochs, and validate after each."""
    learner.fit(
        x=training_batches(
            train_examples,
            batch_size=recipe.batch_size,
            epochs=epochs,
            seed=recipe.seed,
            augment_view=None if recipe.spec.reference else recipe.view,
        ),
        validation_data=evaluation_batches(validation_examples, batch_size=recipe.batch_size),
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        steps_per_epoch=steps(train_examples, recipe.batch_size),
        callbacks=[checkpoint],  # ends a training whose loss is not finite; to read each step's would slow a GPU down
        shuffle=False,  # the pipeline shuffles; True only warns
        verbose=0,
    )


def build_network(recipe: Recipe, start: Path | None = None) -> keras.Model:
    """Build the network of the recipe, with new weights or those of the network in the file `start`.

    A pretrained network's new weights are Keras' ImageNet weights, and a head that the seed draws.
    """
    network = build(recipe.model, recipe.image_size, recipe.seed)
    if start:
        network.set_weights(load(start).get_weights())
    elif recipe.spec.pretrained:
        imagenet.copy_weights(network)
    return network


def to_float32(network: keras.Model, recipe: Recipe) -> keras.Model:
    """Return a network with the same weights that computes in float32 on one device, as exports and other machines need it."""
    with dtype_policy("float32"):
        copy = build(recipe.model, recipe.image_size)
    copy.set_weights(network.get_weights())
    return copy


@contextmanager
def dtype_policy(policy: str) -> Iterator[None]:
    """Set Keras' dtype policy for the layers that are built inside the block."""
    before = keras.config.dtype_policy()
    if policy != before.name:  # Keras would write the number of a new, equal policy object into the file
        keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compile_network(network: keras.Model, recipe: TunedRecipe, steps: int, *, with_map: bool = False) -> keras.Model:
    """Return the logits of the network as a model that is ready to learn for so many steps, its optimizer's variables built.

    Where the images have masks, the map of the network learns too, `with_map`.
    """
    learner = learning_outputs(network, with_map=with_map)
    # unweighted: costs count in the decision
    losses = {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "map": map_loss}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    learner.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate)
        if recipe.spec.reference
        else adamw_cosine(recipe.learning_rate, steps),
        loss=losses if with_map else losses["logits"],
        loss_weights={"logits": LABEL_SHARE, "map": MAP_SHARE} if with_map else None,
        metrics={"logits": [accuracy]} if with_map else [accuracy],
        jit_compile=uses_xla(recipe, devices.device_class(), len(devices.gpu_devices()), steps),
    )
    learner.optimizer.build(learner.trainable_variables)
    return learner


def epoch_budget(recipe: Recipe, images: int) -> int:
    """Return the number of epochs over so many training images: as the recipe says, else enough to learn from few, at most 100."""
    return recipe.epochs or min(100, max(recipe.spec.min_epochs, math.ceil(recipe.spec.min_images / images)))


def shorten_for_warm_start(
    recipe: TunedRecipe, images: int, images_an_epoch: int, validation_images: int
) -> TunedRecipe:
    """Return the recipe of a training from good weights, with epochs of `images_an_epoch` instead of all training `images`.

    Unless the recipe sets their number, the epochs cost at most `start_share` of a training from new weights, but there is at
    least one. Validating one of the `validation_images` costs a third of learning from an image.
    """
    whole = epoch_budget(recipe, images) * (images + validation_images / 3)
    epochs = recipe.start_epochs or max(1, int(recipe.start_share * whole / (images_an_epoch + validation_images / 3)))
    return recipe.model_copy(update={"epochs": epochs, "learning_rate": recipe.learning_rate * recipe.start_rate})


def adamw_cosine(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """Return AdamW with a learning rate that rises briefly to its highest value, then falls to 0 along a half cosine."""
    rise = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 10,
        decay_steps=max(1, steps - rise),
        warmup_target=learning_rate,
        warmup_steps=rise,
    )
    return keras.optimizers.AdamW(learning_rate=schedule, weight_decay=0.02)
