"""Source: what the settings name, found and identified by its content before any step runs.

All of it is outside the cache: a zip under another name is the same zip, and an unpinned Kaggle data set is asked
for its newest version each time.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tasks.runs.config import Fetch, Places
from tasks.runs.errors import BadInput
from tasks.runs.files import sha256_of
from tasks.runs.records import Arrival, Source
from tasks.sources.archive import members
from tasks.sources.folder import arrival_folders, find_root, given_folders, walk
from tasks.sources.kaggle import DatasetVersion, Unavailable, latest_version

KAGGLE = "kaggle:"


def locate(fetch: Fetch, places: Places) -> Source:
    """The source that the settings name. Raises BadInput when it is not there or holds no data set, OSError when Kaggle cannot be asked."""
    if fetch.source == "sample":
        return Source(kind="sample", identity=fetch.sample.model_dump_json(), sample=fetch.sample, name="sample")
    if fetch.source.startswith(KAGGLE):
        dataset = pinned(DatasetVersion.parse(fetch.source.removeprefix(KAGGLE)), places)
        return Source(kind="kaggle", identity=str(dataset), name=f"{KAGGLE}{dataset}")
    path = Path(fetch.source).expanduser().absolute()
    if not path.exists():
        raise BadInput(
            f"there is no source {fetch.source!r}: give `sample`, a zip file, a folder, or {KAGGLE}OWNER/SLUG[/VERSION]"
        )
    if path.is_dir():
        names = walk(path)
        find_root(names, fetch.classes)
        return Source(kind="folder", identity=listing_digest(path, names), name=path.name, path=path)
    find_root([entry.filename for entry in members(path)], fetch.classes)
    return Source(kind="zip", identity=sha256_of(path), name=path.name, path=path)


def pinned(dataset: DatasetVersion, places: Places) -> DatasetVersion:
    """The data set with its version; when Kaggle cannot be asked, the newest that was fetched before, with a warning."""
    if dataset.version:
        return dataset
    try:
        return dataset._replace(version=latest_version(dataset))
    except Unavailable as trouble:
        at_hand = [int(path.stem.split("-v")[-1].partition("-")[0]) for path in kaggle_archives(dataset, places)]
        if not at_hand:
            raise
        print(f"warning: {trouble}; version {max(at_hand)}, fetched before, is used")
        return dataset._replace(version=max(at_hand))


def kaggle_archives(dataset: DatasetVersion, places: Places) -> list[Path]:
    """The zips at hand of a data set's version, or of all its versions; the name of each ends with its digest."""
    return sorted(
        (places.data.absolute() / "archives").glob(
            f"kaggle-{dataset.owner}-{dataset.slug}-v{dataset.version or '*'}-*.zip"
        )
    )


def listing_digest(folder: Path, names: Sequence[str]) -> str:
    """sha256 over the relative names and the contents: equal for equal folders, wherever they lie."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0{sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()


def arrivals(fetch: Fetch, places: Places) -> tuple[Arrival, ...]:
    """The folders of new images, each an origin of its own: those named, or what lies in the inbox."""
    if fetch.arrivals is None:
        found = arrival_folders(places.data.absolute() / "inbox", fetch.classes)
    else:
        found = given_folders([path.expanduser().absolute() for path in fetch.arrivals], fetch.classes)
    return tuple(Arrival(origin=origin, identity=listing_digest(path, walk(path)), path=path) for origin, path in found)
