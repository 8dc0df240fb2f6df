"""Validate: decodes every file in full, and writes a row for each image and a reason for each file that is none."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from prefect import task

from tasks.dataset.corrections import Correction, load_corrections
from tasks.dataset.labels import Corrected, apply_corrections, drop_repeats, label_change_summary
from tasks.dataset.origins import summarize_origins
from tasks.images.decoding import UPRIGHT
from tasks.images.statistics import ImageStats, measure_files
from tasks.inbox.arrivals import entries_of
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Arrival, ClassFolders, Corrections, ImageFolder, Manifest
from tasks.records.rows import Entry, Refusal, Row, move_to_content, stored_name, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places, ValidationSettings
from tasks.sources.folder import listing_digest
from tasks.storage.digest_cache import file_digests
from tasks.storage.files import changed_error, publish, refuse_lost_files, scratch_beside, sha256_of
from tasks.storage.tables import read_table, store_table


@task(cache_policy=same_step)
def validate(
    folder: ImageFolder,
    arrivals: tuple[Arrival, ...],
    corrections: Corrections,
    validation: ValidationSettings,
    places: Places,
) -> Manifest:
    """Return the manifest of the source and of the arrivals. Copy refused files to `data/quarantine`."""
    classes = folder.folders.classes
    arrived = chain.from_iterable(take_in(arrival, folder.folders, places) for arrival in arrivals)
    all_entries = [*read_table(folder.listing.path(places), Entry), *arrived]
    corrections_by_content = load_corrections(corrections, classes)
    entries, withdrawn, corrected = apply_corrections(all_entries, corrections_by_content)
    image_stats, accepted, unusable = read_all(entries, validation, places)
    rows, conflicts, changes, repeats = drop_repeats(accepted)
    refuse_no_good(rows, classes)
    quarantine(unusable, places)
    refusals = sorted(unusable + withdrawn + conflicts)
    manifest = Manifest(
        table=store_table("manifest", rows, Row, places),
        refused=store_table("quarantine", refusals, Refusal, places),
        corrected=store_table("corrections", corrected, Corrected, places),
        label_changes=store_table("label_changes", changes, Correction, places) if changes else None,
        classes=classes,
        images=len(rows),
        quarantined=len(refusals),
        corrections_unused=len(corrections_by_content.keys() - {entry.sha256 for entry in all_entries}),
        origins=summarize_origins(all_entries, rows, refusals, repeats),
    )
    say(*origin_notes(entries, image_stats, repeats), *notes(manifest, len(corrected), changes, refusals, places))
    return manifest


def take_in(arrival: Arrival, class_folders: ClassFolders, places: Places) -> list[Entry]:
    """Copy the files of an arrival to where their content belongs, so that a later change outside changes nothing here.

    Return them as entries. Raises BadInput where the arrival changed since it was found.
    """
    entries = entries_of(arrival, class_folders, places)
    if listing_digest((entry.path, entry.sha256) for entry in entries) != arrival.identity:
        raise changed_error(arrival.path)
    stored = file_digests([stored_path(entry, places) for entry in entries], places)
    missing = {entry.sha256: entry for entry, sha256 in zip(entries, stored, strict=True) if sha256 != entry.sha256}
    copy_all(arrival, list(missing.values()), places)
    return entries


def copy_all(arrival: Arrival, missing: Sequence[Entry], places: Places) -> None:
    """Copy the files to their places.

    Put them on disk together: waiting for the disk at each takes milliseconds.
    """
    if not missing:
        return
    with scratch_beside(places.data_root / "arriving") as scratch:
        scratch.mkdir()
        for entry in missing:
            with refuse_lost_files(arrival.path):
                shutil.copyfile(arrival.path / entry.path, scratch / entry.sha256)
            if sha256_of(scratch / entry.sha256) != entry.sha256:
                raise changed_error(arrival.path)
        os.sync()
        for entry in missing:
            move_to_content(scratch / entry.sha256, entry, places)


def read_all(
    entries: Sequence[Entry], validation: ValidationSettings, places: Places
) -> tuple[list[ImageStats], list[Row], list[Refusal]]:
    """Decode all files, and return their statistics, the rows of the images and the refusals.

    Raises BadInput where too many cannot be used.
    """
    image_stats = list(measure_files(map(stored_name, entries), validation.max_megapixels, places))
    judged = [row_or_refusal(entry, stats, validation) for entry, stats in zip(entries, image_stats, strict=True)]
    refusals = [item for item in judged if isinstance(item, Refusal)]
    refuse_too_many_bad(entries, refusals, validation)
    return image_stats, [item for item in judged if isinstance(item, Row)], refusals


def row_or_refusal(entry: Entry, stats: ImageStats, validation: ValidationSettings) -> Row | Refusal:
    """Return the row of an image that was decoded, is large enough and is not blank; of another one, the refusal."""
    code, reason = (stats.code, stats.reason) if stats.code else find_fault(stats, validation)
    if code:
        return Refusal(entry.path, entry.sha256, entry.origin, code, reason)
    return Row(
        entry.path, entry.sha256, entry.label, entry.origin, entry.published,
        stats.width, stats.height, stats.brightness, stats.border, stats.sharpness,
        kind=entry.kind, part=entry.part, mask=entry.mask,
    )  # fmt: skip


def find_fault(stats: ImageStats, validation: ValidationSettings) -> tuple[str, str]:
    """Return code and reason of an image that shows too little, or two empty texts."""
    if min(stats.width, stats.height) < validation.min_side:
        return "too_small", f"{stats.width} x {stats.height} pixels, at least {validation.min_side} a side are expected"
    if stats.deviation < validation.min_deviation:
        least = f"at least {validation.min_deviation:g} is expected of a photograph"
        return "blank", f"its gray levels deviate by {stats.deviation:.2f}, {least}"
    return "", ""


def refuse_too_many_bad(entries: Iterable[Entry], refusals: Sequence[Refusal], validation: ValidationSettings) -> None:
    """Raise BadInput where more of an origin's files are damaged than the settings allow; `entries` are without excluded ones."""
    total, bad = Counter(entry.origin for entry in entries), Counter(refusal.origin for refusal in refusals)
    for origin, count in bad.items():
        if count > max(1, validation.max_bad_fraction * total[origin]):  # one file must not stop a small batch
            first = min(refusal for refusal in refusals if refusal.origin == origin)
            raise BadInput(
                f"{count:,} of {total[origin]:,} files of {origin} cannot be used, at most {validation.max_bad_fraction:.1%} may be so; "
                f"the first: {first.path} ({first.reason}). Mend the files, or raise --validation.max_bad_fraction"
            )


