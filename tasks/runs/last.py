"""Last: the newest run of the places, and the settings of the next one, which are those of the last where nothing else is given."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.runs.config import Config, Places
from tasks.runs.errors import BadInput
from tasks.runs.files import json_object

LATEST = "runs/latest"


def last_run(places: Places) -> Path | None:
    """Its folder under its own name, for `latest` may name another one a moment later; None where there was none.

    Where `latest` names a folder that is gone, the newest of the others.
    """
    link = places.artifacts.absolute() / LATEST
    if (link / "run.json").is_file():
        return link.resolve()
    others = [path.parent for path in link.parent.glob("[0-9]*/run.json") if path.is_file()]
    return max(others, key=lambda path: path.name, default=None)


def section_of(run: Path, name: str) -> dict[str, Any]:
    """Return a section of `run.json`. Raises BadInput where the file or the section is damaged."""
    advice = f"Restore it from a backup, or remove the folder {run}: then the run before it counts as the last"
    try:
        section = json_object(run / "run.json").get(name)
    except BadInput as damage:
        raise BadInput(f"{damage}. {advice}") from damage
    if not isinstance(section, dict):
        raise BadInput(f"{run / 'run.json'} is damaged (it has no section {name!r}). {advice}")
    return section


def model_of(run: Path) -> str:
    """Return the digest of the model's folder that a run made. Raises BadInput where `run.json` does not tell it."""
    digest = section_of(run, "model").get("folder")
    if not isinstance(digest, str) or not digest.isalnum():
        raise BadInput(f"{run / 'run.json'} is damaged: its model is {digest!r}, expected the digest of a folder")
    return digest


def last_config(places: Places) -> Config | None:
    """The settings of that run; None where there was none. Raises BadInput when one of them is none any more, or `run.json` is damaged."""
    run = last_run(places)
    try:
        return Config.model_validate(section_of(run, "config")) if run else None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BadInput(
            f"the last run had a setting that is none any more, {where}: run flows/retrain.py once with the settings of today"
        ) from error


def as_last_time(config: Config) -> Config | None:
    """Each setting that is given, and the others as in the last successful run; None where nobody said what to learn from.

    So that nobody who trained on images of his own finds a model of the sample in use. Training continues from the model in
    use unless it is told otherwise. Raises BadInput when the two do not go together.
    """
    last = last_config(config.places)
    if last is None and "fetch" not in config.model_fields_set:
        return None
    going_on = merged((last or Config()).model_dump(), {"training": {"start_from": "champion"}})
    try:
        return Config.model_validate(
            {**merged(going_on, config.model_dump(exclude_unset=True)), "places": config.places}
        )
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"what is given does not go with the settings of the last run, which hold for all else: {what}"
        ) from error


def merged(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings with those that are given in their place, inside each section too."""
    parts = {name: merged(settings[name], value) if isinstance(value, dict) else value for name, value in given.items()}
    return {**settings, **parts}


def whole(config: Config) -> Config:
    """The same with absolute paths, for a worker that starts in another folder."""
    places, arrivals = config.places, config.fetch.arrivals
    there = places.model_copy(update={"data": places.data.absolute(), "artifacts": places.artifacts.absolute()})
    source = config.fetch.source
    fetch = config.fetch.model_copy(update={
        "source": str(Path(source).expanduser().absolute()) if Path(source).expanduser().exists() else source,
        "arrivals": arrivals and tuple(path.expanduser().absolute() for path in arrivals),
    })  # fmt: skip
    return config.model_copy(update={"places": there, "fetch": fetch})
