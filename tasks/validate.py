"""Validate: every file decoded in full; a row for each image, and a reason for each that is none."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect import task

from tasks.images.decoding import decode
from tasks.images.manifest import BASE, Entry, Refusal, Row, stored
from tasks.runs.caching import same_step
from tasks.runs.config import Classes, Places, Validation
from tasks.runs.errors import BadInput
from tasks.runs.files import damage, write_whole
from tasks.runs.records import Arrival, ImageFolder, Manifest
from tasks.runs.tables import read_table, store_table
from tasks.sources.arrivals import files
from tasks.sources.folder import listing_digest


@task(cache_policy=same_step)
def validate(folder: ImageFolder, arrivals: tuple[Arrival, ...], validation: Validation, places: Places) -> Manifest:
    """The manifest of the source and of the arrivals; refused files are copied to `data/quarantine`."""
    entries = read_table(folder.listing.path(places), Entry)
    for arrival in arrivals:
        entries += take_in(arrival, folder.classes, places)
    with ThreadPoolExecutor() as pool:  # the decoders work outside Python's lock
        judged = list(pool.map(lambda entry: judge(entry, validation, places), entries))
    rows, refusals = settle_labels([item for item in judged if isinstance(item, Row)])
    refusals = sorted(refusals + [item for item in judged if isinstance(item, Refusal)])
    refuse_too_many_bad(entries, refusals, validation)
    refuse_empty_class(rows, folder.classes)
    quarantine(refusals, places)
    print(f"validate: {len(rows):,} images accepted, {len(refusals):,} quarantined{reasons(refusals)}")
    return Manifest(
        table=store_table("manifest", rows, Row, places),
        refused=store_table("quarantine", refusals, Refusal, places),
        classes=folder.classes,
        images=len(rows),
        quarantined=len(refusals),
    )


def take_in(arrival: Arrival, classes: Classes, places: Places) -> list[Entry]:
    """The files of an arrival, copied to where their content belongs, so that a later change outside changes nothing here."""
    entries, listing = [], []
    for file in files(arrival.path, classes):
        content = (arrival.path / file.name).read_bytes()
        entry = Entry(file.path, hashlib.sha256(content).hexdigest(), file.label, origin=arrival.origin)
        if damage(stored(entry, places), entry.sha256):
            write_whole(stored(entry, places), content)
        entries.append(entry)
        listing.append((file.name, entry.sha256))
    if listing_digest(listing) != arrival.identity:
        raise BadInput(f"{arrival.path} changed while it was read: start again when it is complete")
    return entries


def judge(entry: Entry, validation: Validation, places: Places) -> Row | Refusal:
    """The row of an image that can be decoded and is not blank."""
    path = stored(entry, places)
    decoded = decode(path.read_bytes(), path.suffix, validation.max_megapixels)
    if decoded.pixels is None:
        return Refusal(entry.path, entry.sha256, entry.origin, decoded.code, decoded.reason)
    if (deviation := float(decoded.pixels.std())) < validation.min_deviation:
        reason = f"its grey levels deviate by {deviation:.2f}, at least {validation.min_deviation:g} is expected of a photograph"
        return Refusal(entry.path, entry.sha256, entry.origin, "blank", reason)
    height, width = decoded.pixels.shape
    return Row(
        entry.path,
        entry.sha256,
        entry.label,
        entry.origin,
        entry.published,
        width,
        height,
        round(float(decoded.pixels.mean()), 3),
    )


def settle_labels(rows: Sequence[Row]) -> tuple[list[Row], list[Refusal]]:
    """The rows without contradicting labels for one content: in the source that is an error, of an arrival the file is refused."""
    by_content: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_content[row.sha256].append(row)
    conflicts = [(row, first) for first, *others in by_content.values() for row in others if row.label != first.label]
    inside = [f"{first.path} and {row.path}" for row, first in conflicts if row.origin == BASE]
    if inside:
        raise BadInput(
            f"{len(inside)} pairs of equal files carry both labels: {'; '.join(inside[:5])}. "
            "Remove the wrong one of each pair from the source"
        )
    refusals = [
        Refusal(
            row.path,
            row.sha256,
            row.origin,
            "label_conflict",
            f"labelled {row.label}, but {first.origin}/{first.path} has equal content as {first.label}",
        )
        for row, first in conflicts
    ]
    refused = {(refusal.origin, refusal.path) for refusal in refusals}
    return [row for row in rows if (row.origin, row.path) not in refused], refusals


def refuse_too_many_bad(entries: Iterable[Entry], refusals: Sequence[Refusal], validation: Validation) -> None:
    total, bad = Counter(entry.origin for entry in entries), Counter(refusal.origin for refusal in refusals)
    for origin, count in bad.items():
        if count > max(1, validation.max_bad_fraction * total[origin]):  # one file must not stop a small batch
            first = next(refusal for refusal in refusals if refusal.origin == origin)
            raise BadInput(
                f"{count:,} of {total[origin]:,} files of {origin} cannot be used, at most {validation.max_bad_fraction:.1%} may be so; "
                f"the first: {first.path} ({first.reason}). Mend the files, or raise --validation.max_bad_fraction"
            )


def refuse_empty_class(rows: Iterable[Row], classes: Classes) -> None:
    found = Counter(row.label for row in rows)
    for label in (classes.defect, classes.good):
        if not found[label]:
            raise BadInput(f"no usable image of {label} is left: both classes need images to learn from")


def quarantine(refusals: Iterable[Refusal], places: Places) -> None:
    """Copies the refused files, sorted by reason, for people to look at."""
    for refusal in refusals:
        source = stored(Entry(refusal.path, refusal.sha256), places)
        target: Path = (
            places.data.absolute()
            / "quarantine"
            / refusal.code
            / f"{refusal.sha256[:16]}-{Path(refusal.path).name[-40:]}"
        )
        if not target.exists():
            write_whole(target, source.read_bytes())


def reasons(refusals: Iterable[Refusal]) -> str:
    counts = Counter(refusal.code for refusal in refusals)
    return f" ({', '.join(f'{count} {code}' for code, count in counts.most_common())})" if counts else ""
