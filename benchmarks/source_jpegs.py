"""Source JPEGs: read the photographs that a benchmark of files measures on."""

import os
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tasks.images.decoding import BY_SUFFIX, JPEG
from tasks.settings.settings import Classes, SampleSettings
from tasks.sources.archive import members
from tasks.sources.folder import find_root, labeled_files, walk


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
    """Return the JPEGs of the two class folders of a folder or a zip, each content once."""
    names = walk(source) if source.is_dir() else [member.filename for member in members(source)]
    labeled = [file.name for file in labeled_files(names, find_root(names, Classes()), Classes())[0]]
    jpegs = [name for name in labeled if BY_SUFFIX.get(Path(name).suffix.lower()) is JPEG]
    if source.is_dir():
        return list(dict.fromkeys((source / name).read_bytes() for name in jpegs))
    with ZipFile(source) as archive:
        return list(dict.fromkeys(archive.read(name) for name in jpegs))
