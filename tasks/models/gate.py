"""Gate: whether a candidate may take the place of the model in use, by rules that each have a figure and a limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.models.costs import cost
from tasks.models.metrics import Prediction
from tasks.runs.config import Acceptance, Classes, Evaluation
from tasks.runs.records import MAX_DIFFERENCE, Exports, Rule, Score

if TYPE_CHECKING:
    import numpy as np

ACCEPTED = 3  # rules of `accepted`, which stand first
FLIPS = 1_999  # of signs: of up to 10 castings all are tried


class Pair(NamedTuple):
    """Two judgements of the same image."""

    candidate: Prediction
    champion: Prediction


class Rival(NamedTuple):
    """The model in use, as it judges today."""

    number: int
    """Of its version."""
    pairs: Sequence[Pair] = ()
    """The test images that it has not learnt from."""
    left_out: int = 0
    """Test images that it has learnt from, which would flatter it."""
    unseen: Sequence[str] = ()
    """Origins that the candidate learnt from and it did not."""
    unusable: str = ""
    """Why it cannot be asked, if so."""


class Ruling(NamedTuple):
    promote: bool
    reason: str
    """One sentence."""
    rules: Sequence[Rule]


class Duel(NamedTuple):
    """How two models compare by what their decisions cost on the same images."""

    images: int
    castings: int | None
    """Behind the images; None where castings are not known, and each image counts for itself."""
    cheaper: int
    """Castings, or images, on which the candidate costs less."""
    dearer: int
    candidate_cost: float
    """Mean of an image."""
    champion_cost: float
    p: float
    """Chance of a split at least as uneven, were the two equally good (McNemar's exact test, two-sided)."""
    p_dearer: float
    """Chance of costing so much more in all, were each casting's difference as likely the other way (sign flips, one-sided)."""

    def told(self) -> str:
        unit = "images" if self.castings is None else "castings"
        return (
            f"costs less on {self.cheaper} {unit} and more on {self.dearer} (p = {self.p:.2g}), "
            f"{self.candidate_cost:.3f} an image instead of {self.champion_cost:.3f} (p = {self.p_dearer:.2g} of so much more)"
        )

    def better(self, significance: float) -> bool:
        return self.candidate_cost < self.champion_cost and self.cheaper > self.dearer and self.p < significance

    def worse(self, significance: float) -> bool:
        """By how many castings, or by how much: a few escapes are worse than many spared looks are good."""
        if self.candidate_cost <= self.champion_cost:
            return False
        return (self.dearer > self.cheaper and self.p < significance) or self.p_dearer < significance


def duel(pairs: Sequence[Pair], classes: Classes, costs: Evaluation) -> Duel:
    """Images of a casting are no independent evidence, so a casting counts once: for the model that cost less on it."""
    spent = [tuple(cost(one, classes, costs) for one in pair) for pair in pairs]
    known = all(pair.candidate.group for pair in pairs)
    saved: dict[object, float] = defaultdict(float)
    for number, (pair, (candidate, champion)) in enumerate(zip(pairs, spent, strict=True)):
        saved[pair.candidate.group if known else number] += champion - candidate
    least = 1e-9  # what sums of costs differ by rounding alone
    cheaper, dearer = (sum(sign * one > least for one in saved.values()) for sign in (1, -1))
    images = max(len(pairs), 1)
    return Duel(
        images=len(pairs), castings=len(saved) if known else None, cheaper=cheaper, dearer=dearer,
        candidate_cost=sum(one for one, _ in spent) / images, champion_cost=sum(one for _, one in spent) / images,
        p=exact_p(cheaper, dearer), p_dearer=flipped_p([-one for one in saved.values() if abs(one) > least]),
    )  # fmt: skip


def exact_p(one: int, other: int) -> float:
    if not one + other:
        return 1.0
    from scipy import stats  # late: half a second, and a run in which nothing changed has no use for it

    return float(stats.binomtest(one, one + other).pvalue)


def flipped_p(dearer: Sequence[float]) -> float:
    """The share of sign flips of these differences whose sum is at least theirs; of all flips, or of 2,000 where there are more."""
    if len(dearer) < 2:  # of one there are two flips, which SciPy does not take
        return 0.5 if sum(dearer) > 0 else 1.0
    from scipy import stats  # late, as above

    tested = stats.permutation_test(
        (dearer,), sum_along, permutation_type="samples", alternative="greater", vectorized=True,
        n_resamples=FLIPS, batch=100, rng=0,
    )  # fmt: skip
    return float(tested.pvalue)


def sum_along(values: "np.ndarray", axis: int) -> "np.ndarray":
    return values.sum(axis=axis)


def accepted(test: Score, acceptance: Acceptance) -> list[Rule]:
    """What the decisions on the test images must keep to, whatever is in use."""
    counted = (
        ("defects that escape", test.escapes_decided, test.defects, acceptance.max_escape_rate),
        ("good parts rejected", test.rejects_decided, test.good, acceptance.max_false_reject_rate),
        ("images for a person", test.reviews_decided, test.images, acceptance.max_review_rate),
    )
    return [
        Rule(
            name=name,
            figure=f"{count} of {total:,} ({share:.2%})",
            limit=f"at most {limit:.2%}",
            kept=share <= limit,
        )
        for name, count, total, limit in counted
        for share in [count / max(total, 1)]
    ]


def exported(exports: Exports, acceptance: Acceptance) -> list[Rule]:
    """Each format decides as the trained network, and is small and quick enough."""
    rules = []
    for name, one in exports.formats.items():
        rules += [
            Rule(
                name=f"{name}, decisions changed",
                figure=f"{one.changed_decisions} of {one.images:,}, probabilities by at most {one.max_difference:.1e}",
                limit=f"none, probabilities by {MAX_DIFFERENCE:g}",
                kept=one.alike,
            ),
            limited(f"{name}, size", one.bytes / 1e6, acceptance.max_megabytes, "MB"),
            limited(f"{name}, one image", one.milliseconds, acceptance.max_milliseconds, "ms"),
        ]
    return rules


def limited(name: str, figure: float, limit: float, unit: str) -> Rule:
    return Rule(name=name, figure=f"{figure:.1f} {unit}", limit=f"at most {limit:g} {unit}", kept=figure <= limit)


def no_worse(rival: Rival, classes: Classes, costs: Evaluation, acceptance: Acceptance) -> list[Rule]:
    """No origin may cost more beyond its noise."""
    by_origin: dict[str, list[Pair]] = defaultdict(list)
    for pair in rival.pairs:
        by_origin[pair.candidate.origin].append(pair)
    found = {origin: duel(pairs, classes, costs) for origin, pairs in sorted(by_origin.items())}
    return [
        Rule(
            name=f"origin {origin} beside version {rival.number}",
            figure=one.told(),
            limit=f"not dearer with p below {acceptance.significance:g}",
            kept=not one.worse(acceptance.significance),
        )
        for origin, one in found.items()
    ]


def ruled(
    alone: Sequence[Rule], rival: Rival | None, classes: Classes, costs: Evaluation, acceptance: Acceptance
) -> Ruling:
    """The verdict. `alone` are the rules that the candidate is judged by whatever is in use; None: nothing is in use."""
    if broken(alone):
        return Ruling(False, told(broken(alone)), alone)
    if rival is None:
        return Ruling(True, f"the first model, and it keeps to every limit: {told(alone[:ACCEPTED])}", alone)
    number = rival.number
    if rival.unusable:
        return Ruling(True, f"it keeps to every limit, and version {number} cannot be used: {rival.unusable}", alone)
    if not rival.pairs:
        return Ruling(
            False, f"version {number} has learnt from every test image, so nothing tells which is better", alone
        )
    found, origins = duel(rival.pairs, classes, costs), no_worse(rival, classes, costs, acceptance)
    better, worse = found.better(acceptance.significance), found.worse(acceptance.significance)
    new = bool(rival.unseen) and not worse and learnt_well(rival, classes, costs)
    overall = Rule(
        name=f"beside version {number}",
        figure=found.told(),
        limit=f"cheaper with p below {acceptance.significance:g}, or no worse in all and no dearer on origins that it alone learnt",
        kept=better or new,
    )
    rules = [*alone, overall, *origins]
    left_out = (
        f"; {rival.left_out:,} test images that version {number} learnt from are left out" if rival.left_out else ""
    )
    if broken(origins):
        return Ruling(False, f"dearer than version {number} beyond noise, {told(broken(origins))}{left_out}", rules)
    if better:
        return Ruling(True, f"better than version {number}: it {found.told()}{left_out}", rules)
    if new:
        names = ", ".join(rival.unseen)
        reason = (
            f"it has learnt from {names}, which version {number} has never seen, and is no worse: it {found.told()}"
        )
        return Ruling(True, f"{reason}{left_out}", rules)
    how = "worse than" if worse else "no better beyond noise than"
    return Ruling(False, f"{how} version {number}: it {found.told()}{left_out}", rules)


def learnt_well(rival: Rival, classes: Classes, costs: Evaluation) -> bool:
    """Whether the candidate costs no more on the origins that it alone has learnt: if it does, it did not learn them."""
    there = duel([pair for pair in rival.pairs if pair.candidate.origin in rival.unseen], classes, costs)
    return there.candidate_cost <= there.champion_cost


def broken(rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if not rule.kept]


def told(rules: Iterable[Rule]) -> str:
    return "; ".join(f"{rule.name} {rule.figure}, {rule.limit}" for rule in rules)
