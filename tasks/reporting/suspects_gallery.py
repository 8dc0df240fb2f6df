"""Suspects gallery: photographs whose label looks wrong, each beside the most alike parts of both classes."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tasks.dataset.registration import blocks
from tasks.evaluation.baselines import SIDE as THUMBNAIL_SIDE
from tasks.evaluation.baselines import TRAIN_BLOCK, correlations, standardize
from tasks.images import loading
from tasks.records.rows import Row, Suspect, stored_path
from tasks.reporting.audit_gallery import Picture
from tasks.reporting.contact_sheet import SheetRow, Tile, sheet, wrap
from tasks.reporting.suspects_section import by_part, format_score
from tasks.settings.settings import Classes, Places

MOST, SIDE = 8, 200  # parts; pixels of a photograph


def pictures(suspects: Sequence[Suspect], rows: Sequence[Row], classes: Classes, places: Places) -> Iterator[Picture]:
    """Yield a picture of the most suspect parts, a row a part, if there is any. `rows` are all labeled images with their groups."""
    first = first_of_each_kind(suspects)
    if not first:
        return
    by_content = {row.sha256: row for row in rows}
    cases = [by_content[suspect.sha256] for suspect in first.values()]
    doubtful = {suspect.sha256 for suspect in suspects}
    references = [row for row in by_content.values() if row.sha256 not in doubtful]
    neighbors = nearest_parts(cases, references, classes, places)
    sheet_rows = [
        SheetRow(f"{number}. {case.path}", (
            tile(case, suspect_caption(suspect), places),
            *(tile(row, f"same part, labeled {row.label}", places) for row in same_part(case, rows)),
            *(tile(row, f"most alike part labeled {row.label}", places) for row in nearest),
        ))
        for (number, suspect), case, nearest in zip(first.items(), cases, neighbors, strict=True)
    ]  # fmt: skip
    caption = (
        f"{len(first)} parts with their numbers in the table: the photograph, another one of its part if there is one, and the most "
        f"alike photographs of both classes (by thumbnails of {THUMBNAIL_SIDE} pixels, in any of eight poses), of other parts whose labels "
        "are not suspected."
    )
    yield Picture("suspects", "Labels that look wrong", caption, sheet(sheet_rows, SIDE))


def first_of_each_kind(suspects: Sequence[Suspect]) -> dict[int, Suspect]:
    """Return the first suspect of at most eight parts, by the number of the part in the table.

    Whole parts and single photographs take turns, so that many of the one kind leave room for the other.
    """
    first = dict(enumerate((images[0] for images in by_part(suspects)), start=1))
    by_kind = Counter[str]()
    turns = {}
    for number, suspect in first.items():
        turns[number] = by_kind[suspect.kind]
        by_kind[suspect.kind] += 1
    return {number: first[number] for number in sorted(sorted(first, key=lambda number: turns[number])[:MOST])}


def suspect_caption(suspect: Suspect) -> str:
    """Return the label, the class that is suggested with its score, and what the network says of this photograph."""
    return (
        f"labeled {suspect.label}\n"
        f"probably {suspect.suggested}, score {format_score(suspect.score)}\n"
        f"network: defect {suspect.defect_probability:.1%}"
    )


def tile(row: Row, caption: str, places: Places) -> Tile:
    """Return the photograph of a row above a caption, whose lines are made to fit."""
    fitting = "\n".join(wrap(line, SIDE, 2) for line in caption.split("\n"))
    return Tile(loading.load_squares([stored_path(row, places)], 2 * SIDE)[0], fitting)


def same_part(case: Row, rows: Sequence[Row]) -> list[Row]:
    """Return another photograph of the part, one of the other label if there is one; none where the part has no other."""
    members = [row for row in rows if row.group == case.group and row.sha256 != case.sha256]
    return sorted(members, key=lambda row: row.label == case.label)[:1]


def nearest_parts(
    cases: Sequence[Row], references: Sequence[Row], classes: Classes, places: Places
) -> Iterator[list[Row]]:
    """Yield for each case the most alike reference of another part, defective and good; less where a class has none.

    Alike are pictures with the same light and pose, so that what differs is the part.
    """
    patterns = standardize(loading.thumbnails(cases, places))
    alike = [np.empty((len(cases), 0), np.float32)]
    for block in blocks(len(references), TRAIN_BLOCK):
        thumbnails = standardize(loading.thumbnails(references[block], places))
        alike.append(correlations(patterns, thumbnails.reshape(len(thumbnails), -1).T))
    labels, groups = (np.array([getattr(row, name) for row in references], object) for name in ("label", "group"))
    for case, scores in zip(cases, np.concatenate(alike, axis=1), strict=True):
        yield [
            references[candidates[scores[candidates].argmax()]]
            for label in (classes.defect, classes.good)
            for candidates in [np.flatnonzero((labels == label) & (groups != case.group))]
            if len(candidates)
        ]
