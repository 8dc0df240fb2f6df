"""Photographs: what the benchmarks measure on."""

import os
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tasks.images.decoding import BY_SUFFIX, JPEG
from tasks.settings.settings import Classes, SampleSettings
from tasks.sources.archive import members
from tasks.sources.folder import find_root, labeled_files, walk


def photographs(source: str | None) -> list[bytes]:
    """The JPEGs of a zip, a folder or `sample`, each content once; of RECAST_ARCHIVE, or else the sample, where nothing is named."""
    named = source or os.environ.get("RECAST_ARCHIVE", "sample")
    if named != "sample":
        return contents_of(Path(named))
    from tasks.sources.synthetic.sample import write_sample  # late: it needs SciPy

    with tempfile.TemporaryDirectory() as room:
        write_sample(SampleSettings(), Path(room, "sample.zip"), truth=Path(room, "truth"))
        return contents_of(Path(room, "sample.zip"))


def contents_of(source: Path) -> list[bytes]:
    """The JPEGs of the two class folders, each content once."""
    names = walk(source) if source.is_dir() else [member.filename for member in members(source)]
    taken = [file.name for file in labeled_files(names, find_root(names, Classes()), Classes())[0]]
    jpegs = [name for name in taken if BY_SUFFIX.get(Path(name).suffix.lower()) is JPEG]
    if source.is_dir():
        return list(dict.fromkeys((source / name).read_bytes() for name in jpegs))
    with ZipFile(source) as archive:
        return list(dict.fromkeys(archive.read(name) for name in jpegs))
