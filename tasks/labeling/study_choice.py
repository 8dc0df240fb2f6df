"""Study choice: which photographs of the last run an agreement study shows: half of the parts are hard, the others random."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from tasks.inference import decision, model_folder
from tasks.labeling.product import Product
from tasks.pipeline.last_run import model_of
from tasks.records.rows import Prediction, Suspect
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, Places
from tasks.storage.tables import read_state

PHOTOGRAPHS = 3  # of a part, at most
NEAR = "near the limits"
LEAST_CHANCE = 1e-12  # below it a probability has no logit
T = TypeVar("T")


class Hardness(NamedTuple):
    """How hard a photograph is: those with a cause come before all others, and then the ones nearest to a limit."""

    is_plain: bool
    distance: float
    """Of its logit to the nearest limit."""
    cause: str


def part_of(row: Prediction) -> str:
    """Return the part that a photograph shows; the photograph itself, where parts are not known."""
    return row.group or row.sha256


def judged_photographs(product: Product) -> dict[str, Prediction]:
    """Return what the last run decided about its images, by sha256: where there is a choice, by networks that never saw the part."""
    own = read_state(product.run / "predictions.csv", Prediction)
    out_of_fold = read_state(product.run / "out_of_fold.csv", Prediction)
    validation, test = ([row for row in own if (row.split == "test") == is_test] for is_test in (False, True))
    return {row.sha256: row for row in [*validation, *out_of_fold, *test] if row.sha256 in product.rows}


def choose_photographs(product: Product, parts: int, seed: int, places: Places) -> list[tuple[Prediction, str]]:
    """Return the photographs of a new study, each with the cause why its part is hard. Equal seeds choose equal ones."""
    judged = judged_photographs(product)
    if not judged:
        raise BadInput(
            f"the run {product.run.name} judged no photograph that is still known: run flows/retrain.py, then draw the study"
        )
    suspects = {row.sha256 for row in read_state(product.run / "suspects.csv", Suspect)}
    rule = decision.read(model_folder.path(model_of(product.run), places) / "decision.json")
    limits = rule.review_band or (rule.threshold, rule.threshold)
    hardness = {sha256: hardness_of(row, sha256 in suspects, limits, product.classes) for sha256, row in judged.items()}
    by_part = defaultdict[str, list[Prediction]](list)
    for row in sorted(judged.values(), key=lambda row: row.sha256):
        by_part[part_of(row)].append(row)
    defective = {name for name, rows in by_part.items() if any(row.label == product.classes.defect for row in rows)}
    rng, parts = np.random.default_rng(seed), min(parts, len(by_part))
    hardest = {name: min(hardness[row.sha256] for row in rows) for name, rows in by_part.items()}
    hard = choose_hard(hardest, defective, parts // 2, rng)
    others = [name for name in by_part if name not in hard]
    chosen = {**hard, **dict.fromkeys(choose_random(others, defective, parts - len(hard), rng), "")}
    return [
        (row, cause)
        for name, cause in sorted(chosen.items())
        for row in choose_few(by_part[name], hardness if cause else {}, rng)
    ]


def hardness_of(row: Prediction, is_suspect: bool, limits: Sequence[float], classes: Classes) -> Hardness:
    """Return how hard a photograph is to decide."""
    wrong = "pass" if row.label == classes.defect else "reject"
    causes = {
        "suspect label": is_suspect,
        "decided wrongly": row.decision == wrong,
        "sent to review": row.decision == "review",
    }
    cause = next((name for name, holds in causes.items() if holds), "")
    distance = min(abs(logit(row.defect_probability) - logit(limit)) for limit in limits)
    return Hardness(not cause, distance, cause or NEAR)


def logit(chance: float) -> float:
    """Return the logit of a probability, which is kept off 0 and 1."""
    chance = min(max(chance, LEAST_CHANCE), 1 - LEAST_CHANCE)
    return float(np.log(chance) - np.log1p(-chance))


def choose_hard(
    hardest: Mapping[str, Hardness], defective: Collection[str], number: int, rng: np.random.Generator
) -> dict[str, str]:
    """Return the hard parts with their causes: random ones of those with a cause, and then those nearest to a limit.

    The latter are defective and good ones in turn, or one class would take all of them, and leave none to be drawn by chance.
    `hardest` has the hardest photograph of each part.
    """
    caused = shuffle([name for name, value in hardest.items() if not value.is_plain], rng)
    near = sorted((name for name, value in hardest.items() if value.is_plain), key=lambda name: (hardest[name], name))
    rank = {name: place for kind in split_by(near, defective) for place, name in enumerate(kind)}
    near.sort(key=lambda name: rank[name])
    return {name: hardest[name].cause for name in [*caused, *near][:number]}


def choose_random(parts: Sequence[str], defective: Collection[str], number: int, rng: np.random.Generator) -> list[str]:
    """Return random parts, as many defective as good ones, where there are so many."""
    bad, good = split_by(shuffle(parts, rng), defective)
    bad = bad[: max(number // 2, number - len(good))]
    return [*bad, *good[: number - len(bad)]]


def split_by(names: Iterable[str], members: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the names that are members, and the others."""
    names = list(names)
    return [name for name in names if name in members], [name for name in names if name not in members]


def choose_few(rows: list[Prediction], hardness: Mapping[str, Hardness], rng: np.random.Generator) -> list[Prediction]:
    """Return a few photographs of a part: the hardest one, where the part is a hard one, and random others."""
    hardest = [min(rows, key=lambda row: (hardness[row.sha256], row.sha256))] if hardness else []
    others = [row for row in shuffle(rows, rng) if row not in hardest]
    return sorted([*hardest, *others][:PHOTOGRAPHS], key=lambda row: row.sha256)


def shuffle(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """Return the items in a random order."""
    return [items[number] for number in rng.permutation(len(items))]
