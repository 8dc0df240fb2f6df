"""News: what the last successful run did not use, compared by content: another source, or labeled images that arrived."""

import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tasks.dataset.corrections import find_corrections, load_corrections
from tasks.dataset.labels import CONFLICT, EXCLUDED, apply_corrections, label_change, label_change_summary
from tasks.inbox.arrivals import entries_of, find_arrivals
from tasks.pipeline.last_run import last_run, sections_of
from tasks.records.results import ClassFolders, Source
from tasks.records.rows import BASE, Entry, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.layouts.layout import assume_folders
from tasks.sources.locate import locate
from tasks.storage.files import digest_of
from tasks.storage.tables import columns, read_state, write_rows

ANNOUNCED, WAITING = "announced.csv", "waiting.csv"
DECIDED_ANEW = (EXCLUDED, CONFLICT)  # codes of refusals that a correction makes and unmakes: the image itself is usable
GRACE = timedelta(minutes=10)  # for a run to come of an announcement: the trigger waits for 30 s, a busy server longer
DOUBLINGS = 7  # of the grace, to 21 hours: a run that fails by its own fault is not asked for every few minutes


class UsedData(NamedTuple):
    """The data that the last successful run was made of; empty before the first."""

    source: str | None = None
    """Its identity."""
    images: frozenset[tuple[str, str]] = frozenset()
    """(sha256, label)."""
    source_images: tuple[Entry, ...] = ()
    """The images of the source, with the labels that they have there: the excluded ones too."""
    refused: frozenset[str] = frozenset()
    """sha256 of what it looked at and put aside for what it shows."""


class NewImage(NamedTuple):
    """A labeled image that no run has used."""

    origin: str
    path: Path
    sha256: str
    label: str
    was_used: bool = False
    """A run had its content, with another label or excluded."""


class News(NamedTuple):
    """All that is new: another source, or images that no run has used."""

    source: Source
    another_source: bool
    """The source is not the one of the last successful run."""
    images: tuple[NewImage, ...]
    since: float | None
    """When the oldest of the images began to wait, by the clock of now, in seconds since 1970; None where there are none."""

    @property
    def digest(self) -> str:
        """Return a digest that is equal for equal news: the source, and content and label of each image."""
        return digest_of(
            {f"{image.sha256} {image.label}": image.origin for image in self.images} | {"": self.source.identity}
        )

    def reason_to_retrain(self, least: int, longest: float, now: float | None = None) -> str | None:
        """Return why it is time to train, or None.

        It is time when the source changed, when there are `least` images, or when fewer have waited for `longest` seconds. `now` is in
        seconds since 1970; None means the clock's time.
        """
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
    """Return what is new, and note how long each image has waited.

    Raises BadInput, as a run would, for everything that the user can mend.
    """
    used = last_used(places)
    source = locate(fetch, places)
    images = find_new_images(fetch, source.folders or assume_folders(fetch.classes), used, places)
    now = time.time()
    longest = max((row.waited for row in waiting_times(images, now, places)), default=None)
    return News(source, source.identity != used.source, images, None if longest is None else now - longest)


class WaitingImage(NamedTuple):
    """An image that waits until a run learns from it."""

    sha256: str
    waited: float
    """Seconds, added up from look to look: a clock that is set back takes none of them away."""
    looked: float
    """Time of the last look, in seconds since 1970, by the clock of that moment."""


def waiting_times(images: Sequence[NewImage], now: float, places: Places) -> list[WaitingImage]:
    """Return how long each image has waited, and keep that for the next look in `data/waiting.csv`, where there is `data`."""
    path = places.data_root / WAITING
    earlier = {row.sha256: row for row in read_state(path, WaitingImage) if math.isfinite(row.waited + row.looked)}
    rows = [WaitingImage(image.sha256, seconds_waiting(image, earlier.get(image.sha256), now), now) for image in images]
    if (rows or earlier) and places.data.is_dir():
        write_rows(path, (row._asdict() for row in rows), WaitingImage._fields)
    return rows


def seconds_waiting(image: NewImage, earlier: WaitingImage | None, now: float) -> float:
    """Return the seconds that an image has waited.

    The first look counts from when the file was put there: the newest of its times that does not lie ahead of `now`. Where a run has
    used the content, only its label is new, and the first look counts from `now`.
    """
    if earlier:
        return earlier.waited + max(0.0, now - earlier.looked)
    if image.was_used:
        return 0.0
    try:
        state = os.stat(image.path)
    except OSError:
        return 0.0
    return now - max((changed for changed in (state.st_mtime, state.st_ctime) if changed <= now), default=now)


