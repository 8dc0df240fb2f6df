"""Fitting: a network's weights from images and labels, epoch by epoch, on whatever device TensorFlow has."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from tasks.images.batches import Examples, evaluation_batches, steps, training_batches
from tasks.models.networks import build, classifier
from tasks.runs.config import Recipe
from tasks.runs.errors import BadInput
from tasks.runs.records import Epoch


@dataclass(frozen=True)
class Fitted:
    network: keras.Model
    history: tuple[Epoch, ...]
    kept_epoch: int


def fit(learning: Examples, watching: Examples, recipe: Recipe, each_epoch: Callable[[Epoch], None]) -> Fitted:
    """The network after training; `each_epoch` is told every epoch as it ends.

    The tutorial's networks keep their last epoch, as published; of the others' last quarter the one with the least validation loss.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = build(recipe.model, recipe.image_size)
    epochs, each = passes(recipe, len(learning.labels)), steps(learning, recipe.batch_size)
    learner = compiled(network, recipe, each * epochs)
    teller = Teller(each_epoch)
    settled = epochs * 3 // 4  # few castings validate, so that weights of large steps can be lucky once
    best = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=epochs, restore_best_weights=True, start_from_epoch=settled
    )
    learner.fit(
        x=training_batches(
            learning,
            batch_size=recipe.batch_size,
            epochs=range(epochs),
            seed=recipe.seed,
            altered=None if published(recipe) else recipe.view,
        ),
        validation_data=labelled(watching, recipe.batch_size),
        epochs=epochs,
        steps_per_epoch=each,
        callbacks=[keras.callbacks.TerminateOnNaN(), teller, *([] if published(recipe) else [best])],
        shuffle=False,  # the pipeline shuffles; True only warns
        verbose=0,
    )
    return Fitted(network, tuple(teller.history), kept_epoch=epochs if published(recipe) else best.best_epoch + 1)


def published(recipe: Recipe) -> bool:
    """Whether the network is trained as the tutorial did: plain Adam, no augmentation, the last epoch."""
    return recipe.model.startswith("tutorial")


def compiled(network: keras.Model, recipe: Recipe, steps: int) -> keras.Model:
    """The logits of the network, ready to learn for so many steps."""
    learner = classifier(network)
    learner.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate)
        if published(recipe)
        else decaying(recipe.learning_rate, steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return learner


def passes(recipe: Recipe, images: int) -> int:
    """Epochs over this many training images: those asked for, else enough steps to learn from few, from 10 to 100."""
    return recipe.epochs or min(100, max(10, -(-25_000 // images)))


def decaying(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """AdamW on a half cosine after a short rise: large steps early, none at the end."""
    rise = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 10,
        decay_steps=max(1, steps - rise),
        warmup_target=learning_rate,
        warmup_steps=rise,
    )
    return keras.optimizers.AdamW(learning_rate=schedule, weight_decay=0.02)


class Teller(keras.callbacks.Callback):
    """Hands every finished epoch on as a record. Raises BadInput when the loss is no number any more."""

    def __init__(self, each_epoch: Callable[[Epoch], None]):
        super().__init__()
        self.each_epoch, self.history = each_epoch, list[Epoch]()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise BadInput(
                f"the loss became {logs['loss']} in epoch {epoch + 1}: try a lower --training.learning_rate, or another --seed"
            )
        self.history.append(
            Epoch(
                epoch=epoch + 1, loss=logs["loss"], accuracy=logs["accuracy"],
                validation_loss=logs["val_loss"], validation_accuracy=logs["val_accuracy"],
            )
        )  # fmt: skip
        self.each_epoch(self.history[-1])


def labelled(examples: Examples, batch_size: int) -> tf.data.Dataset:
    labels = tf.data.Dataset.from_tensor_slices(examples.labels).batch(batch_size)
    return tf.data.Dataset.zip(evaluation_batches(examples.pixels, batch_size=batch_size), labels)


def device() -> str:
    """The devices that TensorFlow computes on, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return ", ".join(names) or "CPU"


def require_gpu() -> None:
    """Raises BadInput when TensorFlow sees no GPU; it would train on the CPU without a word."""
    if not tf.config.list_physical_devices("GPU"):
        build = "with" if tf.test.is_built_with_cuda() else "without"
        raise BadInput(
            f"TensorFlow {tf.__version__} (built {build} CUDA) sees no GPU, and --require-gpu asks for one: "
            "see that `nvidia-smi` answers and that recast[gpu] is installed, or leave --require-gpu out"
        )
