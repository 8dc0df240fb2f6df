"""Keeping: of a training the weights of its best epoch, and after every epoch all that it takes to go on."""

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
    """Keeps what a training has come to, and tells of every finished epoch."""

    def __init__(
        self,
        network: keras.Model,
        settled: int,
        each_epoch: Callable[[Sequence[Epoch]], None],
        room: Path | None = None,
    ):
        """The best is sought from the epoch `settled`, counted from 0. `room` is the folder of the checkpoints, if they are kept."""
        super().__init__()
        self.network, self.settled, self.each_epoch, self.room = network, settled, each_epoch, room
        self.history: list[Epoch] = []
        self.kept_epoch: int | None = None
        self.kept: list[np.ndarray] = []

    def take_up(self, learner: keras.Model) -> int:
        """How many epochs an earlier process has finished; the learner is then as it was after them."""
        state = checkpoints.last(self.room) if self.room else None
        variables = training_variables(self.network, learner)
        if state is None or [array.shape for array in state.learner] != [tuple(one.shape) for one in variables]:
            return 0  # nothing was finished, or on a device that computes with another precision
        for variable, array in zip(variables, state.learner, strict=True):
            variable.assign(array)
        self.history, self.kept_epoch, self.kept = list(state.history), state.kept_epoch, state.kept
        return len(self.history)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Raises BadInput when a loss is no number any more."""
        self.history.append(record(epoch + 1, logs))
        if epoch >= self.settled and (self.kept_epoch is None or self.improved(self.kept_epoch)):
            self.kept_epoch, self.kept = epoch + 1, self.network.get_weights()
        if self.room:
            learner = [keras.ops.convert_to_numpy(one) for one in training_variables(self.network, self.model)]
            checkpoints.save(State(tuple(self.history), learner, self.kept_epoch, self.kept), self.room)
        self.each_epoch(self.history)

    def improved(self, kept_epoch: int) -> bool:
        return self.history[-1].validation_loss < self.history[kept_epoch - 1].validation_loss

    def restore(self) -> None:
        """Gives the network the weights that are kept."""
        self.network.set_weights(self.kept)


def training_variables(network: keras.Model, learner: keras.Model) -> list[keras.Variable]:
    """All that training changes: the weights, the states of random generators (dropout), and the optimizer's variables."""
    weights = {id(one) for one in network.weights}
    generators = [one for one in learner.variables if id(one) not in weights]
    return [*network.weights, *generators, *learner.optimizer.variables]


def record(epoch: int, logs: dict[str, float]) -> Epoch:
    """Raises BadInput when a loss is no number any more."""
    if not (math.isfinite(logs["loss"]) and math.isfinite(logs["val_loss"])):
        raise BadInput(
            f"the loss became {logs['loss']} in epoch {epoch}, and {logs['val_loss']} on validation: "
            "try a lower --training.learning_rate, or another --seed"
        )
    return Epoch(
        epoch=epoch, loss=logs["loss"], accuracy=logs["accuracy"],
        validation_loss=logs["val_loss"], validation_accuracy=logs["val_accuracy"],
    )  # fmt: skip
