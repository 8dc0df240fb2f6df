"""Extract: takes the images of the data set out of the archive, stores each under `data/images` by its content, and lists them."""

from prefect import task

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Archive, ImageFolder
from tasks.records.rows import Entry, move_to_content, stored_name
from tasks.settings.messages import say
from tasks.settings.settings import ClassSettings, Places
from tasks.sources.archive import files_in, open_reader, unpack
from tasks.sources.layouts.detect import detect
from tasks.sources.names import is_junk
from tasks.storage.files import scratch_beside
from tasks.storage.tables import store_table


@task(cache_policy=same_step)
def extract(archive: Archive, classes: ClassSettings, places: Places) -> ImageFolder:
    """Store the labeled files and their masks, and list them. Other images of the archive are counted and left alone."""
    path = archive.file.path(places)
    packed = [entry.filename for entry in files_in(path)]
    names = [name for name in packed if not is_junk(name)]
    with open_reader(path) as read:
        layout = detect(names, classes, read)
    wanted = {name: name for file in layout.files for name in (file.name, file.mask) if name}
    with scratch_beside(places.extracted) as scratch:
        digests = {file.path: file.sha256 for file in unpack(path, wanted, scratch)}
        stored = {name: Entry(name, digests[name]) for name in wanted}
        entries = [
            Entry(
                file.path, digests[file.name], file.label, file.split, kind=file.kind, part=file.part,
                mask=stored_name(stored[file.mask]) if file.mask else "",
            )
            for file in layout.files
        ]  # fmt: skip
        for entry in stored.values():
            move_to_content(scratch / entry.path, entry, places)
    say(
        f"extract: {layout.summary_line()}",
        f"extract: {len(entries):,} files, {layout.images_elsewhere:,} other images left alone, "
        f"{len(packed) - len(names):,} junk files skipped",
        *(f"extract: left out: {line}" for line in layout.left_out),
    )
    return ImageFolder(
        listing=store_table("listing", entries, Entry, places),
        folders=layout.folders,
        layout=layout.summary_line(),
        files_found=len(entries),
        left_alone=layout.images_elsewhere,
        junk=len(packed) - len(names),
    )
