"""Extract: takes the images of the data set out of the archive, stores each under `data/images` by its content, and lists them."""

from prefect import task

from tasks.pipeline.step_cache import same_step
from tasks.records.results import Archive, ImageFolder
from tasks.records.rows import Entry, move_to_content, stored_name
from tasks.settings.messages import say
from tasks.settings.settings import ClassSettings, Places
from tasks.sources.archive import files_in, unpack
from tasks.sources.layouts.detect import detect_in_zip
from tasks.sources.names import is_junk
from tasks.storage.files import scratch_beside
from tasks.storage.tables import store_table


@task(cache_policy=same_step)
def extract(archive: Archive, classes: ClassSettings, places: Places) -> ImageFolder:
    """Store the labeled files and their masks, and list them. Other images of the archive are counted and left alone."""
    path = archive.file.path(places)
    packed = [entry.filename for entry in files_in(path)]
    junk = sum(map(is_junk, packed))
    layout = detect_in_zip(path, classes)
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
        f"{junk:,} junk files skipped",
    )
    return ImageFolder(
        listing=store_table("listing", entries, Entry, places),
        folders=layout.folders,
        layout=layout.summary_line(),
        left_out=layout.left_out,
        files_found=len(entries),
        left_alone=layout.images_elsewhere,
        junk=junk,
    )
