"""Group split: which split each image goes to. A casting stays whole; only its leader and the seed decide its random number.

Castings are drawn in strata, by origin and label of their leaders. In a stratum of three or more at least one trains, one
validates and one tests (where no published test does). For images that come later this promises:
- New origins move no image.
- An origin that grows moves no image out of train into validation or test, on three conditions: leaders stay, no casting leaves its
  stratum, and the stratum had three castings, two of them in train. With fewer castings, no rule can also give each split a casting.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from tasks.dataset.duplicates import Copy
from tasks.records.rows import BASE, Row, is_defect
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, Protocol, SplitSettings

NEEDS_DEFECTS = (
    "a network that tells defective from good parts must see both: bring photographs of defective parts, or take --model normal, "
    "which learns from good parts alone"
)
ENOUGH = 3  # castings in a stratum: one for each split


def assign(rows: Sequence[Row], pairs: Iterable[Copy], splitting: SplitSettings) -> list[Row]:
    """Return the rows with their split. They come in the manifest's order, with their groups assigned.

    `cleaned`: the published test stays whole, and its copies are held back. Likewise a published validation,
    without images that copy the test. Where only a validation was published, the test is drawn from parts that it does not show.
    `published`: as it came. `grouped`, or where neither was published: by part alone.
    Always: an arriving image that copies an earlier origin is held back, since it adds nothing.
    """
    fixed = fixed_splits(rows, pairs, splitting.protocol)
    by_group = split_groups(rows, fixed, splitting)
    return [row._replace(split=side or by_group[row.group]) for row, side in zip(rows, fixed, strict=True)]


def fixed_splits(rows: Sequence[Row], pairs: Iterable[Copy], protocol: Protocol) -> list[str]:
    """Return the split of each row that copies or the published splits decide; empty for rows that follow their casting."""
    alike = contents_alike(rows, pairs)
    # the place of each origin in the order: the source first, then the arrivals as they came
    position = {origin: place for place, origin in enumerate(dict.fromkeys([BASE, *(row.origin for row in rows)]))}
    earliest: dict[str, int] = {}
    published: dict[str, set[str]] = {"test": set(), "validation": set()}
    for row in rows:
        earliest.setdefault(row.sha256, position[row.origin])
        if row.origin == BASE and row.published in published:
            published[row.published].add(row.sha256)

    def split_of(row: Row) -> str:
        if row.origin == BASE:
            return published_split(row, alike[row.sha256], published, protocol)
        return "held_back" if any(earliest[content] < position[row.origin] for content in alike[row.sha256]) else ""

    return [split_of(row) for row in rows]


def published_split(row: Row, alike: set[str], published: Mapping[str, set[str]], protocol: Protocol) -> str:
    """Return the split of an image of the source by its published split; empty where it is drawn.

    Args:
        row: The image.
        alike: Its content and the contents that are copies of it.
        published: The contents of the published test and validation.
        protocol: How published splits are used.
    """
    if protocol == "grouped" or not any(published.values()):
        return ""
    if row.published == "test":
        return "test"
    if protocol == "cleaned":
        copies_validation = row.published != "validation" and not alike.isdisjoint(published["validation"])
        if copies_validation or not alike.isdisjoint(published["test"]):
            return "held_back"
    if not published["validation"]:
        return ""
    # where only a validation is published, its images validate, and the test is drawn from the others
    return (row.published or "train") if published["test"] or row.published == "validation" else ""


def split_groups(rows: Sequence[Row], fixed: Sequence[str], splitting: SplitSettings) -> dict[str, str]:
    """Return the split of every group, for those of its rows that are not fixed.

    Arriving images of a casting of the source follow it: to train if any of it is there, else to validation, else to test.
    """
    fractions = {"test": splitting.test_fraction, "validation": splitting.validation_fraction}
    splits: dict[str, str] = {}
    splits_of_rows = defaultdict(set)
    for row, side in zip(rows, fixed, strict=True):
        splits_of_rows[row.group].add(side)
    for (origin, _), groups in groups_by_stratum(rows, fixed).items():
        # A published test leaves only validation to draw, and the other way round.
        drawn = {name: share for name, share in fractions.items() if origin != BASE or name not in fixed}
        # A part that validates does not test: the model is chosen by it.
        validating = {group for group in groups if origin == BASE and "validation" in splits_of_rows[group]}
        splits |= dict.fromkeys(validating, "train")
        splits |= draw([group for group in groups if group not in validating], drawn, splitting.seed)
    for group, leader in leaders(rows).items():
        if group not in splits and leader.origin == BASE:
            splits[group] = next((side for side in ("train", "validation") if side in splits_of_rows[group]), "test")
        elif group not in splits:  # copies of earlier images led it, so that nothing of its origin is left to draw
            splits |= draw([group], fractions, splitting.seed)
    return splits


def groups_by_stratum(rows: Sequence[Row], fixed: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Return the groups to draw, by origin and label of their leaders: groups with an unsettled image of the leader's origin."""
    leader_of = leaders(rows)
    by_stratum: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row, side in zip(rows, fixed, strict=True):
        leader = leader_of[row.group]
        if not side and row.origin == leader.origin:
            by_stratum[leader.origin, leader.label][row.group] = None
    return {stratum: list(groups) for stratum, groups in by_stratum.items()}


