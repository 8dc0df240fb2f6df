"""Registry: which released model is in use. A version is complete before the champion is changed to it, in one step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.files import alone, write_whole


class Version(BaseModel):
    """A released model."""

    model_config = ConfigDict(frozen=True)
    number: int
    model: str
    """Digest of its folder under `artifacts/models`."""
    run_id: str
    """Run that promoted it."""
    reason: str
    champion_before: int | None


def champion(places: Places) -> Version | None:
    """The version in use, or None before the first promotion."""
    pointer = registry(places) / "champion"
    if not pointer.exists():
        return None
    if not (number := pointer.read_text(encoding="utf-8")).isdecimal():
        raise BadInput(
            f"{pointer} is damaged: it holds {number!r} and not the number of a version; write one of {versions(places)} into it"
        )
    return version(int(number), places)


def promote(model: str, run_id: str, reason: str, places: Places) -> Version:
    """Makes the model in the folder of this digest the next version, and the champion. Called by who is `deciding`."""
    folder, before = registry(places), champion(places)
    number = max(versions(places), default=0) + 1
    made = Version(
        number=number, model=model, run_id=run_id, reason=reason, champion_before=before.number if before else None
    )
    write_whole(folder / "versions" / f"{number}.json", made.model_dump_json(indent=2).encode())
    write_whole(folder / "champion", str(number).encode())
    return made


@contextmanager
def deciding(places: Places) -> Iterator[None]:
    """Of two runs that decide at once, the later waits, and then sees the earlier one's champion."""
    folder = registry(places)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".lock"):
        yield


def version(number: int, places: Places) -> Version:
    """A version by its number. Raises BadInput when there is none."""
    path = registry(places) / "versions" / f"{number}.json"
    if not path.exists():
        there = ", ".join(map(str, versions(places)))
        raise BadInput(
            f"there is no version {number} in {registry(places)}: there {f'are {there}' if there else 'is none yet'}"
        )
    return Version.model_validate_json(path.read_text(encoding="utf-8"))


def versions(places: Places) -> list[int]:
    """The numbers that there are, in order."""
    return sorted(int(path.stem) for path in registry(places).glob("versions/*.json"))


def registry(places: Places) -> Path:
    return places.artifacts.absolute() / "registry"
