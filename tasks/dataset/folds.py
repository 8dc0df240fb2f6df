"""Folds: assign parts to folds, so that each part is judged once by a network that never saw it (cross-fitting)."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from tasks.dataset.group_split import draw, groups_by_stratum, hash_to_unit_interval, leaders, refuse_one_sided
from tasks.records.results import DividedImages
from tasks.records.rows import SPLITS, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, Places
from tasks.storage.tables import store_table


def assign_folds(rows: Sequence[Row], number: int, seed: int) -> list[set[str]]:
    """Return the groups of each fold.

    Groups of each label are spread origin by origin, the largest first, each to the fold with the fewest images of that origin, then of
    that label. An origin with as many groups of a label as there are folds is in every fold.
    Raises BadInput where a label has fewer groups than there are folds.
    """
    leading_rows, images = leaders(rows), Counter(row.group for row in rows)
    position = {origin: place for place, origin in enumerate(dict.fromkeys(row.origin for row in rows))}
    folds: list[set[str]] = [set() for _ in range(number)]
    for label in sorted({row.label for row in leading_rows.values()}):
        groups = [group for group, leader in leading_rows.items() if leader.label == label]
        if len(groups) < number:
            raise BadInput(
                f"{label} has {len(groups)} parts, and {number} folds need as many: ask for fewer folds, or bring more parts"
            )
        order = {
            group: (position[leading_rows[group].origin], -images[group], hash_to_unit_interval(group, "fold", seed))
            for group in groups
        }
        filled: dict[str, list[int]] = defaultdict(lambda: [0] * number)  # images of each fold, by origin
        for group in sorted(groups, key=order.__getitem__):
            origin = leading_rows[group].origin
            fullness = [(filled[origin][fold], filled[""][fold]) for fold in range(number)]
            least = fullness.index(min(fullness))
            folds[least].add(group)
            for count in (filled[origin], filled[""]):
                count[least] += images[group]
    return folds


def split_by_fold(rows: Sequence[Row], judged: set[str], validation_fraction: float, seed: int) -> list[Row]:
    """Return the rows with the groups of `judged` as their test. Some of the others validate, by the rule of `split`."""
    fixed = ["test" if row.group in judged else "" for row in rows]
    sides: dict[str, str] = {}
    for groups in groups_by_stratum(rows, fixed).values():
        sides |= draw(groups, {"validation": validation_fraction}, seed)
    return [row._replace(split=side or sides[row.group]) for row, side in zip(rows, fixed, strict=True)]


def divide_by_folds(
    rows: Sequence[Row],
    folds: Sequence[set[str]],
    images: DividedImages,
    validation_fraction: float,
    seed: int,
    places: Places,
) -> list[DividedImages]:
    """Return the rows of `images` as each fold divides them. Raises BadInput, which names the fold, where a class is missing in one."""
    castings, divided = images.castings_by_split is not None, []
    for number, judged in enumerate(folds, start=1):
        own_rows = split_by_fold(rows, judged, validation_fraction, seed)
        try:
            refuse_one_sided(own_rows, images.classes, "parts" if castings else "images")
        except BadInput as error:
            raise BadInput(f"fold {number} of {len(folds)}: {error}") from error
        divided.append(divided_images(own_rows, images.classes, places, castings=castings))
    return divided


def divided_images(rows: Sequence[Row], classes: Classes, places: Places, *, castings: bool) -> DividedImages:
    """Store the rows with their splits, and count them. `castings` says whether groups are castings; else they are copies alone."""
    by_split = Counter(row.split for row in rows)
    groups = {name: {row.group for row in rows if row.split == name} for name in SPLITS}
    return DividedImages(
        table=store_table("splits", rows, Row, places),
        classes=classes,
        images=len(rows),
        by_split={name: by_split[name] for name in SPLITS},
        by_class=dict(Counter(row.label for row in rows)),
        by_kind=dict(Counter(row.kind for row in rows if row.kind)),
        by_origin=dict(Counter(row.origin for row in rows)),
        held_back=by_split["held_back"],
        # A group that has images in two splits counts in both.
        castings_by_split={name: len(groups[name]) for name in SPLITS} if castings else None,
    )
