"""Split: which image trains, validates, tests or is held back, and how well a guess without a model scores on that test."""

from collections.abc import Iterator, Sequence

import numpy as np
from prefect import task

from tasks.dataset.duplicates import Copy
from tasks.dataset.folds import divided_images
from tasks.dataset.group_split import assign, refuse_one_sided
from tasks.evaluation.baselines import lookup, shortcuts
from tasks.images.loading import thumbnails
from tasks.images.marks import defect_widths
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Manifest, Splits
from tasks.records.rows import Member, Row, is_defect
from tasks.settings.frames import PictureSizes
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places, SplitSettings
from tasks.storage.tables import read_table

NARROW = 0.1  # share of the marked defects that count as narrow


@task(cache_policy=same_step)
def split(manifest: Manifest, audit: Audit, splitting: SplitSettings, places: Places) -> Splits:
    """Give every row of the manifest its group and its split."""
    members = {member.sha256: member for member in read_table(audit.groups.path(places), Member)}
    rows = [row._replace(group=members[row.sha256].group) for row in read_table(manifest.table.path(places), Row)]
    rows = assign(rows, read_table(audit.pairs.path(places), Copy), splitting)
    castings = audit.castings is not None
    refuse_one_sided(rows, manifest.classes, "parts" if castings else "images")
    train, test = ([row for row in rows if row.split == name] for name in ("train", "test"))
    splits = Splits(
        **vars(divided_images(rows, manifest.classes, places, castings=castings)),
        test_images_of_trained_castings=count_tests_of_trained_groups(rows) if castings else None,
        pictures=measure_pictures(train, manifest.classes, places),
        ring_share=sum(members[row.sha256].residual <= audit.max_ring_residual for row in train) / len(train),
        lookup_accuracy=score_lookup(train, test, manifest.classes, places),
        shortcuts=shortcuts(train, test, manifest.classes),
    )
    say(*summary_lines(splits, splitting))
    return splits


def measure_pictures(train: Sequence[Row], classes: Classes, places: Places) -> PictureSizes:
    """Return the sizes of the training pictures, and how wide the narrow ones of their marked defects are."""
    widths = defect_widths(train, classes, places)
    return PictureSizes(
        width=int(np.median([row.width for row in train])),
        height=int(np.median([row.height for row in train])),
        defect_width=round(float(np.quantile(widths, NARROW)), 1) if len(widths) else None,
    )


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
