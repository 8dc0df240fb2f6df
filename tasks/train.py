"""Train: fits a network to the training images, and keeps it as it was after its best epoch."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import TaskRunContext

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Epoch, Model, Splits
from tasks.records.rows import Content, Row
from tasks.settings.messages import say
from tasks.settings.settings import Places, Recipe
from tasks.settings.terminal import progress_bar
from tasks.storage.code_version import code_digest
from tasks.storage.files import store
from tasks.storage.tables import read_table, store_table
from tasks.training.stopwatch import Elapsed
from tasks.training.training_set import LoadedImages, TrainingPlan, load_examples, plan_training

if TYPE_CHECKING:
    from tasks.training.trainer import TrainingResult


@task(cache_policy=same_step)
def train(splits: Splits, recipe: Recipe, places: Places) -> Model:
    """Fit the model of `recipe` to the train rows of `splits`; its file lies under `data/networks`."""
    from tasks.training import trainer  # noqa: F401  before the clock starts

    start = Elapsed.now()
    plan = plan_training(read_table(splits.table.path(places), Row), recipe, places)
    train_images, validation_images = (
        load_examples(rows, plan, splits, places) for rows in (plan.train_rows, plan.validation_rows)
    )
    checkpoint_folder = training_folder(splits, plan, places)
    result = fit(train_images, validation_images, plan, checkpoint_folder)
    model = record_of(result, train_images, plan, Elapsed.now() - start, places)
    shutil.rmtree(checkpoint_folder, ignore_errors=True)  # the model's file is stored: nothing is left to go on with
    say(
        f"train: {model.name}, {model.parameters:,} parameters, {model.images:,} images, "
        f"epoch {model.kept_epoch} kept, {model.wall_seconds:.0f} s"
    )
    return model


def training_folder(splits: Splits, plan: TrainingPlan, places: Places) -> Path:
    """Return the folder where this training keeps what it needs to go on.

    Other images, settings, first weights or code get another folder.
    """
    start = plan.start.digest if plan.start else ""
    parts = splits.table.sha256, plan.recipe.model_dump_json(), start, code_digest(Path(__file__))
    return places.data_root / "training" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def fit(
    train_images: LoadedImages, validation_images: LoadedImages, plan: TrainingPlan, checkpoint_folder: Path
) -> "TrainingResult":
    """Fit the network, and show each epoch in the log, the terminal and the Prefect UI."""
    from tasks.training import trainer

    epochs = trainer.epoch_budget(plan.recipe, len(train_images.rows))
    with progress_bar(f"training {plan.recipe.model}", epochs) as advance:
        result = trainer.fit(
            train_images.examples,
            validation_images.examples,
            plan.recipe,
            epoch_reporter(epochs, advance),
            checkpoint_folder,
            plan.start.network if plan.start else None,
        )
    if result.resumed_from_epoch:
        say(f"train: went on after epoch {result.resumed_from_epoch}, which an interrupted run had finished")
    return result


def record_of(
    result: "TrainingResult", train_images: LoadedImages, plan: TrainingPlan, elapsed: Elapsed, places: Places
) -> Model:
    """Store the network's file, and return the record of a training that has ended."""
    from tasks.networks import devices, networks

    network, recipe = result.network, plan.recipe
    learned = {row.sha256 for row in train_images.rows} | (plan.start.learned if plan.start else set())
    epochs = len(result.history) - (result.resumed_from_epoch or 0)
    return Model(
        file=store(lambda path: networks.save(network, path), places, "data", f"networks/{recipe.model}.keras"),
        name=recipe.model,
        parameters=network.count_params(),
        weights_sha256=networks.weights_digest(network),
        view=recipe.view,
        image_size=recipe.image_size,
        summary=networks.summary(network),
        history=result.history,
        kept_epoch=result.kept_epoch,
        images=len(train_images.rows),
        left_out=len(plan.train_rows) - len(train_images.rows),
        learnt=store_table("learnt", map(Content, sorted(learned)), Content, places),
        started_from=plan.start.digest if plan.start else None,
        wall_seconds=round(elapsed.wall, 2),
        cpu_seconds=round(elapsed.cpu, 2),
        images_per_second=round(len(train_images.rows) * epochs / elapsed.wall, 1),
        device=devices.device(),
        trained_with=f"batches of {recipe.batch_size}, learning rate {recipe.learning_rate:.2g}, {recipe.precision}",
        resumed_from_epoch=result.resumed_from_epoch,
    )


def epoch_reporter(epochs: int, advance: Callable[[str], None]) -> Callable[[Sequence[Epoch]], None]:
    """Return a function that shows every finished epoch in the log, in the bar and in the Prefect UI.

    A fault of the UI never ends a training.
    """
    live, shown = Live.create(), 0

    def tell(history: Sequence[Epoch]) -> None:
        nonlocal shown
        epoch = history[-1]
        scores = f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.2%}"
        say(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, {scores}")
        for _ in range(len(history) - shown):  # more than once where an interrupted run had finished some epochs
            advance(scores)
        shown = len(history)
        if live:
            live.show(history, epochs)

    return tell


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
