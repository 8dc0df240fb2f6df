"""Split: which image trains, validates, tests or is held back, and what it takes to score on that test without judging."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from prefect import task

from tasks.dataset.duplicates import Copy
from tasks.dataset.group_split import assign
from tasks.evaluation.baselines import lookup, shortcuts
from tasks.images.thumbnails import thumbnails
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Manifest, Splits
from tasks.records.rows import SPLITS, Member, Row, is_defect
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places, SplitSettings
from tasks.storage.tables import read_table, store_table


@task(cache_policy=same_step)
def split(manifest: Manifest, audit: Audit, splitting: SplitSettings, places: Places) -> Splits:
    """The manifest with the group and the split of every row."""
    members = {member.sha256: member for member in read_table(audit.groups.path(places), Member)}
    rows = [row._replace(group=members[row.sha256].group) for row in read_table(manifest.table.path(places), Row)]
    rows = assign(rows, read_table(audit.pairs.path(places), Copy), splitting)
    castings = audit.castings is not None
    refuse_one_sided(rows, manifest.classes, "castings" if castings else "images")
    train, test = ([row for row in rows if row.split == name] for name in ("train", "test"))
    by_split = Counter(row.split for row in rows)
    splits = Splits(
        table=store_table("splits", rows, Row, places),
        classes=manifest.classes,
        images=len(rows),
        by_split={name: by_split[name] for name in SPLITS},
        by_class=dict(Counter(row.label for row in rows)),
        by_origin=dict(Counter(row.origin for row in rows)),
        held_back=by_split["held_back"],
        castings_by_split=groups_by_split(rows) if castings else None,
        test_images_of_trained_castings=tests_of_trained_groups(rows) if castings else None,
        ring_share=sum(members[row.sha256].residual <= audit.max_ring_residual for row in train) / len(train),
        lookup_accuracy=looked_up(train, test, manifest.classes, places),
        shortcuts=shortcuts(train, test, manifest.classes),
    )
    say(*summary_line(splits, splitting).splitlines())
    return splits


def refuse_one_sided(rows: Iterable[Row], classes: Classes, unit: Literal["castings", "images"]) -> None:
    """Raises BadInput where a class is missing from a split, since nothing can be learnt or said then.

    The unit is what a split is drawn from.
    """
    labels, found = defaultdict(set), defaultdict(set)
    for number, row in enumerate(rows):
        labels[row.split].add(row.label)
        found[row.label].add(row.group if unit == "castings" else number)
    whole = "; the images of one casting stay together" if unit == "castings" else ""
    for name in ("train", "validation", "test"):
        if missing := sorted({classes.defect, classes.good} - labels[name]):
            counts = ", ".join(f"{unit} of {label}: {len(found[label]):,}" for label in missing)
            raise BadInput(
                f"no image of {' or of '.join(missing)} falls into {name} ({counts}{whole}): more {unit} are needed, "
                f"another --splitting.seed, or a {'smaller' if name == 'train' else 'larger'} "
                "--splitting.validation_fraction or --splitting.test_fraction"
            )


def groups_by_split(rows: Iterable[Row]) -> dict[str, int]:
    """How many groups have an image in each split; one that has in two counts in both."""
    return {name: len({row.group for row in rows if row.split == name}) for name in SPLITS}


def tests_of_trained_groups(rows: Sequence[Row]) -> int:
    """Test images of a group that trains or validates."""
    known = {row.group for row in rows if row.split in ("train", "validation")}
    return sum(row.split == "test" and row.group in known for row in rows)


def looked_up(train: Sequence[Row], test: Sequence[Row], classes: Classes, places: Places) -> float:
    """The share of test images whose most alike training thumbnail bears their label."""
    known, asked = (thumbnails(rows, places) for rows in (train, test))
    labels, truth = (np.array([is_defect(row, classes) for row in rows]) for rows in (train, test))
    return float(np.mean(lookup(known, labels, asked) == truth))


def summary_line(splits: Splits, splitting: SplitSettings) -> str:
    """Lines that say how the images are divided, and how much of the test is to be had without judging a casting."""
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in splits.by_split.items())
    lines = [f"split: {counts} ({splitting.protocol})"]
    if castings := splits.castings_by_split:
        lines.append(
            f"split: castings: {castings['train']:,} train, {castings['validation']:,} validation, {castings['test']:,} test; "
            f"{splits.test_images_of_trained_castings:,} of {splits.by_split['test']:,} test images "
            "show a casting that trains or validates"
        )
    lines.append(
        f"split: on this test, the label of the most alike training image is right for {splits.lookup_accuracy:.1%}, "
        f"a guess by brightness for {splits.shortcuts['brightness'].accuracy:.1%}"
    )
    return "\n".join(lines)
