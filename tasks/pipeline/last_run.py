"""Last run: which run is the last one, which settings the next run takes from it, and which registered model a command uses.

Runs of the built-in samples count only where there are no others.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tasks.records.run import RunJson
from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import MODEL, SAMPLE_MODELS, Config, Places, default_model
from tasks.storage.files import json_object
from tasks.tracking import registry

LATEST = "latest"


class Run(NamedTuple):
    """A run that ended successfully."""

    folder: Path
    of_sample: bool
    """Its source was a built-in sample."""
    model: str
    """Name of its registered model."""


def runs(places: Places) -> Iterator[Run]:
    """Yield the runs of the places: first the one that ended last, then the others, newest first.

    A run whose `run.json` cannot be read is passed over, and named on standard error.
    """
    top = places.runs.resolve()
    names = (path.parent.name for path in top.glob("*/run.json") if not path.parent.is_symlink())
    latest = [(top / LATEST).resolve()] if (top / LATEST / "run.json").is_file() else []
    newest_first = (top / name for name in sorted(names, reverse=True) if not name.startswith("."))
    for folder in dict.fromkeys([*latest, *newest_first]):
        try:
            yield read_run(folder)
        except BadInput as damage:
            warn_once(f"{folder / 'run.json'} cannot be read, and the run is passed over: {damage}")


@cache
def warn_once(line: str) -> None:
    """Print the line on standard error, once: several questions of one command read the same run."""
    warn(line)


def read_run(folder: Path) -> Run:
    """Return the source and the registered model of a run, from its folder. Raises BadInput where it is damaged."""
    config = sections_of(folder, "config").config or {}
    try:
        source = (config.get("fetch") or {}).get("source", "")
        # Before the sample had a model name of its own, its runs wrote the name that all other sources use.
        model = (config.get("places") or {}).get("registered_model") or default_model(source)
        return Run(folder, source in SAMPLE_MODELS, Places(registered_model=model).registered_name)
    except (ValueError, AttributeError) as error:
        raise BadInput(
            f"{folder / 'run.json'} is damaged ({' '.join(str(error).split())}). {advice_on(folder)}"
        ) from error


def last_run(places: Places) -> Path | None:
    """Return the folder of the last run that was not of a sample, else of the last one; None where there was none.

    Where the places name a registered model, only its runs count.
    """
    of_sample = None
    for run in runs(places):
        if places.registered_model in (None, run.model):
            if not run.of_sample:
                return run.folder
            of_sample = of_sample or run.folder
    return of_sample


def resolve_model(places: Places) -> Places:
    """Choose the registered model where the places name none: that of the last run that was not of a sample.

    Without such a run here, as on a machine that only judges, choose the model of all other sources if it has a version in use that no run
    of a sample here has made; otherwise a sample's model.
    """
    if places.registered_model:
        return places
    newest = next((run for run in runs(places) if not run.of_sample), None)
    return places.with_model(newest.model if newest else model_in_use(places))


def model_in_use(places: Places) -> str:
    """Return which of the default names has a model in use.

    Where several have one, the one that is not a sample's goes first, then that of the newest run.
    A name whose alias was removed counts: the command that then asks for the model says what is wrong.
    """
    name = MODEL
    try:
        version = registry.champion(places.with_model(name))
        drawn = {run.folder.name: run.model for run in runs(places) if run.of_sample}
        if version and version.run_id not in drawn:
            return MODEL
        samples = SAMPLE_MODELS.values()
        for name in dict.fromkeys([*(model for model in drawn.values() if model in samples), *samples]):
            if registry.champion(places.with_model(name)):
                return name
    except BadInput:
        return name
    return MODEL


def no_champion_message(places: Places) -> str:
    """Say that the registered model that the places name has no version in use, and how one comes into use."""
    return (
        f"no model is in use in {places.artifacts_root} as {places.registered_name}: run flows/retrain.py first, or name "
        "another by --places.registered_model"
    )


def registered_models(places: Places) -> list[str]:
    """Return the names of all registered models that a run here may have versions of."""
    return sorted({places.registered_name, MODEL, *SAMPLE_MODELS.values(), *(run.model for run in runs(places))})


def sections_of(run: Path, *names: str) -> RunJson:
    """Return these sections of `run.json` and no others, so that the shape of the others, in an older run, does not matter.

    Raises BadInput where the file or one of the sections is missing or damaged.
    """
    try:
        content = json_object(run / "run.json")
    except BadInput as damage:
        raise BadInput(f"{damage}. {advice_on(run)}") from damage
    if missing := [name for name in names if not isinstance(content.get(name), dict)]:
        raise BadInput(f"{run / 'run.json'} is damaged (it has no section {missing[0]!r}). {advice_on(run)}")
    try:
        return RunJson.model_validate({name: content[name] for name in names})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{run / 'run.json'} is damaged ({where}: {first['msg']}). {advice_on(run)}") from error


def advice_on(run: Path) -> str:
    """Say what to do about a run whose `run.json` is damaged."""
    return f"Restore it from a backup, or remove the folder {run}: then the run before it counts as the last"


def model_of(run: Path) -> str:
    """Return the digest of the folder of the model that a run made. Raises BadInput where `run.json` does not hold it."""
    model = sections_of(run, "model").model
    digest = model.folder if model else None
    if digest is None or not digest.isalnum():
        raise BadInput(f"{run / 'run.json'} is damaged: its model is {digest!r}, expected the digest of a folder")
    return digest


def last_config(places: Places) -> Config | None:
    """Return the settings of the last run; None where there was no run. Raises BadInput when one of them no longer exists."""
    run = last_run(places)
    try:
        return Config.model_validate(sections_of(run, "config").config) if run else None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BadInput(
            f"the last run had a setting that no longer exists, {where}: run flows/retrain.py once with the settings of today"
        ) from error


def with_last_settings(config: Config) -> Config | None:
    """Return the given settings, and for the others those of the last successful run.

    None where there is no last run and no `fetch` settings are given. Training continues from the model in use unless the given settings
    say otherwise. The name of a registered model that follows from the source is left unset, because the source may be another one now.
    A name that a person set passes on only between runs of one sample, or between runs of other sources.
    Raises BadInput when the given settings do not go with the last ones.
    """
    last = last_config(config.places)
    if last is None and "fetch" not in config.model_fields_set:
        return None
    continued = merge_settings((last or Config()).model_dump(), {"training": {"start_from": "champion"}})
    values = merge_settings(continued, config.model_dump(exclude_unset=True))
    try:
        config_now = Config.model_validate(values | {"places": config.places})
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"what is given does not go with the settings of the last run, which hold for all else: {what}"
        ) from error
    if last and default_name(last) == default_name(config_now):
        places = config_now.places.with_model(config_now.places.registered_model or own_model(last))
        return config_now.model_copy(update={"places": places})
    return config_now


def own_model(config: Config) -> str | None:
    """Return the registered model of the settings, where it does not follow from their source and product."""
    model = config.places.registered_model
    return None if model == default_name(config) else model


def default_name(config: Config) -> str:
    """Return the registered model that follows from the source and the product of the settings."""
    return default_model(config.fetch.source, config.fetch.product)


def merge_settings(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, with the changed ones replacing them, inside each section too."""
    return settings | {
        name: merge_settings(settings[name], value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }


def with_absolute_paths(config: Config) -> Config:
    """Return the same settings with absolute paths, for a worker that starts in another folder."""
    places, arrivals = config.places, config.fetch.arrivals
    absolute_places = places.model_copy(update={"data": places.data_root, "artifacts": places.artifacts_root})
    fetch = config.fetch.model_copy(update={
        "source": absolute_if_there(config.fetch.source),
        "arrivals": arrivals and tuple(path.expanduser().absolute() for path in arrivals),
    })  # fmt: skip
    parts = config.splitting.parts
    splitting = config.splitting.model_copy(update={"parts": parts and absolute_if_there(parts)})
    return config.model_copy(update={"places": absolute_places, "fetch": fetch, "splitting": splitting})


def absolute_if_there(text: str) -> str:
    """Return the absolute path of a file or folder that is there; another text as it is."""
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text
