"""Sample source: the built-in samples, which are drawn."""

import shutil

from tasks.records.results import ClassFolders, Source
from tasks.settings.settings import SAMPLE, SAMPLE_MODELS, SAMPLE_TILES, FetchSettings, Places
from tasks.storage.files import File, move_into_place, scratch_beside

FOLDERS = {SAMPLE: ClassFolders(), SAMPLE_TILES: ClassFolders(defect=("Blowhole", "Crack"), good="Free")}


def recognizes(text: str) -> bool:
    """Return whether the text names a built-in sample."""
    return text in SAMPLE_MODELS


def identify(fetch: FetchSettings, places: Places) -> Source:
    """Return the sample. Its settings identify it."""
    sample = fetch.tiles if fetch.source == SAMPLE_TILES else fetch.sample
    folders = FOLDERS[fetch.source]
    layout = f"drawn class folders; defect: {', '.join(folders.defect)}; good: {folders.good}"
    return Source(
        kind="sample",
        identity=sample.model_dump_json(),
        sample=sample,
        name=fetch.source,
        folders=folders,
        layout=layout,
    )


def bring(source: Source, places: Places) -> File:
    """Draw the sample's archive. The truth about it, parts and defect masks, lies beside it under its name."""
    from tasks.sources.synthetic.sample import (
        write_sample,  # late: drawing needs SciPy, and a remembered sample does not
    )

    assert source.sample, "`identify` set it"
    with scratch_beside(places.archives / "sample.zip") as scratch:
        truth = scratch.with_name("truth")
        write_sample(source.sample, scratch, truth=truth)
        file = move_into_place(scratch, places, "data", "archives/sample.zip")
        truth_folder = file.path(places).with_name(f"{file.path(places).stem}-truth")
        shutil.rmtree(truth_folder, ignore_errors=True)
        truth.rename(truth_folder)
    return file
