"""News: what the last successful run did not use, told by content: another source, or labelled images that arrived."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tasks.images.labels import mend
from tasks.images.manifest import Entry
from tasks.runs.config import Config, Fetch, Places
from tasks.runs.errors import BadInput
from tasks.runs.files import digest_of, write_whole
from tasks.runs.records import Arrival, Source
from tasks.runs.tables import as_table, column, read_table
from tasks.sources.arrivals import State, arrivals, contents, files
from tasks.sources.corrections import believed, corrections
from tasks.sources.source import locate

ANNOUNCED = "announced.csv"
LATEST = "runs/latest"


class Used(NamedTuple):
    """What the last successful run was made of; nothing before the first."""

    source: str | None = None
    """Its identity."""
    images: frozenset[tuple[str, str]] = frozenset()
    """(sha256, label)."""
    refused: frozenset[str] = frozenset()
    """sha256 of what it looked at and put aside."""


class Fresh(NamedTuple):
    """A labelled image that no run has used."""

    origin: str
    path: Path
    sha256: str
    label: str


class News(NamedTuple):
    """All that is new."""

    source: Source
    another_source: bool
    """The source is not the one of the last successful run."""
    images: tuple[Fresh, ...]
    since: float | None
    """When the oldest of the images was put there, in seconds since 1970; None where there are none."""

    @property
    def digest(self) -> str:
        """Equal for equal news: the source, and content and label of each image."""
        return digest_of({f"{one.sha256} {one.label}": one.origin for one in self.images} | {"": self.source.identity})

    def due(self, least: int, longest: float, now: float | None = None) -> str | None:
        """Why it is time to train, or None: a source that changed, so many images, or fewer that have waited so many seconds."""
        if self.another_source:
            return f"the source is {self.source.name} now"
        if len(self.images) >= least:
            return f"new images: {len(self.images):,}, enough are {least:,}"
        waited = (time.time() if now is None else now) - self.since if self.since is not None else 0.0
        if self.images and waited >= longest:
            days = f"the oldest has waited for {waited / 86_400:.1f} days, enough are {longest / 86_400:g}"
            return f"new images: {len(self.images):,}, {days}"
        return None


def news(fetch: Fetch, places: Places) -> News:
    """What has come. Raises BadInput for whatever of it the user can mend, as a run would."""
    used = last_used(places)
    source = locate(fetch, places)
    fresh = [one for arrival in arrivals(fetch, places) for one in images(arrival, fetch, used, places)]
    known = {one.sha256: one for one in reversed(fresh)}  # of equal contents the first counts
    states = [State.of(str(one.path)) for one in known.values()]
    since = min((state.changed for state in states if state), default=None)
    return News(source, source.identity != used.source, tuple(known.values()), since)


def images(arrival: Arrival, fetch: Fetch, used: Used, places: Places) -> list[Fresh]:
    """Those of an arrival that no run has used, with the labels that the corrections give them."""
    taken = files(arrival.names, fetch.classes)
    read = contents(arrival.path, [file.name for file in taken], places)
    entries = [
        Entry(file.name, sha256, file.label, origin=arrival.origin)
        for file, (_, sha256) in zip(taken, read, strict=True)
    ]
    mended = mend(entries, believed(corrections(fetch.classes, places), fetch.classes)).entries
    return [
        Fresh(entry.origin, arrival.path / entry.path, entry.sha256, entry.label)
        for entry in mended
        if (entry.sha256, entry.label) not in used.images and entry.sha256 not in used.refused
    ]


def last_used(places: Places) -> Used:
    """What the run used whose folder is the newest."""
    run = places.artifacts.absolute() / LATEST
    if (facts := last_facts(places)) is None:
        return Used()
    return Used(
        source=facts["dataset"].get("source_identity"),
        images=labelled(run / "splits.csv"),
        refused=frozenset(column(run / "quarantine.csv", "sha256")),
    )


def labelled(splits: Path) -> frozenset[tuple[str, str]]:
    """Content and label of each image of a table of splits."""
    return frozenset(zip(column(splits, "sha256"), column(splits, "label"), strict=True))


def unused(splits: Path, places: Places) -> int:
    """Images of a table of splits that the last successful run did not use."""
    return len(labelled(splits) - last_used(places).images)


def last_config(places: Places) -> Config | None:
    """The settings of that run; None where there was none. Raises BadInput when one of them is none any more."""
    facts = last_facts(places)
    try:
        return Config.model_validate(facts["config"]) if facts else None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BadInput(
            f"the last run had a setting that is none any more, {where}: run flows/retrain.py once, or give the settings"
        ) from error


def last_facts(places: Places) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads((places.artifacts.absolute() / LATEST / "run.json").read_bytes())
    except FileNotFoundError:
        return None
    return told


class Announcement(NamedTuple):
    """News that were told."""

    digest: str
    announced: str
    """Time in UTC."""
    why: str


def announced(places: Places) -> list[Announcement]:
    """All news that were told from these places, the newest last."""
    path = places.data.absolute() / ANNOUNCED
    return read_table(path, Announcement) if path.is_file() else []


def remember(found: News, why: str, places: Places) -> None:
    """Notes that these news were told."""
    told = Announcement(found.digest, datetime.now(UTC).isoformat(timespec="seconds"), why)
    rows = [one._asdict() for one in (*announced(places), told)]
    write_whole(places.data.absolute() / ANNOUNCED, as_table(rows, Announcement._fields).encode())
