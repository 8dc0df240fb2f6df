"""Source: what every kind of source can do, and what kinds that lie on a disk share. `locate` holds the table of the kinds."""

from pathlib import Path
from typing import Protocol

from tasks.records.results import Source
from tasks.settings.settings import FetchSettings, Places
from tasks.storage.files import File, changed_error


class SourceKind(Protocol):
    """One kind of source: a module of this room with these three functions."""

    def recognizes(self, text: str) -> bool:
        """Return whether the text of `--source` names a source of this kind. It asks no server."""

    def identify(self, fetch: FetchSettings, places: Places) -> Source:
        """Find the source that the settings name, and identify it by its content.

        Raises BadInput for what the user can mend, ConnectionError when a server cannot be asked.
        """

    def bring(self, source: Source, places: Places) -> File:
        """Store the bytes of the source as one zip under `data/archives`, whole or not at all. What lies outside is never changed.

        Raises BadInput for what the user can mend, ConnectionError for a fault that may pass by itself.
        """


def path_of(text: str) -> Path:
    """Return the absolute path that the text of `--source` names."""
    return Path(text).expanduser().absolute()


def refuse_changed(source: Source, identity: str) -> None:
    """Raise BadInput unless what was read has the identity that the source had when it was found."""
    if identity != source.identity:
        raise changed_error(source.path)
