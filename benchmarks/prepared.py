"""Prepared: a source and its arrivals as they are before training, by the steps of the pipeline themselves."""

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
from tasks.records.results import Corrections, Manifest
from tasks.records.rows import Member, Row
from tasks.settings.settings import AuditSettings, Classes, FetchSettings, Places, ValidationSettings
from tasks.storage.tables import read_table

# The steps are imported late: a spawned process imports this file, and Prefect would add to the memory that it is asked for.


class Prepared(NamedTuple):
    """Images whose castings are known, and that belong to no split yet."""

    rows: list[Row]
    copies: list[Copy]
    classes: Classes
    places: Places


def arguments(title: str) -> argparse.ArgumentParser:
    """What every benchmark of the networks is asked."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--epochs", type=int, help="passes over the training images; else as the recipe says")
    parser.add_argument(
        "--data", type=Path, help="folder where prepared images are kept for another call; else none are"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def write(figures: dict, path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@contextmanager
def room(data: Path | None) -> Iterator[Places]:
    """Places to work in; without `data` they are gone at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Places(data=data or Path(scratch, "data"), artifacts=Path(scratch, "artifacts"))


def prepared(source: str | None, arriving: Sequence[Path], places: Places) -> Prepared:
    """All images with the castings that `audit` finds. Its words go to standard error."""
    from tasks.audit import audit

    manifest = validated(source, arriving, places)
    with redirect_stdout(sys.stderr):
        audited = audit.fn(manifest, AuditSettings(), places)
    groups = {member.sha256: member.group for member in read_table(audited.groups.path(places), Member)}
    rows = [row._replace(group=groups[row.sha256]) for row in read_table(manifest.table.path(places), Row)]
    return Prepared(rows, read_table(audited.pairs.path(places), Copy), manifest.classes, places)


def validated(source: str | None, arriving: Sequence[Path], places: Places) -> Manifest:
    """The images of the source, of RECAST_ARCHIVE where none is named, or else of the sample; then those that arrive."""
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.inbox.arrivals import find_arrivals
    from tasks.sources.locate import locate
    from tasks.validate import validate

    named = source or os.environ.get("RECAST_ARCHIVE", "sample")
    settings = FetchSettings(source=named, arrivals=tuple(arriving), settle_seconds=0)
    with redirect_stdout(sys.stderr):
        folder = extract.fn(fetch.fn(locate(settings, places), places), settings.classes, places)
        return validate.fn(folder, find_arrivals(settings, places), Corrections(), ValidationSettings(), places)
