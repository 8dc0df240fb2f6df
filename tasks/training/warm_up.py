"""Warm-up: start TensorFlow in the background, while the audit still looks at the images.

Otherwise a training waits for TensorFlow's start, and on a GPU for the kernels that its first step loads and chooses.
"""

from contextlib import suppress
from threading import Thread

from tasks.records.results import Manifest
from tasks.records.rows import Row
from tasks.settings.settings import Places, TrainingSettings
from tasks.storage.tables import read_table

LOOKED_AT = 24  # images, enough to tell whether parts are round: a wrong guess costs only time


def start(manifest: Manifest, training: TrainingSettings, places: Places) -> Thread:
    """Start TensorFlow for a training on these images in a thread, and return the thread: join it before the training."""
    thread = Thread(target=warm_up, args=(manifest, training, places), name="warm-up")
    thread.start()
    return thread


def warm_up(manifest: Manifest, training: TrainingSettings, places: Places) -> None:
    """Import TensorFlow and open its devices; on a GPU, run a first step of the network that will likely train."""
    with suppress(Exception):  # what fails here fails in the training too, which reports it
        from tasks.networks import devices
        from tasks.networks.tuning import tune_recipe
        from tasks.training import trainer

        devices.share_memory()
        if devices.gpu_devices():
            recipe = training.recipe(ring_share(manifest, training, places))
            trainer.run_warm_up_step(tune_recipe(recipe, devices.device_class()))


def ring_share(manifest: Manifest, training: TrainingSettings, places: Places) -> float:
    """Return which share of a few of the images shows a ring; 0 where the choice of the network does not depend on it."""
    if training.model != "auto":
        return 0.0
    from tasks.images.strips import strips

    rows = read_table(manifest.table.path(places), Row)
    sample = rows[:: max(1, len(rows) // LOOKED_AT)]
    return sum(strip is not None for strip in strips(sample, places)) / len(sample)
