"""Audit: which images repeat others, which photographs show one casting, and what of both lies on two sides of a split."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from prefect import task

from tasks.dataset.duplicates import Copy, changed_copies, exact_copies
from tasks.dataset.grouping import GroupHints, assign_groups
from tasks.dataset.near_duplicates import Pairs, find_near_duplicates
from tasks.images.thumbnails import thumbnails
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Manifest
from tasks.records.rows import BASE, Member, Row
from tasks.settings.messages import say
from tasks.settings.settings import AuditSettings, Places
from tasks.storage.tables import read_table, store_table

if TYPE_CHECKING:
    from tasks.images.strips import Strip


@task(cache_policy=same_step)
def audit(manifest: Manifest, auditing: AuditSettings, places: Places) -> Audit:
    """The copies, a row a pair, and the group of every content: its casting where rings are found, else its copies."""
    from tasks.images.strips import strips  # late, with SciPy: a run in which nothing changed has no use for it

    rows = read_table(manifest.table.path(places), Row)
    images = contents(rows)
    tested = {row.sha256 for row in rows if row.origin == BASE and row.published == "test"}
    pairs = find_near_duplicates(
        thumbnails(images, places), np.array([image.sha256 in tested for image in images], bool), auditing.copy_limit
    )
    copies = exact_copies(rows) + changed_copies(images, pairs)
    known = knowledge(strips(images, places), pairs, len(images), auditing)
    members = assign_groups([image.sha256 for image in images], known, auditing.casting_limit)
    found = record(rows, copies, members, auditing, places)
    tell(found)
    return found


def record(
    rows: Sequence[Row], copies: Sequence[Copy], members: Sequence[Member], auditing: AuditSettings, places: Places
) -> Audit:
    """The tables, and what they say of the rows."""
    groups = {member.sha256: member.group for member in members}
    labels = {row.sha256: row.label for row in rows}
    base = [row for row in rows if row.origin == BASE]
    rings = sum(member.residual <= auditing.max_ring_residual for member in members)
    told = 0 < rings >= auditing.min_ring_share * len(members)  # else many groups are copies alone, and no castings
    return Audit(
        pairs=store_table("audit", copies, Copy, places),
        groups=store_table("groups", members, Member, places),
        exact_copies_across_splits=sum(pair.across() for pair in copies if pair.sha256 == pair.copy_sha256),
        near_copies_across_splits=changed_across(base, copies),
        copies_of_two_labels=sum(labels[pair.sha256] != labels[pair.copy_sha256] for pair in copies),
        contents=len(members),
        rings=rings,
        max_ring_residual=auditing.max_ring_residual,
        castings=len(set(groups.values())) if told else None,
        castings_of_two_labels=of_two_labels(rows, groups) if told else None,
        published_test_images_of_trained_castings=trained_castings(base, groups) if told else None,
    )


def tell(found: Audit) -> None:
    say(
        f"audit: between train and test as published {found.exact_copies_across_splits:,} pairs of equal files, "
        f"and {found.near_copies_across_splits:,} more train images that are changed copies of test images"
    )
    if found.castings is None:
        say(
            f"audit: rings in {found.rings:,} of {found.contents:,} images only: castings are not counted, the others are grouped by copies"
        )
    else:
        say(
            f"audit: {found.contents:,} different images show {found.castings:,} castings, "
            f"{found.castings_of_two_labels:,} with both labels; {found.published_test_images_of_trained_castings:,} "
            "published test images show one that was published to train"
        )


def contents(rows: Iterable[Row]) -> list[Row]:
    """Each content where it came first, in that order: what comes later moves none."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.sha256, row)
    return list(first.values())


def knowledge(
    found: Iterable["Strip | None"], pairs: Pairs, number: int, auditing: AuditSettings
) -> Iterator[GroupHints]:
    """What tells the group of each image: its strip, unless the ring fits badly, and the surest of the copies before it."""
    twins: list[tuple[int | None, float]] = [(None, 0.0)] * number
    for one, other, score in zip(pairs.one, pairs.other, pairs.score, strict=True):
        if score > twins[other][1]:
            twins[other] = int(one), float(score)
    for strip, (twin, likeness) in zip(found, twins, strict=True):
        residual = strip.ring.residual if strip else 1.0
        usable = strip is not None and residual <= auditing.max_ring_residual
        yield GroupHints(strip.levels if strip and usable else None, residual, twin, likeness)


def changed_across(rows: Sequence[Row], copies: Sequence[Copy]) -> int:
    """Published train images that are a changed copy of a published test image, and no equal one."""
    tested = {row.sha256 for row in rows if row.published == "test"}
    twins = {one for pair in copies for one, other in (pair.contents(), pair.contents()[::-1]) if other in tested}
    changed = twins - tested
    return sum(row.published == "train" and row.sha256 in changed for row in rows)


def trained_castings(rows: Sequence[Row], groups: Mapping[str, str]) -> int:
    """Published test images that show a casting of the published train images."""
    trained = {groups[row.sha256] for row in rows if row.published == "train"}
    return sum(row.published == "test" and groups[row.sha256] in trained for row in rows)


def of_two_labels(rows: Iterable[Row], groups: Mapping[str, str]) -> int:
    """Groups whose images are called both."""
    labels = defaultdict(set)
    for row in rows:
        labels[groups[row.sha256]].add(row.label)
    return sum(len(found) > 1 for found in labels.values())
