"""Retention: finds what kept runs and versions that may come into use still need, and deletes everything else, or only counts it.

In `data`, the records of kept runs say what stays, so that such a run, repeated, finds the result of every step.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from tasks.pipeline.last_run import last_run, model_of, registered_models, sections_of
from tasks.pipeline.step_record import content_of
from tasks.records.rows import images_root
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage import result_cache
from tasks.storage.files import File, lies_below, scratch_beside, visible_paths
from tasks.storage.locks import places_lock
from tasks.storage.tables import column
from tasks.tracking import connection, registry, stored_files
from tasks.tracking import runs as mlflow_runs

DIGEST = re.compile("[0-9a-f]{64}")


class Needed(NamedTuple):
    """Everything that stays."""

    runs: frozenset[str]
    going: frozenset[str]
    """The other runs of these places. Nothing else in MLflow goes: others may have put it there."""
    versions: frozenset[tuple[str, int]]
    """Registered model and number."""
    models: frozenset[str]
    """Digests."""
    steps: frozenset[str]
    """Names under `data/cache`."""


class Garbage(NamedTuple):
    """Something that nothing needs."""

    what: str
    bytes: int
    remove: Callable[[], object]
    folder: Path | None = None
    """Where it lies; None where the registry deletes it."""


class RunReferences(NamedTuple):
    """The model that a run made, and the steps that it was made of."""

    model: str
    """Digest of its folder."""
    steps: frozenset[str]
    """Names under `data/cache`."""


def references_of(run: Path) -> RunReferences | None:
    """Return what a run made and used, from `run.json`; where it is damaged None, and one line says so."""
    try:
        steps = sections_of(run, "steps").steps.values()
        return RunReferences(model_of(run), frozenset(step.key for step in steps if step.key))
    except BadInput as damage:
        say(f"prune: {run.name} and its versions stay, for nobody knows what it needs: {damage}")
        return None


def find_needed(keep_runs: int, places: Places) -> Needed:
    """Find what stays: what the newest runs need, and the versions that are in use, were in use before, or wait.

    A run whose needs are not known stays.
    """
    folder = places.runs
    names = sorted(path.parent.name for path in folder.glob("*/run.json") if not path.parent.is_symlink())
    by_run = {name: references for name in names if (references := references_of(folder / name))}
    damaged = frozenset(names) - by_run.keys()
    latest = {run.name for run in (last_run(places),) if run}  # where the clock was set back, it is not the newest
    newest = set(list(by_run)[-keep_runs:]) | latest & by_run.keys()
    models = {by_run[name].model for name in newest}
    versions = {
        (model, version.number): version
        for model in registered_models(places)  # also those that these places do not name: what they need stays
        for previous in [registry.previous(places.with_model(model))]  # its alias may lag after a killed run
        for version in registry.versions(places.with_model(model))
        if version.aliases or version.model in models or version == previous or version.run_id in damaged
    }
    runs = newest | damaged | {version.run_id for version in versions.values()}
    stay = [by_run[name] for name in by_run if name in runs]
    return Needed(
        runs=frozenset(runs),
        going=frozenset(names) - runs,
        versions=frozenset(versions),
        models=frozenset({version.model for version in versions.values()} | {run.model for run in stay}),
        steps=frozenset[str]().union(*(run.steps for run in stay)),
    )


def find_garbage(stays: Needed, places: Places) -> Iterator[Garbage]:
    """Yield everything that can go; what refers to others comes first, so that an interruption never leaves a dangling reference."""
    for of_model in map(places.with_model, registered_models(places)):
        for version in registry.versions(of_model):
            stay = (of_model.registered_name, version.number) in stays.versions
            if version.run_id in stays.going and not stay and not version.removed:
                size = stored_files.bytes_of_version(version.number, of_model)
                shed = partial(stored_files.delete_version_files, version.number, of_model)
                yield Garbage("files of versions in the registry", size, shed)
    for mlflow_run_id in mlflow_runs.runs_with_files(stays.going, places):
        size = stored_files.bytes_of_run(mlflow_run_id, places)
        yield Garbage("files of runs in MLflow", size, partial(stored_files.delete_run_files, mlflow_run_id, places))
    yield from folder_garbage("runs", places.runs, stays.runs | {"latest"})
    yield from folder_garbage("models", places.models, stays.models)
    yield from folder_garbage("remembered steps", places.cache, stays.steps)
    files = {name for key in stays.steps for name in recorded_names(places.cache / key)}
    stems = {os.path.splitext(name)[0] for name in files}  # the true labels of a sample lie beside its archive
    for folder in places.recorded_folders():
        for path in visible_paths(folder):
            stem = os.path.splitext(f"{folder.name}/{path.name}")[0]
            if stem not in stems and stem.removesuffix("-truth") not in stems:
                yield path_garbage("files of steps", path)
    yield from content_garbage(stays, {places.data_root / name for name in files if name.startswith("tables/")}, places)


def content_garbage(stays: Needed, tables: set[Path], places: Places) -> Iterator[Garbage]:
    """Yield images that no kept table names, and results that were computed from them or by models that are gone."""
    try:
        present = [table for table in tables if table.is_file()]
        contents = {sha256 for table in present for sha256 in column(table, "sha256")}
        alive = contents | {Path(name).stem for table in present for name in column(table, "mask")}
    except BadInput as damage:
        say(f"prune: all images stay: {damage}")
        return
    for path in sorted(Path(images_root(places)).glob("*/*")):
        if path.stem not in alive and DIGEST.fullmatch(path.stem):
            yield path_garbage("images", path)

    def stands(kind: str, key: str) -> bool:
        by_model, by_content = DIGEST.search(kind), DIGEST.search(key)
        return by_model[0] in stays.models if by_model else not by_content or by_content[0] in alive

    if size := result_cache.size_without(stands, places):
        file = Path(os.path.realpath(places.data / result_cache.NAME))
        yield Garbage("results by content", size, partial(result_cache.shrink, stands, places), file.parent)


def folder_garbage(what: str, folder: Path, stay: frozenset[str]) -> Iterator[Garbage]:
    """Yield everything in the folder whose name is not in `stay`."""
    return (path_garbage(what, path) for path in visible_paths(folder) if path.name not in stay)


def path_garbage(what: str, path: Path) -> Garbage:
    """Return a file or folder as garbage, with its size."""
    files = [file for file in (path, *path.rglob("*")) if file.is_file() and not file.is_symlink()]
    return Garbage(what, sum(file.stat().st_size for file in files), partial(remove, path), path.parent)


def leads_out(item: Garbage, places: Places) -> bool:
    """Return whether the item lies behind a link, outside the two places.

    Then it is not ours. It may belong to the places that these are a copy of.
    """
    folder = item.folder
    return folder is not None and not any(lies_below(folder, place) for place in (places.data, places.artifacts))


def remove(path: Path) -> None:
    """Delete a file or folder at once, so that nobody sees a part of it."""
    with scratch_beside(path) as scratch:
        os.replace(path, scratch)


def recorded_names(record: Path) -> Iterator[str]:
    """Yield the names of files under `data` that a step record names, whatever its class; none where it is no record."""
    try:
        record_data = json.loads(json.loads(content_of(record))["result"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    waiting = [record_data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            with suppress(ValidationError):
                if (file := File.model_validate(item)).place == "data":
                    yield str(PurePosixPath(file.name))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def prune(
    keep_runs: int, places: Places, *, dry: bool = False, more: Iterable[Garbage] = ()
) -> dict[str, tuple[int, int]]:
    """Delete everything that nothing needs and what is in `more`, or only count it.

    Returns how many there are of each kind and how many bytes they have. Raises BadInput while a run is under way.
    """
    totals: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    connection.require_usable(places)
    for model in registered_models(places):
        registry.champion(places.with_model(model))  # raises where its alias was removed: its files would go
    with places_lock(places, exclusive=True), registry.promotion_lock(places):
        items = [*find_garbage(find_needed(keep_runs, places), places), *more]
        for folder in sorted({str(item.folder) for item in items if leads_out(item, places)}):
            say(f"{folder} is a link out of the two places: what lies there is left alone")
        for item in items:
            if leads_out(item, places):
                continue
            count, size = totals[item.what]
            totals[item.what] = (count + 1, size + item.bytes)
            if not dry:
                item.remove()
    return dict(totals)
