"""Kaggle source: a version of a data set on Kaggle, downloaded once. Without a number, the newest."""

from pathlib import Path

from tasks.records.results import Source
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.kaggle import DatasetVersion, Unavailable, download, latest_version
from tasks.sources.layouts.detect import detect_in_zip
from tasks.storage.files import File, move_into_place, sha256_of

PREFIX = "kaggle:"


def recognizes(text: str) -> bool:
    """Return whether the text names a data set on Kaggle."""
    return text.startswith(PREFIX)


def identify(fetch: FetchSettings, places: Places) -> Source:
    """Identify the data set by its name and version. Raises as `pin_version` does, and BadInput for a text of another form."""
    dataset = pin_version(DatasetVersion.parse(fetch.source.removeprefix(PREFIX)), places)
    source = Source(kind="kaggle", identity=str(dataset), name=f"{PREFIX}{dataset}")
    at_hand = kaggle_archives(dataset, places) or kaggle_archives(dataset._replace(version=None), places)
    if at_hand:  # an earlier version has the same class folders
        return source.model_copy(update=detect_in_zip(at_hand[-1], fetch.classes).of_source())
    return source


def bring(source: Source, places: Places) -> File:
    """Download the zip of a Kaggle version once. The digest in its name tells whether a zip at hand is whole."""
    dataset = DatasetVersion.parse(source.identity)
    for path in kaggle_archives(dataset, places):
        if path.stem.endswith(f"-{(digest := sha256_of(path))[:16]}"):
            return File(place="data", name=f"archives/{path.name}", sha256=digest)
    target = places.archives / f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version}.zip"
    download(dataset, target)
    return move_into_place(target, places, "data", f"archives/{target.name}")


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
    return sorted(places.archives.glob(f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version or '*'}-*.zip"))
