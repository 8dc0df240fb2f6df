"""Split: which image trains, validates, tests or is held back, and how well a guess without a model scores on that test."""

from collections.abc import Iterator, Sequence

import numpy as np
from prefect import task

from tasks.dataset.duplicates import Copy
from tasks.dataset.folds import divided_images
from tasks.dataset.group_split import assign, move_defects_to_test, refuse_one_sided
from tasks.evaluation.baselines import lookup, shortcuts
from tasks.images.crop_boxes import crop_shares
from tasks.images.crops import pixel_box
from tasks.images.loading import thumbnails
from tasks.images.marks import defect_widths, marked_box
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Manifest, Splits
from tasks.records.rows import Member, Row, is_defect
from tasks.settings.crops import MASK, PART, WHOLE, Crop, Shares, box_text
from tasks.settings.errors import BadInput
from tasks.settings.frames import PictureSizes
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places, SplitSettings, ViewSettings
from tasks.storage.tables import read_table

NARROW = 0.1  # share of the marked defects that count as narrow
AROUND = 0.05  # share of a side that is left about the box of all marks
STEP = 0.05  # share of a side in which that box grows: a few new masks change nothing


@task(cache_policy=same_step)
def split(
    manifest: Manifest, audit: Audit, splitting: SplitSettings, view: ViewSettings, good_alone: bool, places: Places
) -> Splits:
    """Give every row of the manifest its group and its split, and measure what the network will see of the training pictures.

    With `good_alone` good parts alone train and validate, and every defective part tests.
    """
    members = {member.sha256: member for member in read_table(audit.groups.path(places), Member)}
    rows = [row._replace(group=members[row.sha256].group) for row in read_table(manifest.table.path(places), Row)]
    rows = assign(rows, read_table(audit.pairs.path(places), Copy), splitting)
    if good_alone:
        rows = move_defects_to_test(rows, manifest.classes)
    castings = audit.castings is not None
    refuse_one_sided(rows, manifest.classes, "parts" if castings else "images", good_alone=good_alone)
    train, test = ([row for row in rows if row.split == name] for name in ("train", "test"))
    pictures = measure_pictures(train, view, manifest.classes, places)
    splits = Splits(
        **vars(divided_images(rows, manifest.classes, places, castings=castings)),
        test_images_of_trained_castings=count_tests_of_trained_groups(rows) if castings else None,
        pictures=pictures,
        ring_share=share_of_rings(
            train, [members[row.sha256].residual <= audit.max_ring_residual for row in train], pictures, places
        ),
        lookup_accuracy=score_lookup(train, test, manifest.classes, places),
        shortcuts=shortcuts(train, test, manifest.classes),
    )
    say(*summary_lines(splits, splitting))
    return splits


def share_of_rings(train: Sequence[Row], has_ring: Sequence[bool], pictures: PictureSizes, places: Places) -> float:
    """Return the share of the training images that show a ring where the network looks; `has_ring` says it of the whole pictures."""
    if pictures.crop:
        from tasks.images.strips import strips  # late: it needs SciPy

        has_ring = [strip is not None for strip in strips(train, places, pictures.crop)]
    return sum(has_ring) / len(train)


def measure_pictures(train: Sequence[Row], view: ViewSettings, classes: Classes, places: Places) -> PictureSizes:
    """Return where the network looks in the training pictures, how large that is, and how wide the narrow marked defects are."""
    crop = crop_of_masks(train, classes, places) if view.crop == MASK else view.crop
    crop = None if crop == box_text(WHOLE) else crop
    shares = crop_shares(train, crop, places)
    boxes = [pixel_box(box, (row.height, row.width)) for box, row in zip(shares, train, strict=True)]
    widths = defect_widths(train, classes, places)
    return PictureSizes(
        width=int(np.median([box.width for box in boxes])),
        height=int(np.median([box.height for box in boxes])),
        defect_width=round(float(np.quantile(widths, NARROW)), 1) if len(widths) else None,
        crop=crop,
        whole=sum(box == WHOLE for box in shares) if crop else 0,
    )


def crop_of_masks(train: Sequence[Row], classes: Classes, places: Places) -> Crop:
    """Return the box about all marked defects of the training images, with a margin. Raises BadInput where no mask marks any.

    It is one box for all pictures, so it tells nothing about the label of any. It grows in steps of a twentieth of a side.
    """
    box = marked_box(train, classes, places)
    if box is None:
        raise BadInput(
            f"--view.crop {MASK} looks where masks mark defects, and no training image has such a mask: give a box, or {PART}"
        )
    first = [max(0.0, np.floor(round((share - AROUND) / STEP, 6)) * STEP) for share in box[:2]]
    last = [min(1.0, np.ceil(round((share + AROUND) / STEP, 6)) * STEP) for share in box[2:]]
    return box_text(Shares(*first, *last))


def count_tests_of_trained_groups(rows: Sequence[Row]) -> int:
    """Count the test images of a group that trains or validates."""
    trained = {row.group for row in rows if row.split in ("train", "validation")}
    return sum(row.split == "test" and row.group in trained for row in rows)


def score_lookup(train: Sequence[Row], test: Sequence[Row], classes: Classes, places: Places) -> float:
    """Return the share of test images whose most similar training thumbnail has their label."""
    train_thumbnails, test_thumbnails = (thumbnails(rows, places) for rows in (train, test))
    labels, truth = (np.array([is_defect(row, classes) for row in rows]) for rows in (train, test))
    return float(np.mean(lookup(train_thumbnails, labels, test_thumbnails) == truth))


def summary_lines(splits: Splits, splitting: SplitSettings) -> Iterator[str]:
    """Yield lines that say how the images are divided, and how well guesses without a look at the part score on the test."""
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in splits.by_split.items())
    yield f"split: {counts} ({splitting.protocol})"
    if castings := splits.castings_by_split:
        yield (
            f"split: parts: {castings['train']:,} train, {castings['validation']:,} validation, {castings['test']:,} test; "
            f"{splits.test_images_of_trained_castings:,} of {splits.by_split['test']:,} test images "
            "show a part that trains or validates"
        )
    yield (
        f"split: on this test, the label of the most alike training image is right for {splits.lookup_accuracy:.1%}, "
        f"a guess by brightness for {splits.shortcuts['brightness'].accuracy:.1%}"
    )
    if (pictures := splits.pictures) and pictures.crop:
        yield (
            f"split: the network looks at {pictures.crop}: of the training pictures {pictures.width:,} x {pictures.height:,} pixels "
            f"(median); {pictures.whole:,} of {splits.by_split['train']:,} are seen whole"
        )
