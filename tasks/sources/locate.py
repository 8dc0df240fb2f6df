"""Source: what the settings name, found and identified by its content before any step runs.

All of it is outside the cache: a zip under another name is the same zip, and an unpinned Kaggle data set is asked
for its newest version each time.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from tasks.records.results import Source
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.settings.settings import SAMPLE, FetchSettings, Places
from tasks.sources.archive import members, refuse_contents
from tasks.sources.folder import (
    find_root,
    labeled_files,
    left_out,
    listing_digest,
    look_through,
    shorten,
    small_enough,
    usable_files,
)
from tasks.sources.kaggle import DatasetVersion, Unavailable, latest_version
from tasks.storage.files import open_for_reading, sha256_of

KAGGLE = "kaggle:"


def locate(fetch: FetchSettings, places: Places) -> Source:
    """The source that the settings name. Raises BadInput when it is not there or holds no data set, OSError when Kaggle cannot be asked."""
    if fetch.source == SAMPLE:
        return Source(kind="sample", identity=fetch.sample.model_dump_json(), sample=fetch.sample, name="sample")
    if fetch.source.startswith(KAGGLE):
        dataset = pin_version(DatasetVersion.parse(fetch.source.removeprefix(KAGGLE)), places)
        return Source(kind="kaggle", identity=str(dataset), name=f"{KAGGLE}{dataset}")
    path = Path(fetch.source).expanduser().absolute()
    if not os.path.exists(path):
        raise BadInput(
            f"there is no source {fetch.source!r}: give `sample`, a zip file, a folder, or {KAGGLE}OWNER/SLUG[/VERSION]"
        )
    if path.is_dir():
        names, faults = usable_files(path, look_through(path))
        tell(faults)
        files, elsewhere = labeled_files(names, find_root(names, fetch.classes), fetch.classes)
        tell([f"{elsewhere:,} images outside the class folders"] if elsewhere else [])
        tell(left_out(sorted(set(names) - {file.name for file in files})))
        with open_for_reading(path):
            taken, large = small_enough(path, [file.name for file in files])
            tell(large)
            identity = listing_digest((name, sha256_of(path / name)) for name in taken)
        return Source(kind="folder", identity=identity, name=for_terminal(path.name), path=path, names=tuple(taken))
    entries = {entry.filename: entry for entry in members(path)}
    taken_of_zip = labeled_files(entries, find_root(entries, fetch.classes), fetch.classes)[0]
    refuse_contents(path, [entries[file.name] for file in taken_of_zip])
    with open_for_reading(path):
        return Source(kind="zip", identity=sha256_of(path), name=for_terminal(path.name), path=path)


def tell(lines: Sequence[str]) -> None:
    for line in shorten(lines):
        say(f"source: left out: {line}")


def pin_version(dataset: DatasetVersion, places: Places) -> DatasetVersion:
    """The data set with its version; when Kaggle cannot be asked, the newest that was fetched before, with a warning.

    A version that is not at hand is asked for too, so that a wrong name or a missing network is told before any work.
    """
    if dataset.version and kaggle_archives(dataset, places):
        return dataset
    try:
        newest = latest_version(dataset)
    except Unavailable as trouble:
        at_hand = [int(path.stem.split("-v")[-1].partition("-")[0]) for path in kaggle_archives(dataset, places)]
        if not at_hand:
            raise
        say(f"warning: {trouble}; version {max(at_hand)}, fetched before, is used")
        return dataset._replace(version=max(at_hand))
    if dataset.version and dataset.version > newest:
        raise BadInput(f"{dataset.address} has no version {dataset.version}: the newest is {newest}")
    return dataset._replace(version=dataset.version or newest)


def kaggle_archives(dataset: DatasetVersion, places: Places) -> list[Path]:
    """The zips at hand of a data set's version, or of all its versions; the name of each ends with its digest."""
    return sorted(
        (places.data.absolute() / "archives").glob(
            f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version or '*'}-*.zip"
        )
    )
