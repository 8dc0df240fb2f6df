"""Audit: finds images that repeat others and photographs that show one part, and counts both where they lie on two sides of a split."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from prefect import task

from tasks.dataset.detail_parts import join_by_detail
from tasks.dataset.duplicates import Copy, changed_copies, exact_copies
from tasks.dataset.grouping import GroupHints, assign_groups
from tasks.dataset.near_duplicates import Pairs, find_near_duplicates
from tasks.dataset.part_names import join_named, name_parts, path_of
from tasks.images.loading import thumbnails
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Manifest, PartNames, PartsBy
from tasks.records.rows import BASE, Member, Row
from tasks.settings.messages import say
from tasks.settings.settings import AuditSettings, Places
from tasks.storage.tables import read_table, store_table

if TYPE_CHECKING:
    from tasks.images.strips import Strip

ENOUGH_NAMED = 0.9  # share of the images whose part must be named, so that parts are known by names


@task(cache_policy=same_step)
def audit(manifest: Manifest, names: PartNames, auditing: AuditSettings, places: Places) -> Audit:
    """Find the copies, a row a pair, and the group of every content: its part where parts are known, else its copies.

    The parts that `names` or the source name come first; the pictures tell the others.
    """
    from tasks.images.strips import strips  # late, with SciPy: a run in which nothing changed has no use for it

    rows = read_table(manifest.table.path(places), Row)
    images = first_rows(rows)
    named = name_parts(images, names)  # first, since a pattern or a table may be refused and the rest takes minutes
    test_contents = {row.sha256 for row in rows if row.origin == BASE and row.published == "test"}
    squares = thumbnails(images, places)
    pairs = find_near_duplicates(
        squares,
        np.array([image.sha256 in test_contents for image in images], bool),
        auditing.copy_limit,
    )
    hints = group_hints(strips(images, places), pairs, len(images), auditing)
    members = assign_groups([image.sha256 for image in images], hints, auditing.casting_limit)
    parts_by: PartsBy = "rings" if show_rings(members, auditing) else ""
    if not parts_by:
        led, members = members, join_members(images, squares, members, auditing)
        parts_by = "detail" if have_partners(images, led, members, auditing) else ""
    if any(named):
        members = join_named(members, named)
        parts_by = "names" if sum(map(bool, named)) >= ENOUGH_NAMED * len(named) else parts_by
        if "" in named:
            example = path_of(images[named.index("")])
            say(
                f"audit: nobody names the part of {named.count(''):,} of {len(named):,} different images, such as {example}"
            )
    result = record(rows, exact_copies(rows) + changed_copies(images, pairs), members, parts_by, auditing, places)
    say_counts(result)
    return result


def show_rings(members: Sequence[Member], auditing: AuditSettings) -> bool:
    """Return whether so many contents show a ring that rings tell their parts."""
    rings = sum(member.residual <= auditing.max_ring_residual for member in members)
    return 0 < rings >= auditing.min_ring_share * len(members)


def have_partners(
    images: Sequence[Row], before: Sequence[Member], after: Sequence[Member], auditing: AuditSettings
) -> bool:
    """Return whether detail joined so many of the source's contents that the groups are known to be parts; copies are no evidence.

    Where it joins hardly any, each part may have been photographed once, or parts may not be told by their detail.
    """
    leaders = [
        member.group
        for image, earlier, member in zip(images, before, after, strict=True)
        if image.origin == BASE and earlier.group == earlier.sha256
    ]
    partners = sum(count for count in Counter(leaders).values() if count > 1)
    return 0 < partners >= auditing.min_partner_share * len(leaders)


def join_members(
    images: Sequence[Row], squares: np.ndarray, members: Sequence[Member], auditing: AuditSettings
) -> list[Member]:
    """Return the members of the images, with the groups joined whose leaders show one part by their detail."""
    places_of = {member.sha256: place for place, member in enumerate(members)}
    groups = join_by_detail(
        squares,
        np.array([(image.height, image.width) for image in images], int).reshape(-1, 2),
        np.array([image.origin == BASE for image in images], bool),
        [places_of[member.group] for member in members],
        auditing.false_partner_share,
    )
    return [
        member._replace(
            group=members[leader].sha256, alike=round(score, 4) if place == places_of[member.group] else member.alike
        )
        for place, (member, leader, score) in enumerate(zip(members, groups.leaders, groups.scores, strict=True))
    ]


def record(
    rows: Sequence[Row],
    copies: Sequence[Copy],
    members: Sequence[Member],
    parts_by: PartsBy,
    auditing: AuditSettings,
    places: Places,
) -> Audit:
    """Store both tables, and count what they say of the rows."""
    groups = {member.sha256: member.group for member in members}
    labels = {row.sha256: row.label for row in rows}
    base = [row for row in rows if row.origin == BASE]
    return Audit(
        pairs=store_table("audit", copies, Copy, places),
        groups=store_table("groups", members, Member, places),
        exact_copies_across_splits=sum(pair.across() for pair in copies if pair.sha256 == pair.copy_sha256),
        near_copies_across_splits=count_changed_across(base, copies),
        copies_of_two_labels=sum(labels[pair.sha256] != labels[pair.copy_sha256] for pair in copies),
        contents=len(members),
        rings=sum(member.residual <= auditing.max_ring_residual for member in members),
        max_ring_residual=auditing.max_ring_residual,
        parts_by=parts_by,
        castings=len(set(groups.values())) if parts_by else None,
        castings_of_two_labels=count_of_two_labels(rows, groups) if parts_by else None,
        published_test_images_of_trained_castings=count_trained_castings(base, groups) if parts_by else None,
    )


def say_counts(result: Audit) -> None:
    """Say how many copies and parts were found, and how parts are known."""
    say(
        f"audit: between train and test as published {result.exact_copies_across_splits:,} pairs of equal files, "
        f"and {result.near_copies_across_splits:,} more train images that are changed copies of test images",
        f"audit: rings in {result.rings:,} of {result.contents:,} images only, and local detail finds partners for too few images: "
        "parts are not known, images are grouped by copies"
        if result.castings is None
        else f"audit: {result.contents:,} different images show {result.castings:,} parts, told by their {result.parts_by}, "
        f"{result.castings_of_two_labels:,} with both labels; {result.published_test_images_of_trained_castings:,} "
        "published test images show one that was published to train",
    )


def first_rows(rows: Iterable[Row]) -> list[Row]:
    """Return the first row of each content, in their order: a later row moves none."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.sha256, row)
    return list(first.values())


