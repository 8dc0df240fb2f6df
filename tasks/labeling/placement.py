"""Placement: puts labels where the next run finds them, as the label log says. All of it can be repeated at any time.

A new photograph becomes a file in the inbox, below a folder of the day and of its origin. A label of an image that is known, or that lies
there already, becomes a line of `artifacts/corrections.csv`. Files of the user are only read.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tasks.dataset.corrections import EXCLUDE, HEADER, Correction, parse, read_bytes
from tasks.dataset.corrections import NAME as CORRECTIONS
from tasks.inbox.arrivals import REVIEWED, kind_of, origin_of, reviewed_folder
from tasks.labeling.label_log import LabelLog, labels_lock, latest_labels, time_of
from tasks.labeling.product import Product
from tasks.records.rows import BASE, INBOX, LabelRow
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.sources.names import MAX_PART, UNLABELED, casefold_name, compose, name_fault
from tasks.storage.files import publish, scratch_beside, sha256_of
from tasks.storage.tables import write_rows

DIGITS = 16  # of a content's sha256: they name the folder of its photograph, which keeps its own name
MAX_ORIGIN = MAX_PART - len("reviewed-20261201-")  # bytes


class PlacedPhotograph(NamedTuple):
    """A labeled photograph in the inbox."""

    path: Path
    kind: str
    """Its class folder."""


def place_labels(log: LabelLog, product: Product, sources: Mapping[str, Path], places: Places) -> list[str]:
    """Bring inbox and corrections to what the log says, and return a sentence for each photograph that cannot be placed.

    `sources` says where the bytes of a photograph lie, by sha256. Idempotent: a call that was killed can be repeated.
    """
    with labels_lock(places):
        rows = log.rows()
        labels = latest_labels(rows)
        placed = find_placed(places.inbox)
        earlier = read_corrections(places)
        faults = list[str]()
        for sha256, row in labels.items():
            is_known = product.is_known(sha256) or sha256 in earlier or sha256[:DIGITS] in placed
            if not is_known and (kind := kind_in(row, product)):
                try:
                    target = place(sources.get(sha256), row, kind, places.inbox)
                    placed[sha256[:DIGITS]] = PlacedPhotograph(target, kind)
                except (BadInput, OSError) as fault:
                    faults.append(str(fault))
        write_corrections(corrections(rows, placed, earlier, product), places)
    return faults


def kind_in(row: LabelRow, product: Product) -> str:
    """Return the class folder that an answer means; "" for an answer that gives no class."""
    if row.label == "good":
        return product.classes.good
    if row.label == "defect":
        return row.kind if row.kind in product.kinds and not folder_fault(row.kind) else product.classes.defect
    return ""


def find_placed(inbox: Path) -> dict[str, PlacedPhotograph]:
    """Return the labeled photographs that were placed in the inbox, by the first digits of their sha256."""
    placed = {}
    for folder in sorted(inbox.iterdir()) if inbox.is_dir() else []:
        if REVIEWED.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():  # no run follows a link
            for path in folder.rglob("*"):
                name = path.relative_to(folder).as_posix()
                if (
                    path.is_file()
                    and name.count("/") >= 2
                    and not any(part.startswith(".") for part in name.split("/"))
                ):
                    placed[name.split("/")[1]] = PlacedPhotograph(path, kind_of(name))
    return placed


def place(source: Path | None, row: LabelRow, kind: str, inbox: Path) -> Path:
    """Copy a photograph into the inbox, whole or not at all, and return its path there. Raises BadInput where its bytes are gone."""
    if source is None or not source.is_file():
        raise BadInput(
            f"the photograph {row.sha256[:DIGITS]} of {row.origin} is labeled {row.label}, and its file is gone"
        )
    day = time_of(row).astimezone(UTC).date()
    folder = inbox / reviewed_folder(as_origin(row.origin), day) / kind / row.sha256[:DIGITS]
    if folder.resolve() != inbox.resolve() / folder.relative_to(inbox):
        raise BadInput(
            f"{for_terminal(str(folder))} leads through a link, and no run would find the photograph there: put a folder in its place"
        )
    target = folder / as_name(source, row.sha256)
    with scratch_beside(target) as scratch:
        shutil.copyfile(source, scratch)
        if sha256_of(scratch) != row.sha256:
            raise BadInput(f"{source} changed after it was labeled {row.label} by {row.person}: label it again")
        publish(scratch, target)
    return target


def as_origin(origin: str) -> str:
    """Return an origin as a part of the name of a folder. An origin that is the name of a folder already stays as it is."""
    name = compose("".join("-" if char in "/\\" or not char.isprintable() else char for char in origin))
    if folder_fault(name) or name.startswith(".") or casefold_name(name) == BASE:
        name = f"station-{name.strip(' .')}"
    if len(name.encode()) > MAX_ORIGIN:
        beginning = name.encode()[: MAX_ORIGIN - DIGITS - 1].decode(errors="ignore")
        name = f"{beginning}-{hashlib.sha256(name.encode()).hexdigest()[:DIGITS]}"
    return name


def folder_fault(name: str) -> str:
    """Return what is wrong with the name of one folder, or an empty text."""
    return "has a slash in its name" if "/" in name else name_fault(name)


def as_name(source: Path, sha256: str) -> str:
    """Return the photograph's own name, or its digest where that name is not safe everywhere."""
    name = compose(source.name)
    return sha256 + source.suffix.lower() if name_fault(name) else name


