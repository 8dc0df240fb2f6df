"""Fetch: the bytes of the source as one zip file under `data/archives`, whole or not at all."""

import shutil

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


def network_trouble(task: Task, task_run: TaskRun, state: State) -> bool:
    """Only what may pass by itself is tried again: never a refusal, a wrong name or a full disk."""
    return isinstance(state.result(raise_on_failure=False), kaggle.Unavailable)


@task(cache_policy=same_step, retries=1, retry_delay_seconds=60, retry_condition_fn=network_trouble)
def fetch(source: Source, places: Places) -> Archive:
    """The archive of `source`. What lies outside is copied, and never changed."""
    file = download(source, places) if source.kind == "kaggle" else bring(source, places)
    size = file.path(places).stat().st_size
    say(f"fetch: {source.name}, {size / 1e6:.1f} MB")
    return Archive(file=file, bytes=size)


def bring(source: Source, places: Places) -> File:
    """A drawn sample, a copied zip or a packed folder. Raises BadInput if what lies outside changed meanwhile."""
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
    """The drawn archive; the truth about it, parts and defect masks, lies beside it under its name."""
    from tasks.sources.synthetic.sample import (
        write_sample,  # late: drawing needs SciPy, and a remembered sample does not
    )

    with scratch_beside(places.data.absolute() / "archives" / "sample.zip") as scratch:
        write_sample(sample, scratch, truth=scratch.with_name("truth"))
        truth = scratch.with_name("truth")
        file = move_into_place(scratch, places, "data", "archives/sample.zip")
        kept = file.path(places).with_name(f"{file.path(places).stem}-truth")
        shutil.rmtree(kept, ignore_errors=True)
        truth.rename(kept)
    return file


def download(source: Source, places: Places) -> File:
    """The zip of a Kaggle version, fetched once: a whole one at hand is known by the digest in its name."""
    dataset = kaggle.DatasetVersion.parse(source.identity)
    for path in kaggle_archives(dataset, places):
        if path.stem.endswith(f"-{(digest := sha256_of(path))[:16]}"):
            return File(place="data", name=f"archives/{path.name}", sha256=digest)
    fetched = places.data.absolute() / "archives" / f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version}.zip"
    kaggle.download(dataset, fetched)
    return move_into_place(fetched, places, "data", f"archives/{fetched.name}")
