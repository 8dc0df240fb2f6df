"""Sample source: the built-in sample, which is drawn."""

import shutil

from tasks.records.results import Source
from tasks.settings.settings import SAMPLE, FetchSettings, Places
from tasks.storage.files import File, move_into_place, scratch_beside


def recognizes(text: str) -> bool:
    """Return whether the text names the built-in sample."""
    return text == SAMPLE


def identify(fetch: FetchSettings, places: Places) -> Source:
    """Return the sample. Its settings identify it."""
    return Source(kind="sample", identity=fetch.sample.model_dump_json(), sample=fetch.sample, name="sample")


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
