"""News: what the last successful run did not use, told by content: another source, or labelled images that arrived."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tasks.images.labels import CONFLICT, EXCLUDED, mend
from tasks.images.manifest import BASE, Entry
from tasks.runs.config import Fetch, Places
from tasks.runs.files import digest_of
from tasks.runs.last import facts_of, last_run
from tasks.runs.messages import say
from tasks.runs.records import Arrival, Source
from tasks.runs.tables import column, read_table, write_rows
from tasks.sources.arrivals import State, arrivals, contents, files
from tasks.sources.corrections import NAME, believed, corrections
from tasks.sources.source import locate

ANNOUNCED = "announced.csv"
DECIDED_ANEW = (EXCLUDED, CONFLICT)  # codes of refusals that a correction makes and unmakes: the image itself is usable
GRACE = timedelta(minutes=10)  # for a run to come of an announcement: the trigger waits for 30 s, a busy server longer
DOUBLINGS = 7  # of the grace, to 21 hours: a run that fails by its own fault is not asked for every few minutes


class Used(NamedTuple):
    """What the last successful run was made of; nothing before the first."""

    source: str | None = None
    """Its identity."""
    images: frozenset[tuple[str, str]] = frozenset()
    """(sha256, label)."""
    source_images: tuple[Entry, ...] = ()
    """Of the images, those of the source."""
    refused: frozenset[str] = frozenset()
    """sha256 of what it looked at and put aside for what it shows."""


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
    found = fresh(fetch, used, places)
    states = [State.of(str(one.path)) for one in found]
    since = min((state.changed for state in states if state), default=None)
    return News(source, source.identity != used.source, found, since)


def fresh(fetch: Fetch, used: Used, places: Places) -> tuple[Fresh, ...]:
    """What a run would take in and none has used, with the labels that the corrections give; of equal contents the first.

    Says how many images a run would refuse because an earlier one of equal content has the other label.
    """
    there = {arrival.origin: arrival for arrival in arrivals(fetch, places)}
    listed = [entry for arrival in there.values() for entry in entries(arrival, fetch, places)]
    wanted = believed(corrections(fetch.classes, places), fetch.classes)
    mended = mend([*used.source_images, *listed], wanted).entries
    labels = {entry.sha256: entry.label for entry in reversed(mended)}  # the first decides, as in a run
    arrived = [entry for entry in mended if entry.origin != BASE]
    agreeing = [entry for entry in arrived if entry.label == labels[entry.sha256]]
    if contradicting := len(arrived) - len(agreeing):
        say(f"news: {contradicting:,} images contradict the label of an earlier equal one: {NAME} can decide")
    found = {
        entry.sha256: Fresh(entry.origin, there[entry.origin].path / entry.path, entry.sha256, entry.label)
        for entry in reversed(agreeing)
        if (entry.sha256, entry.label) not in used.images and entry.sha256 not in used.refused
    }
    return tuple(found.values())


def entries(arrival: Arrival, fetch: Fetch, places: Places) -> list[Entry]:
    """The files of an arrival, by their names in its folder."""
    taken = files(arrival.names, fetch.classes)
    read = contents(arrival.path, [file.name for file in taken], places)
    return [
        Entry(file.name, sha256, file.label, origin=arrival.origin)
        for file, (_, sha256) in zip(taken, read, strict=True)
    ]


def last_used(places: Places) -> Used:
    """What the run used whose folder is the newest."""
    if (run := last_run(places)) is None:
        return Used()
    splits, quarantine = run / "splits.csv", run / "quarantine.csv"
    images = zip(*(column(splits, name) for name in ("path", "sha256", "label", "origin")), strict=True)
    refusals = zip(column(quarantine, "sha256"), column(quarantine, "code"), strict=True)
    return Used(
        source=facts_of(run)["dataset"].get("source_identity"),
        images=labelled(splits),
        source_images=tuple(Entry(path, sha256, label) for path, sha256, label, origin in images if origin == BASE),
        refused=frozenset(sha256 for sha256, code in refusals if code not in DECIDED_ANEW),
    )


def labelled(splits: Path) -> frozenset[tuple[str, str]]:
    """Content and label of each image of a table of splits."""
    return frozenset(zip(column(splits, "sha256"), column(splits, "label"), strict=True))


def unused(splits: Path, places: Places) -> int:
    """Images of a table of splits that the last successful run did not use."""
    return len(labelled(splits) - last_used(places).images)


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


def told(found: News, places: Places) -> list[Announcement]:
    """The announcements of these very news, the newest last."""
    return [one for one in announced(places) if one.digest == found.digest]


def again_from(earlier: Sequence[Announcement]) -> datetime:
    """From when on news that were told so often are told again, if no run has used them; each time it takes twice as long."""
    grace = GRACE * 2 ** min(len(earlier) - 1, DOUBLINGS)
    return datetime.fromisoformat(earlier[-1].announced) + grace


def remember(found: News, why: str, places: Places) -> None:
    """Notes that these news were told."""
    this = Announcement(found.digest, datetime.now(UTC).isoformat(timespec="seconds"), why)
    rows = [one._asdict() for one in (*announced(places), this)]
    write_rows(places.data.absolute() / ANNOUNCED, rows, Announcement._fields)