def find_new_images(
    fetch: FetchSettings, class_folders: ClassFolders, used: UsedData, places: Places
) -> tuple[NewImage, ...]:
    """Return the images that a run would take in and none has used, with the labels that the corrections give.

    An image of the source is new where a correction gives it a label with which no run has used it. Of equal contents, the first
    counts. Say which images came with another label than an earlier one of equal content: that holds until a correction decides.
    """
    arrivals = find_arrivals(fetch, class_folders, places)
    listed = {entry: arrival.path for arrival in arrivals for entry in entries_of(arrival, class_folders, places)}
    corrections = load_corrections(find_corrections(class_folders.classes, places), class_folders.classes)
    corrected = apply_corrections([*used.source_images, *listed], corrections).entries
    leaders = {entry.sha256: entry for entry in reversed(corrected)}  # the first decides, as in a run
    agreeing = [entry for entry in corrected if entry.label == leaders[entry.sha256].label]
    conflicts = [(entry, leaders[entry.sha256]) for entry in corrected if entry.label != leaders[entry.sha256].label]
    if changes := {entry.sha256: label_change(entry, leader) for entry, leader in conflicts}:
        say(f"news: {label_change_summary(list(changes.values()))}")
    paths = {(entry.origin, entry.path): folder / entry.path for entry, folder in listed.items()}
    contents = {sha256 for sha256, _ in used.images} | {image.sha256 for image in used.source_images}
    new_images = {
        entry.sha256: NewImage(
            entry.origin,
            paths.get((entry.origin, entry.path)) or stored_path(entry, places),
            entry.sha256,
            entry.label,
            entry.sha256 in contents,
        )
        for entry in reversed(agreeing)
        if (entry.sha256, entry.label) not in used.images and entry.sha256 not in used.refused
    }
    return tuple(new_images.values())


def last_used(places: Places) -> UsedData:
    """Return what the newest run used.

    If its files are damaged, return empty data, as if no run had used anything, and say so in one line.
    """
    if (run := last_run(places)) is None:
        return UsedData()
    try:
        return used_by(run)
    except BadInput as damage:
        say(f"news: all images count as new: {damage}")
        return UsedData()


def used_by(run: Path) -> UsedData:
    """Return what a run used. Raises BadInput where its files are damaged."""
    images = list(columns(run / "splits.csv", "path", "sha256", "label", "origin"))
    table = run / "corrections.csv"
    corrected = list(columns(table, "path", "origin", "sha256", "was")) if table.exists() else []
    of_source = {path: Entry(path, sha256, label) for path, sha256, label, origin in images if origin == BASE}
    of_source |= {path: Entry(path, sha256, was) for path, origin, sha256, was in corrected if origin == BASE}
    refusals = columns(run / "quarantine.csv", "sha256", "code")
    dataset = sections_of(run, "dataset").dataset
    return UsedData(
        source=dataset.source_identity if dataset else None,
        images=frozenset((sha256, label) for _, sha256, label, _ in images),
        source_images=tuple(of_source.values()),
        refused=frozenset(sha256 for sha256, code in refusals if code not in DECIDED_ANEW),
    )


def not_yet_used(splits: Path, places: Places) -> int:
    """Count the images of a table of splits that the last successful run did not use."""
    return len(set(columns(splits, "sha256", "label")) - last_used(places).images)


class Announcement(NamedTuple):
    """An announcement of news."""

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
        """Return whether the text of the time is a time."""
        try:
            return bool(self.time)
        except ValueError:
            return False


def read_announcements(places: Places) -> list[Announcement]:
    """Return all announcements from these places, the newest last."""
    rows = read_state(places.data_root / ANNOUNCED, Announcement)
    return [announcement for announcement in rows if announcement.is_sound]


def announcements_of(arrived: News, places: Places) -> list[Announcement]:
    """Return the announcements of these very news, the newest last."""
    return [earlier for earlier in read_announcements(places) if earlier.digest == arrived.digest]


def retry_after(earlier: Sequence[Announcement]) -> datetime:
    """Return the time from which the same news are announced again, if no run has used them.

    The wait doubles with each earlier announcement, up to `DOUBLINGS` times.
    """
    grace = GRACE * 2 ** min(len(earlier) - 1, DOUBLINGS)
    return earlier[-1].time + grace


def postponed_until(earlier: Sequence[Announcement], now: datetime) -> datetime | None:
    """Return until when the same news are not announced again; None where it is time, or where they were never announced.

    An announcement whose time lies ahead was made before the clock was set back. It postpones nothing.
    """
    if not earlier or now < earlier[-1].time or now >= retry_after(earlier):
        return None
    return retry_after(earlier)


def record_announcement(arrived: News, why: str, places: Places) -> None:
    """Note that these news were announced."""
    latest = Announcement(arrived.digest, datetime.now(UTC).isoformat(timespec="seconds"), why)
    rows = [announcement._asdict() for announcement in (*read_announcements(places), latest)]
    write_rows(places.data_root / ANNOUNCED, rows, Announcement._fields)
