"""Step timer: measure training steps as `fit` itself runs them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from tasks.training.stopwatch import Elapsed

if TYPE_CHECKING:
    import tensorflow as tf


class StepTimer(keras.callbacks.Callback):
    """Two readings: of the first steps of an epoch, in which all is traced and compiled, and of the other steps."""

    def __init__(self, first_steps: int) -> None:
        super().__init__()
        self.first_steps = first_steps
        self.start = self.first_elapsed = self.rest_elapsed = Elapsed(0, 0)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start the clock."""
        self.start = Elapsed.now()

    def on_train_batch_end(self, batch: int, logs: dict) -> None:
        """Read the clock after the last of the first steps, as soon as its loss is computed."""
        if batch + 1 == self.first_steps:
            float(logs["loss"])  # waits until it is computed
            self.first_elapsed = Elapsed.now() - self.start

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Read the clock at the end: the loss of the epoch is known, so all is computed."""
        self.rest_elapsed = Elapsed.now() - self.start - self.first_elapsed


def time_steps(
    network: keras.Model, batches: "tf.data.Dataset", first_steps: int, steps: int, callbacks: Sequence = ()
) -> StepTimer:
    """Train for the first steps and for `steps` more, and return what both took."""
    timer = StepTimer(first_steps)
    network.fit(x=batches, steps_per_epoch=first_steps + steps, callbacks=[timer, *callbacks], shuffle=False, verbose=0)
    return timer
