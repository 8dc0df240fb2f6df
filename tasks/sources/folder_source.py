"""Folder source: a folder with class folders, which is packed."""

import os

from tasks.records.results import Source
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import FetchSettings, Places
from tasks.sources.archive import pack
from tasks.sources.folder import (
    listing_digest,
    look_through,
    read_small,
    small_enough,
    usable_files,
)
from tasks.sources.layouts.detect import detect
from tasks.sources.source import path_of, refuse_changed
from tasks.storage.files import File, refuse_lost_files, sha256_of, store


def recognizes(text: str) -> bool:
    """Return whether the text names a folder."""
    return os.path.isdir(path_of(text))


def identify(fetch: FetchSettings, places: Places) -> Source:
    """Identify the folder by names and content of its files. Raises BadInput where it holds no data set."""
    path = path_of(fetch.source)
    names, faults = usable_files(path, look_through(path))
    layout = detect(names, fetch.classes, lambda name: read_small(path / name))
    with refuse_lost_files(path):
        used, large = small_enough(path, layout.names())
        identity = listing_digest((name, sha256_of(path / name)) for name in used)
    fields = layout.of_source() | {"left_out": (*faults, *layout.left_out, *large)}
    return Source(
        kind="folder", identity=identity, name=for_terminal(path.name), path=path, names=tuple(used), **fields
    )


def bring(source: Source, places: Places) -> File:
    """Pack the files of the folder. Raises BadInput if they changed meanwhile."""
    assert source.path, "`identify` set it"
    path = source.path
    with refuse_lost_files(path):
        file = store(lambda archive: pack(path, source.names, archive), places, "data", "archives/folder.zip")
        identity = listing_digest((name, sha256_of(path / name)) for name in source.names)
    refuse_changed(source, identity)
    return file
