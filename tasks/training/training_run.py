"""Training run: train the network of a recipe on divided images, from its plan to the stored file.

An interrupted run is continued by the next one with the same images, recipe and code.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.records.results import DividedImages, Epoch, Model
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

ShowEpochs = Callable[[Sequence[Epoch], int], object]
"""Shows all finished epochs, out of so many, somewhere besides the log."""


def train_network(
    images: DividedImages, recipe: Recipe, places: Places, show_epochs: ShowEpochs | None = None
) -> Model:
    """Fit the model of `recipe` to the images that train; its file lies under `data/networks`."""
    from tasks.training import trainer  # noqa: F401  before the clock starts

    start = Elapsed.now()
    plan = plan_training(read_table(images.table.path(places), Row), recipe, places)
    train_images, validation_images = (
        load_examples(rows, plan, images, places) for rows in (plan.train_rows, plan.validation_rows)
    )
    checkpoint_folder = training_folder(images, plan, places)
    result = fit(train_images, validation_images, plan, checkpoint_folder, show_epochs)
    model = record_of(result, train_images, plan, Elapsed.now() - start, places)
    shutil.rmtree(checkpoint_folder, ignore_errors=True)  # the model's file is stored: nothing is left to go on with
    say(
        f"train: {model.name}, {model.parameters:,} parameters, {model.images:,} images, "
        f"epoch {model.kept_epoch} kept, {model.wall_seconds:.0f} s"
    )
    return model


def training_folder(images: DividedImages, plan: TrainingPlan, places: Places) -> Path:
    """Return the folder where this training keeps what it needs to go on.

    Other images, settings, first weights or code get another folder.
    """
    start = plan.start.digest if plan.start else ""
    parts = images.table.sha256, plan.recipe.model_dump_json(), start, code_digest(Path(__file__))
    return places.data_root / "training" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def fit(
    train_images: LoadedImages,
    validation_images: LoadedImages,
    plan: TrainingPlan,
    checkpoint_folder: Path,
    show_epochs: ShowEpochs | None,
) -> "TrainingResult":
    """Fit the network, and report each epoch in the log and the terminal, and to `show_epochs`."""
    from tasks.training import trainer

    epochs = trainer.epoch_budget(plan.recipe, len(train_images.examples.labels))
    with progress_bar(f"training {plan.recipe.model}", epochs) as advance:
        result = trainer.fit(
            train_images.examples,
            validation_images.examples,
            plan.recipe,
            epoch_reporter(epochs, advance, show_epochs),
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
        crop=recipe.crop,
        summary=networks.summary(network),
        history=result.history,
        kept_epoch=result.kept_epoch,
        images=len(train_images.rows),
        left_out=len(plan.train_rows) - len(train_images.rows),
        learnt=store_table("learnt", map(Content, sorted(learned)), Content, places),
        started_from=plan.start.digest if plan.start else None,
        wall_seconds=round(elapsed.wall, 2),
        cpu_seconds=round(elapsed.cpu, 2),
        images_per_second=round(len(train_images.examples.labels) * epochs / elapsed.wall, 1),
        device=devices.device(),
        trained_with=f"batches of {recipe.batch_size}, learning rate {recipe.learning_rate:.2g}, {recipe.precision}",
        resumed_from_epoch=result.resumed_from_epoch,
    )


def epoch_reporter(
    epochs: int, advance: Callable[[str], None], show_epochs: ShowEpochs | None
) -> Callable[[Sequence[Epoch]], None]:
    """Return a function that reports every finished epoch in the log and in the bar, and shows all so far by `show_epochs`."""
    reported = 0

    def report(history: Sequence[Epoch]) -> None:
        nonlocal reported
        epoch = history[-1]
        scores = f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.2%}"
        say(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, {scores}")
        for _ in range(len(history) - reported):  # more than once where an interrupted run had finished some epochs
            advance(scores)
        reported = len(history)
        if show_epochs:
            show_epochs(history, epochs)

    return report
