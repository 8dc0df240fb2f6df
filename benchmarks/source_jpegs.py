"""Source JPEGs: read the photographs that a benchmark of files measures on."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.images.decoding import BY_SUFFIX, JPEG
from tasks.settings.settings import ClassSettings, SampleSettings
from tasks.sources.archive import members, open_reader
from tasks.sources.folder import walk
from tasks.sources.layouts.detect import detect


def read_jpegs(source: str | None) -> list[bytes]:
    """Return the JPEGs of a zip, a folder or `sample`, each content once. None: of RECAST_ARCHIVE, or else of the sample."""
    location = source or os.environ.get("RECAST_ARCHIVE", "sample")
    if location != "sample":
        return read_class_folders(Path(location))
    from tasks.sources.synthetic.sample import write_sample  # late: it needs SciPy

    with tempfile.TemporaryDirectory() as scratch:
        write_sample(SampleSettings(), Path(scratch, "sample.zip"), truth=Path(scratch, "truth"))
        return read_class_folders(Path(scratch, "sample.zip"))


def read_class_folders(source: Path) -> list[bytes]:
    """Return the labeled JPEGs of a folder or a zip, each content once."""
    if source.is_dir():
        return labeled_jpegs(walk(source), lambda name: (source / name).read_bytes())
    with open_reader(source) as read:
        return labeled_jpegs([member.filename for member in members(source)], read)


def labeled_jpegs(names: Sequence[str], read: Callable[[str], bytes]) -> list[bytes]:
    """Return the JPEGs that the layout of these files labels."""
    labeled = [file.name for file in detect(names, ClassSettings(), read).files]
    return list(dict.fromkeys(read(name) for name in labeled if BY_SUFFIX.get(Path(name).suffix.lower()) is JPEG))
