"""Extract: takes the images of the data set out of the archive, stores each under `data/images` by its content, and lists them."""

from prefect import task

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Archive, ImageFolder
from tasks.records.rows import Entry, move_to_content
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places
from tasks.sources.archive import files_in, unpack
from tasks.sources.folder import find_root, labeled_files, left_out
from tasks.sources.names import is_junk
from tasks.storage.files import scratch_beside
from tasks.storage.tables import store_table


@task(cache_policy=same_step)
def extract(archive: Archive, classes: Classes, places: Places) -> ImageFolder:
    """Store the files of the two class folders, and list them. Other images of the archive are counted and left alone."""
    path = archive.file.path(places)
    packed = [entry.filename for entry in files_in(path)]
    names = [name for name in packed if not is_junk(name)]
    junk = len(packed) - len(names)
    root = find_root(names, classes)
    files, left_alone = labeled_files(names, root, classes)
    with scratch_beside(places.extracted) as scratch:
        digests = {file.path: file.sha256 for file in unpack(path, {file.name: file.path for file in files}, scratch)}
        entries = [Entry(file.path, digests[file.path], file.label, file.split) for file in files]
        for entry in entries:
            move_to_content(scratch / entry.path, entry, places)
    say(
        f"extract: {len(entries):,} files below {root.prefix or 'the top folder'}, {left_alone:,} other images left alone, "
        f"{junk:,} junk files skipped"
    )
    say(*(f"extract: left out: {line}" for line in left_out(sorted(set(names) - {file.name for file in files}))))
    return ImageFolder(
        listing=store_table("listing", entries, Entry, places),
        classes=classes,
        files_found=len(entries),
        left_alone=left_alone,
        junk=junk,
    )
