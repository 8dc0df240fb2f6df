"""Retention: what a version that may come into use, or a run that is kept, still needs; all else can go, and what and how much is told.

`data` is swept by the records that kept runs were made of, so that such a run, repeated, finds every step remembered.
"""

import fcntl
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from tasks.pipeline.last_run import last_run, model_of, registered_models, section_of
from tasks.pipeline.step_record import content_of
from tasks.records.rows import images_root
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage import result_cache
from tasks.storage.files import File, check_writable, is_visible, lies_below, scratch_beside
from tasks.storage.tables import column
from tasks.tracking import registry
from tasks.tracking import runs as mlflow_runs

MADE = ("archives", "decisions", "figures", "networks", "tables")  # folders of `data` whose files records name
DIGEST = re.compile("[0-9a-f]{64}")


class Needed(NamedTuple):
    """What stays."""

    runs: frozenset[str]
    going: frozenset[str]
    """The other runs of these places; of what else MLflow has, which others may have put there, nothing goes."""
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
    """Where it lies; None of what the registry removes by itself."""


class InUse(BadInput):
    """A run is under way."""


@contextmanager
def places_lock(places: Places, *, alone: bool = False) -> Iterator[None]:
    """Runs use the two places together; who removes from them is `alone`.

    Raises BadInput while a run is under way, and where the places cannot be used.
    """
    check_writable(places)
    folder = places.data.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".in-use.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except BlockingIOError:
            raise InUse(f"a run is using {folder}: nothing is removed before it has ended") from None
        yield


def is_running(places: Places) -> bool:
    """Whether a run uses the places now."""
    try:
        with places_lock(places, alone=True):
            return False
    except InUse:
        return True


class Made(NamedTuple):
    """What a run left, and what it was made of."""

    model: str
    """Digest of its folder."""
    steps: frozenset[str]
    """Names under `data/cache`."""


def made_by(run: Path) -> Made | None:
    """Return what `run.json` says; where it is damaged None, and one line says so."""
    try:
        steps = [step for step in section_of(run, "steps").values() if isinstance(step, dict)]
        return Made(model_of(run), frozenset(str(step["key"]) for step in steps if step.get("key")))
    except BadInput as damage:
        say(f"prune: {run.name} and its versions stay, for nobody knows what it needs: {damage}")
        return None


def find_needed(keep_runs: int, places: Places) -> Needed:
    """What the newest runs need, and the versions that are in use, were before, or wait. A run of which nothing is known stays."""
    folder = places.artifacts.absolute() / "runs"
    names = sorted(path.parent.name for path in folder.glob("*/run.json") if not path.parent.is_symlink())
    made = {name: one for name in names if (one := made_by(folder / name))}
    damaged = frozenset(names) - made.keys()
    latest = {run.name for run in (last_run(places),) if run}  # by a clock that was set back it is not the newest
    newest = set(list(made)[-keep_runs:]) | latest & made.keys()
    models = {made[name].model for name in newest}
    versions = {
        (model, one.number): one
        for model in registered_models(places)  # whichever is meant elsewhere: what another one needs stays too
        for back in [registry.previous(places.with_model(model))]  # its alias may lag behind a run that was killed
        for one in registry.versions(places.with_model(model))
        if one.aliases or one.model in models or one == back or one.run_id in damaged
    }
    runs = newest | damaged | {one.run_id for one in versions.values()}
    stay = [made[name] for name in made if name in runs]
    return Needed(
        runs=frozenset(runs),
        going=frozenset(names) - runs,
        versions=frozenset(versions),
        models=frozenset({one.model for one in versions.values()} | {run.model for run in stay}),
        steps=frozenset[str]().union(*(run.steps for run in stay)),
    )


