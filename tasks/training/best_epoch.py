"""Best epoch: keep the weights of the best epoch of a training, and save a checkpoint after every epoch."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from tasks.records.results import Epoch
from tasks.settings.errors import BadInput
from tasks.training import checkpoints
from tasks.training.checkpoints import State


class CheckpointCallback(keras.callbacks.Callback):
    """A callback that keeps the best weights, saves checkpoints and reports every finished epoch."""

    def __init__(
        self,
        network: keras.Model,
        first_compared: int,
        report_epoch: Callable[[Sequence[Epoch]], None],
        checkpoint_folder: Path | None = None,
    ):
        """Prepare to keep the best of the epochs from `first_compared` on, counted from 0.

        `report_epoch` receives all epochs so far as each ends. Without `checkpoint_folder` no checkpoint is saved.
        """
        super().__init__()
        self.network, self.first_compared = network, first_compared
        self.report_epoch, self.checkpoint_folder = report_epoch, checkpoint_folder
        self.history: list[Epoch] = []
        self.kept_epoch: int | None = None
        self.best_weights: list[np.ndarray] = []

    def resume(self, learner: keras.Model) -> int:
        """Resume the learner from the last checkpoint and return the number of epochs that it had finished; 0 without a usable one."""
        state = checkpoints.last(self.checkpoint_folder) if self.checkpoint_folder else None
        variables = training_variables(self.network, learner)
        if state is None or [array.shape for array in state.learner] != [tuple(item.shape) for item in variables]:
            return 0  # no epoch was finished, or the device computed with another precision
        for variable, array in zip(variables, state.learner, strict=True):
            variable.assign(array)
        self.history, self.kept_epoch, self.best_weights = list(state.history), state.kept_epoch, state.best_weights
        return len(self.history)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Record the epoch, keep its weights where it is the best, and save a checkpoint. Raises BadInput when a loss is not finite."""
        self.history.append(epoch_record(epoch + 1, logs))
        losses = [finished.validation_loss for finished in self.history]
        if epoch >= self.first_compared and (self.kept_epoch is None or losses[-1] < losses[self.kept_epoch - 1]):
            self.kept_epoch, self.best_weights = epoch + 1, self.network.get_weights()
        if self.checkpoint_folder:
            learner = [keras.ops.convert_to_numpy(item) for item in training_variables(self.network, self.model)]
            checkpoints.save(
                State(tuple(self.history), learner, self.kept_epoch, self.best_weights), self.checkpoint_folder
            )
        self.report_epoch(self.history)


def training_variables(network: keras.Model, learner: keras.Model) -> list[keras.Variable]:
    """Return all variables that training changes: the weights, the states of random generators (dropout), and the optimizer's variables."""
    weights = {id(weight) for weight in network.weights}
    generators = [variable for variable in learner.variables if id(variable) not in weights]
    return [*network.weights, *generators, *learner.optimizer.variables]


def epoch_record(epoch: int, logs: dict[str, float]) -> Epoch:
    """Return the record of an epoch, counted from 1, from Keras' logs. Raises BadInput when a loss is not finite."""
    if not (math.isfinite(logs["loss"]) and math.isfinite(logs["val_loss"])):
        raise BadInput(
            f"the loss became {logs['loss']} in epoch {epoch}, and {logs['val_loss']} on validation: "
            "try a lower --training.learning_rate, or another --seed"
        )
    name = "accuracy" if "accuracy" in logs else "logits_accuracy"  # as Keras names it beside a second output
    return Epoch(
        epoch=epoch, loss=logs["loss"], accuracy=logs[name],
        validation_loss=logs["val_loss"], validation_accuracy=logs[f"val_{name}"],
    )  # fmt: skip
