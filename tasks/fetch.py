"""Fetch: brings the bytes of the source as one zip file under `data/archives`, whole or not at all."""

import shutil
from typing import Any

from prefect import State, Task, task
from prefect.client.schemas import TaskRun

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Archive, Source
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places, SampleSettings
from tasks.sources import kaggle
from tasks.sources.archive import pack
from tasks.sources.folder import listing_digest
from tasks.sources.locate import kaggle_archives
from tasks.storage.files import File, move_into_place, open_for_reading, scratch_beside, sha256_of, store


def is_network_trouble(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Return whether the step failed by a fault that may pass by itself: never a refusal, a wrong name or a full disk."""
    return isinstance(state.result(raise_on_failure=False), kaggle.Unavailable)


@task(cache_policy=same_step, retries=1, retry_delay_seconds=60, retry_condition_fn=is_network_trouble)
def fetch(source: Source, places: Places) -> Archive:
    """Return the archive of `source`. Copy what lies outside, and never change it."""
    file = download(source, places) if source.kind == "kaggle" else bring(source, places)
    size = file.path(places).stat().st_size
    say(f"fetch: {source.name}, {size / 1e6:.1f} MB")
    return Archive(file=file, bytes=size)


def bring(source: Source, places: Places) -> File:
    """Draw a sample, copy a zip or pack a folder. Raises BadInput if what lies outside changed meanwhile."""
    if source.sample:
        return draw(source.sample, places)
    assert source.path, "`locate` found it"
    path = source.path
    with open_for_reading(path):
        if path.is_dir():
            file = store(lambda archive: pack(path, source.names, archive), places, "data", "archives/folder.zip")
            read = listing_digest((name, sha256_of(path / name)) for name in source.names)
        else:
            file = store(lambda archive: shutil.copyfile(path, archive), places, "data", "archives/zip.zip")
            read = file.sha256
    if read != source.identity:
        raise BadInput(f"{path} changed while it was read: start again when it is complete")
    return file


def draw(sample: SampleSettings, places: Places) -> File:
    """Draw the sample's archive. The truth about it, parts and defect masks, lies beside it under its name."""
    from tasks.sources.synthetic.sample import (
        write_sample,  # late: drawing needs SciPy, and a remembered sample does not
    )

    with scratch_beside(places.archives / "sample.zip") as scratch:
        write_sample(sample, scratch, truth=scratch.with_name("truth"))
        truth = scratch.with_name("truth")
        file = move_into_place(scratch, places, "data", "archives/sample.zip")
        truth_folder = file.path(places).with_name(f"{file.path(places).stem}-truth")
        shutil.rmtree(truth_folder, ignore_errors=True)
        truth.rename(truth_folder)
    return file


def download(source: Source, places: Places) -> File:
    """Download the zip of a Kaggle version once. The digest in its name tells whether a zip at hand is whole."""
    dataset = kaggle.DatasetVersion.parse(source.identity)
    for path in kaggle_archives(dataset, places):
        if path.stem.endswith(f"-{(digest := sha256_of(path))[:16]}"):
            return File(place="data", name=f"archives/{path.name}", sha256=digest)
    target = places.archives / f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version}.zip"
    kaggle.download(dataset, target)
    return move_into_place(target, places, "data", f"archives/{target.name}")
