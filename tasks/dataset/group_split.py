"""Sides: which split each image goes to. A casting goes as a whole, by a number that only its leader and the seed decide.

Castings are drawn in strata, by origin and label of their leaders. In a stratum of three or more at least one trains, one
validates and one tests (where no published test does). What that promises of images that come later:
- New origins move no image.
- An origin that grows moves no image out of train into a split that judges, as long as leaders stay, no casting leaves its
  stratum, and this had three castings, two of them in train. With fewer, no rule can also give each split its casting.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tasks.dataset.duplicates import Copy
from tasks.records.rows import BASE, Row
from tasks.settings.settings import Protocol, SplitSettings

ENOUGH = 3  # castings in a stratum: one for each split


def assign(rows: Sequence[Row], pairs: Iterable[Copy], splitting: SplitSettings) -> list[Row]:
    """The rows, in the manifest's order and with their groups known, with their split.

    `cleaned`: the published test stays whole, and what copies it is held back; likewise of a published validation.
    `published`: as it came. `grouped`, or where no test was published: by casting alone.
    Always: what arrives and copies an earlier origin is held back, since it adds nothing.
    """
    settled = fixed_splits(rows, pairs, splitting.protocol)
    drawn = split_groups(rows, settled, splitting)
    return [row._replace(split=side or drawn[row.group]) for row, side in zip(rows, settled, strict=True)]


def fixed_splits(rows: Sequence[Row], pairs: Iterable[Copy], protocol: Protocol) -> list[str]:
    """The split of each row that copies or the published splits decide; empty for those that follow their casting."""
    alike, position = contents_alike(rows, pairs), positions(rows)
    earliest: dict[str, int] = {}
    published: dict[str, set[str]] = {"test": set(), "validation": set()}
    for row in rows:
        earliest.setdefault(row.sha256, position[row.origin])
        if row.origin == BASE and row.published in published:
            published[row.published].add(row.sha256)

    def side(row: Row) -> str:
        if row.origin == BASE:
            return published_split(row, alike[row.sha256], published, protocol)
        return "held_back" if any(earliest[one] < position[row.origin] for one in alike[row.sha256]) else ""

    return [side(row) for row in rows]


def published_split(row: Row, alike: set[str], published: Mapping[str, set[str]], protocol: Protocol) -> str:
    """Where an image of the source belongs by its published split, given the contents that judge; empty where it is drawn."""
    if protocol == "grouped" or not published["test"]:
        return ""
    if row.published == "test":
        return "test"
    if protocol == "cleaned":
        judged_by_heart = row.published != "validation" and not alike.isdisjoint(published["validation"])
        if judged_by_heart or not alike.isdisjoint(published["test"]):
            return "held_back"
    return (row.published or "train") if published["validation"] else ""


def split_groups(rows: Sequence[Row], settled: Sequence[str], splitting: SplitSettings) -> dict[str, str]:
    """The split of every group, for those of its rows that are not settled.

    What arrives of a casting of the source follows it: to train if any of it is there, else to validation, else to test.
    """
    fractions = {"test": splitting.test_fraction, "validation": splitting.validation_fraction}
    found: dict[str, str] = {}
    for (origin, _), groups in strata(rows, settled).items():
        tested = origin == BASE and "test" in settled  # a published test leaves only validation to draw
        found |= draw(groups, {"validation": fractions["validation"]} if tested else fractions, splitting.seed)
    lies = defaultdict(set)
    for row, side in zip(rows, settled, strict=True):
        lies[row.group].add(side)
    for group, leader in leaders(rows).items():
        if group in found:
            continue
        if leader.origin == BASE:
            found[group] = next((side for side in ("train", "validation") if side in lies[group]), "test")
        else:  # copies of earlier images led it, so that nothing of its origin is left to draw
            found |= draw([group], fractions, splitting.seed)
    return found


def strata(rows: Sequence[Row], settled: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Groups to draw, by origin and label of their leaders: those that have an unsettled image of that origin."""
    led = leaders(rows)
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row, side in zip(rows, settled, strict=True):
        leader = led[row.group]
        if not side and row.origin == leader.origin:
            found[leader.origin, leader.label][row.group] = None
    return {stratum: list(groups) for stratum, groups in found.items()}


def draw(groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """The split of each group of a stratum: the purposes choose in turn those with a number below their fraction, the rest trains.

    A number says nothing about other groups, so more groups change no choice. Of enough groups a purpose takes at least the
    one with the smallest number, and leaves one for each other purpose and for train.
    """
    left = list(groups)
    found: dict[str, str] = {}
    enough = len(left) >= ENOUGH
    for others, (purpose, fraction) in zip(range(len(fractions), 0, -1), fractions.items(), strict=True):
        numbers = {group: share(group, purpose, seed) for group in left}
        left.sort(key=numbers.__getitem__)
        count = sum(number < fraction for number in numbers.values())
        if enough:
            count = min(max(count, 1), len(left) - others)
        found |= dict.fromkeys(left[:count], purpose)
        left = left[count:]
    return found | dict.fromkeys(left, "train")


def share(group: str, purpose: str, seed: int) -> float:
    """A number in [0, 1) that only the group, the purpose and the seed decide."""
    return int(hashlib.sha256(f"{seed}:{purpose}:{group}".encode()).hexdigest()[:13], 16) / 16**13


def leaders(rows: Iterable[Row]) -> dict[str, Row]:
    """The first row of every group."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row.group, row)
    return found


def positions(rows: Iterable[Row]) -> dict[str, int]:
    """The order of the origins: the source, then the arrivals as they came."""
    return {origin: number for number, origin in enumerate(dict.fromkeys([BASE, *(row.origin for row in rows)]))}


def contents_alike(rows: Iterable[Row], pairs: Iterable[Copy]) -> dict[str, set[str]]:
    """For every content itself and its listed copies."""
    found = {row.sha256: {row.sha256} for row in rows}
    for pair in pairs:
        found[pair.sha256].add(pair.copy_sha256)
        found[pair.copy_sha256].add(pair.sha256)
    return found
