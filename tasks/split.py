"""Split: which image trains, validates, tests or is held back, decided by group, so that no group lies on two sides.

A group's side is a function of its leader and the seed: an image that arrives moves no earlier one.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from prefect import task

from tasks.images.copies import Member
from tasks.images.manifest import BASE, SPLITS, Row
from tasks.runs.caching import same_step
from tasks.runs.config import Classes, Places, Splitting
from tasks.runs.errors import BadInput
from tasks.runs.records import Audit, Manifest, Splits
from tasks.runs.tables import read_table, store_table


@task(cache_policy=same_step)
def split(manifest: Manifest, audit: Audit, splitting: Splitting, places: Places) -> Splits:
    """The manifest with the group and the split of every row."""
    groups = {member.sha256: member.group for member in read_table(audit.groups.path(places), Member)}
    rows = [row._replace(group=groups[row.sha256]) for row in read_table(manifest.table.path(places), Row)]
    rows = assign(rows, splitting)
    refuse_one_sided(rows, manifest.classes)
    by_split = Counter(row.split for row in rows)
    print(f"split: {', '.join(f'{by_split[name]:,} {name}' for name in SPLITS)} ({splitting.protocol})")
    return Splits(
        table=store_table("splits", rows, Row, places),
        classes=manifest.classes,
        images=len(rows),
        by_split={name: by_split[name] for name in SPLITS},
        by_class=dict(Counter(row.label for row in rows)),
        by_origin=dict(Counter(row.origin for row in rows)),
        held_back=by_split["held_back"],
    )


def assign(rows: Sequence[Row], splitting: Splitting) -> list[Row]:
    """The rows with their split.

    `cleaned`: the published test stays whole, and what shares a group with it is held back from training.
    `published`: as it came, copies included. `grouped`: by group alone. Where no test was published, all are by group.
    """
    obeyed = splitting.protocol != "grouped" and any(row.published == "test" for row in rows)
    if not obeyed:
        return [row._replace(split=drawn(row.group, splitting)) for row in rows]
    testing = {row.group for row in rows if row.origin == BASE and row.published == "test"}
    watching = {row.group for row in rows if row.origin == BASE and row.published == "validation"}
    led_by_base = {row.group for row in rows if row.origin == BASE}

    def side(row: Row) -> str:
        if row.origin == BASE and row.published == "test":
            return "test"
        if row.group in testing and (splitting.protocol == "cleaned" or row.origin != BASE):
            return "held_back"
        if row.published == "validation":
            return "validation"
        if row.group in watching and (splitting.protocol == "cleaned" or row.origin != BASE):
            return "validation"
        if row.group in led_by_base:  # the rest of the published train, and what arrived of known castings
            return validating(row.group, splitting)
        return drawn(row.group, splitting)

    return [row._replace(split=side(row)) for row in rows]


def drawn(group: str, splitting: Splitting) -> str:
    """Test, validation or train for a group that no published split decides."""
    return "test" if share(group, "test", splitting.seed) < splitting.test_fraction else validating(group, splitting)


def validating(group: str, splitting: Splitting) -> str:
    return "validation" if share(group, "validation", splitting.seed) < splitting.validation_fraction else "train"


def share(group: str, purpose: str, seed: int) -> float:
    """A number in [0, 1) that only the group, the purpose and the seed decide."""
    return int(hashlib.sha256(f"{seed}:{purpose}:{group}".encode()).hexdigest()[:13], 16) / 16**13


def refuse_one_sided(rows: Iterable[Row], classes: Classes) -> None:
    """Raises BadInput where a class is missing from a split, since nothing can be learnt or said then."""
    labels = defaultdict(set)
    for row in rows:
        labels[row.split].add(row.label)
    for name in ("train", "validation", "test"):
        if missing := {classes.defect, classes.good} - labels[name]:
            raise BadInput(
                f"no image of {' or of '.join(sorted(missing))} falls into {name}: more images are needed, "
                "another --splitting.seed, or a larger --splitting.validation_fraction or --splitting.test_fraction"
            )
