"""Preparation: run the steps before training on a source and its arrivals, and read and write what all benchmarks share."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from tasks.dataset.duplicates import Copy
from tasks.dataset.part_names import find_part_names
from tasks.records.results import Corrections, Manifest, PartsBy
from tasks.records.rows import Member, Row
from tasks.settings.settings import (
    AuditSettings,
    Classes,
    ClassSettings,
    FetchSettings,
    Places,
    SampleSettings,
    SplitSettings,
    ValidationSettings,
)
from tasks.storage.tables import read_table

# The steps are imported late: a spawned process imports this file, and Prefect would add to the memory that is measured there.


class PreparedImages(NamedTuple):
    """Images whose castings are known, and that belong to no split yet."""

    rows: list[Row]
    copies: list[Copy]
    classes: Classes
    places: Places
    parts_by: PartsBy = ""
    """How parts are known; empty where they are not, and groups are copies."""


def make_parser(title: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark of the networks takes."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--epochs", type=int, help="passes over the training images; else as the recipe says")
    parser.add_argument(
        "--data", type=Path, help="folder where prepared images are kept for another call; else none are"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def split_names(text: str) -> list[str]:
    """Return the names of an option that takes several, with commas between them."""
    return [name.strip() for name in text.split(",")]


def write_figures(figures: dict, path: Path | None) -> None:
    """Write the figures as JSON; nothing where no file is asked for."""
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@contextmanager
def working_places(data: Path | None) -> Iterator[Places]:
    """Yield places to work in. Without `data` they are removed at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Places(data=data or Path(scratch, "data"), artifacts=Path(scratch, "artifacts"))


def prepare_images(
    source: str | None,
    arrivals: Sequence[Path],
    places: Places,
    sample: SampleSettings | None = None,
    classes: ClassSettings | None = None,
    parts: str | None = None,
) -> PreparedImages:
    """Return all images with the castings that `audit` finds, or that `parts` names as `--parts` of a run does.

    What the steps print goes to standard error. The other arguments are as for `validate_images`.
    """
    from tasks.audit import audit

    manifest = validate_images(source, arrivals, places, sample, classes)
    with redirect_stdout(sys.stderr):
        audited = audit.fn(manifest, find_part_names(SplitSettings(parts=parts)), AuditSettings(), places)
    groups = {member.sha256: member.group for member in read_table(audited.groups.path(places), Member)}
    rows = [row._replace(group=groups[row.sha256]) for row in read_table(manifest.table.path(places), Row)]
    pairs = read_table(audited.pairs.path(places), Copy)
    return PreparedImages(rows, pairs, manifest.classes, places, audited.parts_by)


def validate_images(
    source: str | None,
    arrivals: Sequence[Path],
    places: Places,
    sample: SampleSettings | None = None,
    classes: ClassSettings | None = None,
) -> Manifest:
    """Fetch, extract and validate the images of the source, and those that arrive.

    Args:
        source: `sample`, a zip or a folder. None: RECAST_ARCHIVE, or else the sample.
        arrivals: Folders of new labeled images.
        places: Where the images are kept.
        sample: How the sample is drawn. None: as `make retrain` draws it.
        classes: Folders of good and of defective parts. None: as they are found.
    """
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.inbox.arrivals import find_arrivals
    from tasks.sources.locate import locate
    from tasks.validate import validate

    settings = FetchSettings(
        source=source or os.environ.get("RECAST_ARCHIVE", "sample"),
        sample=sample or SampleSettings(),
        arrivals=tuple(arrivals),
        classes=classes or ClassSettings(),
        settle_seconds=0,
    )
    with redirect_stdout(sys.stderr):
        folder = extract.fn(fetch.fn(locate(settings, places), places), settings.classes, places)
        arrived = find_arrivals(settings, folder.folders, places)
        return validate.fn(folder, arrived, Corrections(), ValidationSettings(), places)