def find_garbage(stays: Needed, places: Places) -> Iterator[Garbage]:
    """What can go: first what refers to others, so that who is interrupted leaves nothing that lacks a part."""
    data, artifacts = places.data.absolute(), places.artifacts.absolute()
    for of_model in map(places.with_model, registered_models(places)):
        for version in registry.versions(of_model):
            stay = (of_model.registered_name, version.number) in stays.versions
            if version.run_id in stays.going and not stay and not version.removed:
                size = mlflow_runs.bytes_of_version(version.number, of_model)
                shed = partial(mlflow_runs.delete_version_files, version.number, of_model)
                yield Garbage("files of versions in the registry", size, shed)
    for tracked in mlflow_runs.runs_with_files(stays.going, places):
        size = mlflow_runs.bytes_of_run(tracked, places)
        yield Garbage("files of runs in MLflow", size, partial(mlflow_runs.delete_run_files, tracked, places))
    yield from entries("runs", artifacts / "runs", stays.runs | {"latest"})
    yield from entries("models", artifacts / "models", stays.models)
    yield from entries("remembered steps", data / "cache", stays.steps)
    files = {name for key in stays.steps for name in named(data / "cache" / key)}
    stems = {os.path.splitext(name)[0] for name in files}  # the truth of a sample lies beside its archive
    for folder in MADE:
        for path in is_visible(data / folder):
            stem = os.path.splitext(f"{folder}/{path.name}")[0]
            if stem not in stems and stem.removesuffix("-truth") not in stems:
                yield of_path("files of steps", path)
    yield from contents(stays, {data / name for name in files if name.startswith("tables/")}, places)


def contents(stays: Needed, tables: set[Path], places: Places) -> Iterator[Garbage]:
    """Images that no kept table names, and what was worked out of them or by models that are gone."""
    try:
        alive = frozenset(sha256 for table in tables if table.is_file() for sha256 in column(table, "sha256"))
    except BadInput as damage:
        say(f"prune: all images stay: {damage}")
        return
    for path in sorted(Path(images_root(places)).glob("*/*")):
        if path.stem not in alive and DIGEST.fullmatch(path.stem):
            yield of_path("images", path)

    def stands(kind: str, key: str) -> bool:
        by_model, by_content = DIGEST.search(kind), DIGEST.search(key)
        return by_model[0] in stays.models if by_model else not by_content or by_content[0] in alive

    if size := result_cache.size_without(stands, places):
        file = Path(os.path.realpath(places.data / result_cache.NAME))
        yield Garbage("results by content", size, partial(result_cache.shrink, stands, places), file.parent)


def entries(what: str, folder: Path, stay: frozenset[str]) -> Iterator[Garbage]:
    """All in the folder that does not stay."""
    return (of_path(what, path) for path in is_visible(folder) if path.name not in stay)


def of_path(what: str, path: Path) -> Garbage:
    files = [one for one in (path, *path.rglob("*")) if one.is_file() and not one.is_symlink()]
    return Garbage(what, sum(file.stat().st_size for file in files), partial(remove, path), path.parent)


def leads_out(item: Garbage, places: Places) -> bool:
    """Return whether the item lies behind a link, outside the two places: it is not ours, but perhaps that of a copy's original."""
    folder = item.folder
    return folder is not None and not any(lies_below(folder, place) for place in (places.data, places.artifacts))


def remove(path: Path) -> None:
    """A file or folder, gone at once: nobody sees a part of it."""
    with scratch_beside(path) as gone:
        os.replace(path, gone)


def named(record: Path) -> Iterator[str]:
    """Yield the files under `data` that a remembered record names, whatever its class; none where it is no record."""
    try:
        told = json.loads(json.loads(content_of(record))["result"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    waiting = [told]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            with suppress(ValidationError):
                if (file := File.model_validate(item)).place == "data":
                    yield str(PurePosixPath(file.name))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def prune(keep_runs: int, places: Places, *, dry: bool = False) -> dict[str, tuple[int, int]]:
    """Removes what nothing needs, or only counts it: what, how many and how many bytes. Raises BadInput while a run is under way."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    mlflow_runs.require_usable(places)
    for model in registered_models(places):
        registry.champion(places.with_model(model))  # raises where its alias was removed: its files would go
    with places_lock(places, alone=True), registry.promotion_lock(places):
        items = list(find_garbage(find_needed(keep_runs, places), places))
        for folder in sorted({str(one.folder) for one in items if leads_out(one, places)}):
            say(f"{folder} is a link out of the two places: what lies there is left alone")
        for one in items:
            if leads_out(one, places):
                continue
            count, size = found[one.what]
            found[one.what] = (count + 1, size + one.bytes)
            if not dry:
                one.remove()
    return dict(found)
