"""Fetch: brings the bytes of the source as one zip file under `data/archives`, whole or not at all."""

from typing import Any

from prefect import State, Task, task
from prefect.client.schemas import TaskRun

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Archive, Source
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.sources.locate import KINDS


def is_network_trouble(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Return whether the step failed by a fault that may pass by itself: never a refusal, a wrong name or a full disk."""
    return isinstance(state.result(raise_on_failure=False), ConnectionError)


@task(cache_policy=same_step, retries=1, retry_delay_seconds=60, retry_condition_fn=is_network_trouble)
def fetch(source: Source, places: Places) -> Archive:
    """Return the archive of `source`. Copy what lies outside, and never change it."""
    file = KINDS[source.kind].bring(source, places)
    size = file.path(places).stat().st_size
    say(f"fetch: {source.name}, {size / 1e6:.1f} MB")
    return Archive(file=file, bytes=size)
