"""Zip source: a zip file, which is copied as it is."""

import os
import shutil

from tasks.records.results import Source
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.archive import members, refuse_contents
from tasks.sources.layouts.detect import detect_in_zip
from tasks.sources.source import path_of, refuse_changed
from tasks.storage.files import File, refuse_lost_files, sha256_of, store


def recognizes(text: str) -> bool:
    """Return whether the text names a file of any suffix. `locate` asks about folders before."""
    return os.path.exists(path_of(text))


def identify(fetch: FetchSettings, places: Places) -> Source:
    """Identify the zip by its sha256. Raises BadInput where it is no whole zip, or holds no data set."""
    path = path_of(fetch.source)
    layout = detect_in_zip(path, fetch.classes)
    entries = {entry.filename: entry for entry in members(path)}
    refuse_contents(path, [entries[name] for name in layout.names()])
    with refuse_lost_files(path):
        return Source(
            kind="zip", identity=sha256_of(path), name=for_terminal(path.name), path=path, **layout.of_source()
        )


def bring(source: Source, places: Places) -> File:
    """Copy the zip. Raises BadInput if it changed meanwhile."""
    assert source.path, "`identify` set it"
    path = source.path
    with refuse_lost_files(path):
        file = store(lambda archive: shutil.copyfile(path, archive), places, "data", "archives/zip.zip")
    refuse_changed(source, file.sha256)
    return file
