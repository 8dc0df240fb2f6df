"""Train: fits a network to the training images, and keeps it as it was after its best epoch."""

import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import TaskRunContext

from tasks.pipeline.step_cache import same_step
from tasks.records.results import DividedImages, Epoch, Model
from tasks.settings.messages import say
from tasks.settings.settings import Places, Recipe
from tasks.training.training_run import train_network


@task(cache_policy=same_step)
def train(splits: DividedImages, recipe: Recipe, places: Places) -> Model:
    """Fit the model of `recipe` to the train rows of `splits`, and show each epoch in the Prefect UI while it runs.

    A fault of the UI never ends a training. The file of the network lies under `data/networks`.
    """
    live = Live.create()
    return train_network(splits, recipe, places, live.show if live else None)


class Live(NamedTuple):
    """The display of a training in the Prefect UI while it runs: a ring on the run's graph, and a table with a row an epoch."""

    ring: UUID
    table: UUID

    @classmethod
    def create(cls) -> "Live | None":
        """Create the ring and the table for this task run; return None where there is no run, or no UI."""
        if TaskRunContext.get() is None:
            return None
        try:
            ring = create_progress_artifact(progress=0.0, key="training", description="Epochs finished")
            table = create_table_artifact([], key="epochs", description="The training, epoch by epoch")
        except Exception as error:
            say_not_shown(error)
            return None
        return cls(ring, table) if isinstance(ring, UUID) and isinstance(table, UUID) else None

    def show(self, history: Sequence[Epoch], epochs: int) -> None:
        """Show the finished epochs, out of `epochs`."""
        try:
            update_progress_artifact(self.ring, progress=100 * len(history) / epochs)
            table = ArtifactUpdate(data=json.dumps([table_row(epoch) for epoch in history]))
            with get_client(sync_client=True) as client:
                client.update_artifact(self.table, table)
        except Exception as error:
            say_not_shown(error)


def say_not_shown(error: Exception) -> None:
    """Say that the UI does not show the progress, and why."""
    say(f"the progress is not shown in the Prefect UI: {error}")


def table_row(epoch: Epoch) -> dict[str, str]:
    """Return an epoch as a row of the table in the Prefect UI."""
    return {
        "Epoch": str(epoch.epoch),
        "Loss": f"{epoch.loss:.4f}",
        "Accuracy": f"{epoch.accuracy:.2%}",
        "Loss, validation": f"{epoch.validation_loss:.4f}",
        "Accuracy, validation": f"{epoch.validation_accuracy:.2%}",
    }