def origin_in_inbox(path: str) -> str:
    """Return the origin of an unlabeled image by its path below the inbox: that of the folder at its top, else the inbox itself."""
    folders = PurePosixPath(path).parts
    first = next((place for place, name in enumerate(folders) if compose(name) in UNLABELED), 0)
    return origin_of(folders[0]) if first else INBOX


def corrections(
    rows: Iterable[LabelRow],
    placed: Mapping[str, PlacedPhotograph],
    earlier: Mapping[str, Correction],
    product: Product,
) -> Iterator[tuple[str, str, str]]:
    """Yield a correction for each content whose answers say something else than the folder that it lies in.

    Of a content that this product does not know, the earlier correction stays: it is of another product, or of another source.
    """
    rows = list(rows)
    labels = latest_labels(rows)
    for sha256 in dict.fromkeys(row.sha256 for row in rows):
        there, row = placed.get(sha256[:DIGITS]), labels.get(sha256)
        if there is None and not product.is_known(sha256):
            if row and sha256 in earlier:
                yield earlier[sha256]
            continue
        answer = EXCLUDE if row and row.label == "exclude" else product.label_of(kind_in(row, product)) if row else ""
        if there and not answer:
            yield sha256, EXCLUDE, "the label was taken back"
        elif row and answer and not (there and answer == product.label_of(there.kind)):
            yield sha256, answer, reason(row)


def reason(row: LabelRow) -> str:
    """Return who said so, when, and what was noted."""
    return for_terminal(": ".join(filter(None, [f"{row.person}, {row.time[:10]}, {row.queue}", row.comment])))


def read_corrections(places: Places) -> dict[str, Correction]:
    """Return the corrections in `artifacts/corrections.csv`; none where there is no such table, or a damaged one."""
    path = places.artifacts_root / CORRECTIONS
    try:
        return parse(read_bytes(path), path, None) if path.exists() else {}
    except BadInput as damage:
        say(f"review: written anew from the answers of people: {damage}")
        return {}


def write_corrections(lines: Iterable[tuple[str, str, str]], places: Places) -> None:
    """Write `artifacts/corrections.csv` anew; without lines, only where there is one already."""
    path, table = places.artifacts_root / CORRECTIONS, [dict(zip(HEADER, line, strict=True)) for line in lines]
    if table or os.path.exists(path):
        write_rows(path, table, HEADER)
