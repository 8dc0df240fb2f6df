"""News: what the last successful run did not use, told by content: another source, or labelled images that arrived."""

import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tasks.dataset.corrections import find_corrections, load_corrections
from tasks.dataset.labels import CONFLICT, EXCLUDED, apply_corrections, label_change, label_change_summary
from tasks.inbox.arrivals import contents, files, find_arrivals
from tasks.pipeline.last_run import last_run, section_of
from tasks.records.results import Arrival, Source
from tasks.records.rows import BASE, Entry
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.locate import locate
from tasks.storage.files import digest_of
from tasks.storage.tables import columns, read_state, write_rows

ANNOUNCED, WAITING = "announced.csv", "waiting.csv"
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


class NewImage(NamedTuple):
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
    images: tuple[NewImage, ...]
    since: float | None
    """When the oldest of the images began to wait, by the clock of now, in seconds since 1970; None where there are none."""

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


def news(fetch: FetchSettings, places: Places) -> News:
    """What has come. Notes how long each image has waited. Raises BadInput for whatever of it the user can mend, as a run would."""
    used = last_used(places)
    source = locate(fetch, places)
    found = fresh(fetch, used, places)
    now = time.time()
    longest = max((row.waited for row in waiting(found, now, places)), default=None)
    return News(source, source.identity != used.source, found, None if longest is None else now - longest)


class Waiting(NamedTuple):
    """An image that waits until a run learns from it."""

    sha256: str
    waited: float
    """Seconds, added up from look to look: a clock that is set back takes none of them away."""
    looked: float
    """Time of the last look, in seconds since 1970, by the clock of that moment."""


def waiting(images: Sequence[NewImage], now: float, places: Places) -> list[Waiting]:
    """Return how long each of the images has waited, and keep that for the next look in `data/waiting.csv`, where there is `data`."""
    path = places.data.absolute() / WAITING
    earlier = {row.sha256: row for row in read_state(path, Waiting) if math.isfinite(row.waited + row.looked)}
    rows = [Waiting(image.sha256, seconds_waiting(image, earlier.get(image.sha256), now), now) for image in images]
    if (rows or earlier) and places.data.is_dir():
        write_rows(path, (row._asdict() for row in rows), Waiting._fields)
    return rows


def seconds_waiting(image: NewImage, earlier: Waiting | None, now: float) -> float:
    """Return the seconds that an image has waited.

    The first look counts from when the file was put there: the newest of its times that does not lie ahead of `now`.
    """
    if earlier:
        return earlier.waited + max(0.0, now - earlier.looked)
    try:
        there = os.stat(image.path)
    except OSError:
        return 0.0
    return now - max((changed for changed in (there.st_mtime, there.st_ctime) if changed <= now), default=now)


def fresh(fetch: FetchSettings, used: Used, places: Places) -> tuple[NewImage, ...]:
    """What a run would take in and none has used, with the labels that the corrections give; of equal contents the first.

    Says which images came with another label than an earlier one of equal content: that holds until a correction decides.
    """
    there = {arrival.origin: arrival for arrival in find_arrivals(fetch, places)}
    listed = [entry for arrival in there.values() for entry in entries(arrival, fetch, places)]
    wanted = load_corrections(find_corrections(fetch.classes, places), fetch.classes)
    mended = apply_corrections([*used.source_images, *listed], wanted).entries
    leaders = {entry.sha256: entry for entry in reversed(mended)}  # the first decides, as in a run
    arrived = [entry for entry in mended if entry.origin != BASE]
    agreeing = [entry for entry in arrived if entry.label == leaders[entry.sha256].label]
    others = [(entry, leaders[entry.sha256]) for entry in arrived if entry.label != leaders[entry.sha256].label]
    if changes := {entry.sha256: label_change(entry, leader) for entry, leader in others}:
        say(f"news: {label_change_summary(list(changes.values()))}")
    found = {
        entry.sha256: NewImage(entry.origin, there[entry.origin].path / entry.path, entry.sha256, entry.label)
        for entry in reversed(agreeing)
        if (entry.sha256, entry.label) not in used.images and entry.sha256 not in used.refused
    }
    return tuple(found.values())


def entries(arrival: Arrival, fetch: FetchSettings, places: Places) -> list[Entry]:
    """The files of an arrival, by their names in its folder."""
    taken = files(arrival.names, fetch.classes)
    read = contents(arrival.path, [file.name for file in taken], places)
    return [
        Entry(file.name, sha256, file.label, origin=arrival.origin)
        for file, (_, sha256) in zip(taken, read, strict=True)
    ]


def last_used(places: Places) -> Used:
    """What the run used whose folder is the newest. Of one whose files are damaged nothing is known, and one line says so."""
    if (run := last_run(places)) is None:
        return Used()
    try:
        return used_by(run)
    except BadInput as damage:
        say(f"news: all images count as new: {damage}")
        return Used()


def used_by(run: Path) -> Used:
    """Return what a run used. Raises BadInput where its files are damaged."""
    images = list(columns(run / "splits.csv", "path", "sha256", "label", "origin"))
    refusals = columns(run / "quarantine.csv", "sha256", "code")
    return Used(
        source=section_of(run, "dataset").get("source_identity"),
        images=frozenset((sha256, label) for _, sha256, label, _ in images),
        source_images=tuple(Entry(path, sha256, label) for path, sha256, label, origin in images if origin == BASE),
        refused=frozenset(sha256 for sha256, code in refusals if code not in DECIDED_ANEW),
    )


def not_yet_used(splits: Path, places: Places) -> int:
    """Images of a table of splits that the last successful run did not use."""
    return len(set(columns(splits, "sha256", "label")) - last_used(places).images)


class Announcement(NamedTuple):
    """News that were told."""

    digest: str
    announced: str
    """Time in UTC."""
    why: str

    @property
    def time(self) -> datetime:
        """Return the time in UTC. Raises ValueError where the text is no time."""
        time = datetime.fromisoformat(self.announced)
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    @property
    def is_sound(self) -> bool:
        try:
            return bool(self.time)
        except ValueError:
            return False


def read_announcements(places: Places) -> list[Announcement]:
    """All news that were told from these places, the newest last."""
    return [one for one in read_state(places.data.absolute() / ANNOUNCED, Announcement) if one.is_sound]


def announcements_of(found: News, places: Places) -> list[Announcement]:
    """The announcements of these very news, the newest last."""
    return [one for one in read_announcements(places) if one.digest == found.digest]


def retry_after(earlier: Sequence[Announcement]) -> datetime:
    """From when on news that were told so often are told again, if no run has used them; each time it takes twice as long."""
    grace = GRACE * 2 ** min(len(earlier) - 1, DOUBLINGS)
    return earlier[-1].time + grace


def rests_until(earlier: Sequence[Announcement], now: datetime) -> datetime | None:
    """Return until when the same news are not told again; None where it is time, or where they were never told.

    An announcement whose time lies ahead was made before the clock was set back. It postpones nothing.
    """
    if not earlier or now < earlier[-1].time or now >= retry_after(earlier):
        return None
    return retry_after(earlier)


def remember(found: News, why: str, places: Places) -> None:
    """Notes that these news were told."""
    this = Announcement(found.digest, datetime.now(UTC).isoformat(timespec="seconds"), why)
    rows = [one._asdict() for one in (*read_announcements(places), this)]
    write_rows(places.data.absolute() / ANNOUNCED, rows, Announcement._fields)