def draw(groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Return the split of each group of a stratum.

    Each purpose in turn takes the groups whose number is below its fraction; the other groups train. A number does not depend on other
    groups, so more groups change no choice. Where there are enough groups, a purpose takes at least the group with the smallest number,
    and leaves one group for each other purpose and one for train.
    """
    remaining = list(groups)
    splits: dict[str, str] = {}
    enough = len(remaining) >= ENOUGH
    for purposes_left, (purpose, fraction) in zip(range(len(fractions), 0, -1), fractions.items(), strict=True):
        numbers = {group: hash_to_unit_interval(group, purpose, seed) for group in remaining}
        remaining.sort(key=numbers.__getitem__)
        count = sum(number < fraction for number in numbers.values())
        if enough:
            count = min(max(count, 1), len(remaining) - purposes_left)
        splits |= dict.fromkeys(remaining[:count], purpose)
        remaining = remaining[count:]
    return splits | dict.fromkeys(remaining, "train")


def hash_to_unit_interval(group: str, purpose: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on the group, the purpose and the seed alone."""
    return int(hashlib.sha256(f"{seed}:{purpose}:{group}".encode()).hexdigest()[:13], 16) / 16**13


def move_defects_to_test(rows: Iterable[Row], classes: Classes) -> list[Row]:
    """Return the rows with every image of a defective part that would train or validate in the test: where good parts alone train."""
    rows = list(rows)
    defective = {row.group for row in rows if is_defect(row, classes)}
    return [
        row._replace(split="test") if row.group in defective and row.split in ("train", "validation") else row
        for row in rows
    ]


def refuse_one_sided(
    rows: Iterable[Row], classes: Classes, unit: Literal["parts", "images"], *, good_alone: bool = False
) -> None:
    """Raise BadInput where a class is missing from a split, since nothing can be learned or said then.

    The unit is what a split is drawn from. With `good_alone` no split needs defects.
    """
    needed = {classes.good} if good_alone else {classes.defect, classes.good}
    rows, labels, units = list(rows), defaultdict(set), defaultdict(set)
    if not good_alone and not any(is_defect(row, classes) for row in rows):
        raise BadInput(f"no usable image of {classes.defect} is there: {NEEDS_DEFECTS}")
    for number, row in enumerate(rows):
        labels[row.split].add(row.label)
        units[row.label].add(row.group if unit == "parts" else number)
    note = "; the images of one part stay together" if unit == "parts" else ""
    for name in ("train", "validation", "test"):
        if missing := sorted(needed - labels[name]):
            counts = ", ".join(f"{unit} of {label}: {len(units[label]):,}" for label in missing)
            raise BadInput(
                f"no image of {' or of '.join(missing)} falls into {name} ({counts}{note}): more {unit} are needed, "
                f"another --splitting.seed, or a {'smaller' if name == 'train' else 'larger'} "
                "--splitting.validation_fraction or --splitting.test_fraction"
            )


def leaders(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the first row of every group."""
    first_rows: dict[str, Row] = {}
    for row in rows:
        first_rows.setdefault(row.group, row)
    return first_rows


def contents_alike(rows: Iterable[Row], pairs: Iterable[Copy]) -> dict[str, set[str]]:
    """Return for every content the set of itself and its listed copies."""
    alike = {row.sha256: {row.sha256} for row in rows}
    for pair in pairs:
        alike[pair.sha256].add(pair.copy_sha256)
        alike[pair.copy_sha256].add(pair.sha256)
    return alike
