"""Locate: find the source that the settings name, and identify it by its content, before any step runs.

Nothing of this is cached. A zip under another name is the same zip, and Kaggle is asked each time for the newest version of
an unpinned data set.
"""

from tasks.records.results import Source
from tasks.settings.errors import BadInput
from tasks.settings.settings import FetchSettings, Places
from tasks.sources import folder_source, kaggle_source, sample_source, zip_source
from tasks.sources.source import SourceKind

KINDS: dict[str, SourceKind] = {  # in this order: the first that recognizes the text takes it
    "sample": sample_source,
    "kaggle": kaggle_source,
    "folder": folder_source,
    "zip": zip_source,  # the last: it takes every file
}


def locate(fetch: FetchSettings, places: Places) -> Source:
    """Find the source that the settings name.

    Raises BadInput when it does not exist or holds no data set, and OSError when Kaggle cannot be asked.
    """
    for kind in KINDS.values():
        if kind.recognizes(fetch.source):
            return kind.identify(fetch, places)
    forms = str(FetchSettings.model_fields["source"].description).removesuffix(".")
    raise BadInput(f"there is no source {fetch.source!r}: give {forms}")
