"""Train: a network fitted to the training images, as it was after the epoch that it keeps."""

import resource
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import numpy as np
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from tasks.images import manifest, pixels
from tasks.runs.caching import same_step
from tasks.runs.config import Places, Recipe
from tasks.runs.files import store
from tasks.runs.progress import bar
from tasks.runs.records import Epoch, Model, Splits
from tasks.runs.tables import read_table

if TYPE_CHECKING:
    from tasks.images.batches import Examples
    from tasks.models.fitting import Fitted


@task(cache_policy=same_step)
def train(splits: Splits, recipe: Recipe, places: Places) -> Model:
    """The model of `recipe`, fitted to the train rows of `splits`; its file lies under `data/networks`."""
    from tasks.models import fitting, networks

    rows = read_table(splits.table.path(places), manifest.Row)
    learning = [row for row in rows if row.split == "train"]
    began = Spent.now()
    fitted = fit(learning, [row for row in rows if row.split == "validation"], splits, recipe, places)
    spent = Spent.now() - began
    network = fitted.network
    print(
        f"train: {recipe.model}, {network.count_params():,} parameters, {len(learning):,} images, "
        f"epoch {fitted.kept_epoch} kept, {spent.wall:.0f} s"
    )
    return Model(
        file=store(lambda path: networks.save(network, path), places, "data", f"networks/{recipe.model}.keras"),
        name=recipe.model,
        parameters=network.count_params(),
        weights_sha256=networks.weights_digest(network),
        view=recipe.view,
        image_size=recipe.image_size,
        summary=networks.summary(network),
        history=fitted.history,
        kept_epoch=fitted.kept_epoch,
        images=len(learning),
        wall_seconds=round(spent.wall, 2),
        cpu_seconds=round(spent.cpu, 2),
        images_per_second=round(len(learning) * len(fitted.history) / spent.wall, 1),
        device=fitting.device(),
    )


class Spent(NamedTuple):
    """Seconds on the clock, and on the processors by this process and its children."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Spent":
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))

    def __sub__(self, earlier: "Spent") -> "Spent":
        return Spent(self.wall - earlier.wall, self.cpu - earlier.cpu)


def fit(
    learning: Sequence[manifest.Row], watching: Sequence[manifest.Row], splits: Splits, recipe: Recipe, places: Places
) -> "Fitted":
    """Decodes both sets and fits the network, telling each epoch to the log, the terminal and the Prefect UI."""
    from tasks.images import batches
    from tasks.models import fitting

    def examples(rows: Sequence[manifest.Row]) -> "Examples":
        images = pixels.sights(rows, recipe.view, recipe.image_size, places).levels
        labels = np.array([manifest.is_defect(row, splits.classes) for row in rows], np.int32)
        origins = {origin: number for number, origin in enumerate(splits.by_origin)}
        return batches.Examples(images, labels, np.array([origins[row.origin] for row in rows], np.int32))

    epochs = fitting.passes(recipe, len(learning))
    with bar(f"training {recipe.model}", epochs) as advance:
        return fitting.fit(examples(learning), examples(watching), recipe, telling(epochs, advance))


def telling(epochs: int, advance: Callable[[str], None]) -> Callable[[Epoch], None]:
    """Shows every finished epoch. A fault of the UI never ends a training."""
    progress = progress_artifact()

    def tell(epoch: Epoch) -> None:
        note = f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.2%}"
        print(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, {note}")
        advance(note)
        if progress:
            try:
                update_progress_artifact(progress, progress=100 * epoch.epoch / epochs)
            except Exception as error:
                print(f"the progress is not shown in the Prefect UI: {error}")

    return tell


def progress_artifact() -> UUID | None:
    """A new progress artifact of this task run, or None where there is no run or no UI."""
    if TaskRunContext.get() is None:
        return None
    try:
        created = create_progress_artifact(progress=0.0, key="training", description="Epochs finished")
        return created if isinstance(created, UUID) else None
    except Exception as error:
        print(f"the progress is not shown in the Prefect UI: {error}")
        return None
