"""Locate: find the source that the settings name, and identify it by its content, before any step runs.

Nothing of this is cached. A zip under another name is the same zip, and Kaggle is asked each time for the newest version of
an unpinned data set.
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
    """Find the source that the settings name.

    Raises BadInput when it does not exist or holds no data set, and OSError when Kaggle cannot be asked.
    """
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
            used, large = small_enough(path, [file.name for file in files])
            tell(large)
            identity = listing_digest((name, sha256_of(path / name)) for name in used)
        return Source(kind="folder", identity=identity, name=for_terminal(path.name), path=path, names=tuple(used))
    entries = {entry.filename: entry for entry in members(path)}
    zip_files = labeled_files(entries, find_root(entries, fetch.classes), fetch.classes)[0]
    refuse_contents(path, [entries[file.name] for file in zip_files])
    with open_for_reading(path):
        return Source(kind="zip", identity=sha256_of(path), name=for_terminal(path.name), path=path)


def tell(lines: Sequence[str]) -> None:
    """Print what is left out of the source, a line each, and only the first of many."""
    for line in shorten(lines):
        say(f"source: left out: {line}")


def pin_version(dataset: DatasetVersion, places: Places) -> DatasetVersion:
    """Return the data set with a version. When Kaggle cannot be asked, warn and use the newest version that was fetched before.

    Kaggle is also asked about a named version that is not at hand, so that a wrong name or a missing network shows before any work.
    Raises BadInput for a version that does not exist, and Unavailable when Kaggle cannot be asked and nothing was fetched before.
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
    """Return the fetched zips of a data set's version, or of all its versions. The name of each ends with its digest."""
    return sorted((places.archives).glob(f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version or '*'}-*.zip"))