def refuse_no_good(rows: Iterable[Row], classes: Classes) -> None:
    """Raise BadInput where no good part is left. Whether a network needs defects too is known when the images are divided."""
    if not any(row.label == classes.good for row in rows):
        raise BadInput(f"no usable image of {classes.good} is left: every network learns from good parts")


def quarantine(refusals: Iterable[Refusal], places: Places) -> None:
    """Copy the refused files, sorted by reason, for people to look at."""
    for refusal in refusals:
        target = places.quarantine / refusal.code / f"{refusal.sha256[:16]}-{Path(refusal.path).name[-40:]}"
        if not target.exists():
            with scratch_beside(target) as scratch:
                shutil.copyfile(stored_path(Entry(refusal.path, refusal.sha256), places), scratch)
                publish(scratch, target)


def origin_notes(entries: Iterable[Entry], image_stats: Iterable[ImageStats], repeats: Counter[str]) -> Iterator[str]:
    """Yield what is worth knowing of an origin and refuses no image."""
    for origin, count in repeats.items():
        yield f"validate: {count:,} files of {origin} repeat images of earlier origins, and add nothing"
    turned_images = Counter(
        entry.origin for entry, stats in zip(entries, image_stats, strict=True) if stats.orientation != UPRIGHT
    )
    for origin, count in turned_images.items():
        yield f"validate: {count:,} images of {origin} are shown turned by viewers (EXIF orientation); they are used as stored"


def notes(
    manifest: Manifest, corrected: int, changes: Sequence[Correction], refusals: Iterable[Refusal], places: Places
) -> Iterator[str]:
    """Yield what became of the corrections, of photographs that came with another label than before, and of all files."""
    if corrected or manifest.corrections_unused:
        unused = f"{manifest.corrections_unused:,} corrections are of images that this run does not have"
        yield f"validate: {corrected:,} files corrected; {unused}"
    if manifest.label_changes:
        yield f"validate: {label_change_summary(changes)}; all such lines: {manifest.label_changes.path(places)}"
    counts = Counter(refusal.code for refusal in refusals).most_common()
    reasons = f" ({', '.join(f'{count} {code}' for code, count in counts)})" if counts else ""
    yield f"validate: {manifest.images:,} images accepted, {manifest.quarantined:,} quarantined{reasons}"
