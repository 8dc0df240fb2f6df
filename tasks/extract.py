"""Extract: the images of the data set found in the archive, each under `data/images` by its content, and a listing."""

import os
from pathlib import Path
from zipfile import ZipFile

from prefect import task

from tasks.images.manifest import Entry, stored
from tasks.runs.caching import same_step
from tasks.runs.config import Classes, Places
from tasks.runs.files import scratch_beside
from tasks.runs.messages import say
from tasks.runs.records import Archive, ImageFolder
from tasks.runs.tables import store_table
from tasks.sources.archive import members, unpack
from tasks.sources.folder import find_root, is_junk, labelled


@task(cache_policy=same_step)
def extract(archive: Archive, classes: Classes, places: Places) -> ImageFolder:
    """The files of the two class folders; other images of the archive are counted and left alone."""
    path = archive.file.path(places)
    names = [member.filename for member in members(path)]
    root = find_root(names, classes)
    files, left_alone = labelled(names, root, classes)
    junk = junk_in(path)
    with scratch_beside(places.data.absolute() / "extracted") as room:
        unpacked = unpack(path, {file.name: file.path for file in files}, room)
        digests = {file.path: file.sha256 for file in unpacked}
        entries = [Entry(file.path, digests[file.path], file.label, file.split) for file in files]
        for entry in entries:
            keep(room / entry.path, stored(entry, places))
    say(
        f"extract: {len(entries):,} files below {root.prefix or 'the top folder'}, {left_alone:,} other images left alone, "
        f"{junk:,} junk files skipped"
    )
    listing = store_table("listing", entries, Entry, places)
    return ImageFolder(listing=listing, classes=classes, files_found=len(entries), left_alone=left_alone, junk=junk)


def junk_in(archive: Path) -> int:
    """The files of a sound archive that an operating system left in it; `members` passes over them."""
    with ZipFile(archive) as opened:
        return sum(is_junk(entry.filename) for entry in opened.infolist() if not entry.is_dir())


def keep(scratch: Path, target: Path) -> None:
    """Moves a file to the place of its content; equal bytes share one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(scratch, target)