def group_hints(
    strips: Iterable["Strip | None"], pairs: Pairs, number: int, auditing: AuditSettings
) -> Iterator[GroupHints]:
    """Yield what places each image in a group: its strip, unless the ring fits badly, and the surest of its earlier copies."""
    surest: list[tuple[int | None, float]] = [(None, 0.0)] * number
    for earlier, later, score in zip(pairs.earlier, pairs.later, pairs.score, strict=True):
        if score > surest[later][1]:
            surest[later] = int(earlier), float(score)
    for strip, (copy, likeness) in zip(strips, surest, strict=True):
        residual = strip.ring.residual if strip else 1.0
        levels = strip.levels if strip and residual <= auditing.max_ring_residual else None
        yield GroupHints(levels, residual, copy, likeness)


def count_changed_across(rows: Sequence[Row], copies: Sequence[Copy]) -> int:
    """Count the published train images that are a changed copy of a published test image, and no equal one."""
    test_contents = {row.sha256 for row in rows if row.published == "test"}
    test_copies = {
        content
        for pair in copies
        for content, copy in (pair.contents(), pair.contents()[::-1])
        if copy in test_contents
    }
    changed = test_copies - test_contents
    return sum(row.published == "train" and row.sha256 in changed for row in rows)


def count_trained_castings(rows: Sequence[Row], groups: Mapping[str, str]) -> int:
    """Count the published test images that show a casting of the published train images."""
    trained = {groups[row.sha256] for row in rows if row.published == "train"}
    return sum(row.published == "test" and groups[row.sha256] in trained for row in rows)


def count_of_two_labels(rows: Iterable[Row], groups: Mapping[str, str]) -> int:
    """Count the groups whose images have both labels."""
    labels = {(groups[row.sha256], row.label) for row in rows}
    return sum(count > 1 for count in Counter(group for group, _ in labels).values())
