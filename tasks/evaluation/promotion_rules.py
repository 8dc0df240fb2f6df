"""Gate: whether a candidate may take the place of the model in use, by rules that each have a figure and a limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.evaluation.comparison import Pair, compare
from tasks.records.results import MAX_DIFFERENCE, Exports, Rule, Score
from tasks.settings.settings import AcceptanceSettings, Classes, EvaluationSettings

ACCEPTED = 3  # rules of `acceptance_rules`, which stand first


class Champion(NamedTuple):
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
    unknown_source: int = 0
    """Photographs of the candidate's source, if it has learned from none of them: then a person decides."""


class Ruling(NamedTuple):
    promote: bool
    reason: str
    """One sentence."""
    rules: Sequence[Rule]


def acceptance_rules(test: Score, acceptance: AcceptanceSettings) -> list[Rule]:
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


def export_rules(exports: Exports, acceptance: AcceptanceSettings) -> list[Rule]:
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
            limit_rule(f"{name}, size", one.bytes / 1e6, acceptance.max_megabytes, "MB"),
            limit_rule(f"{name}, one image", one.milliseconds, acceptance.max_milliseconds, "ms"),
        ]
    return rules


def limit_rule(name: str, figure: float, limit: float, unit: str) -> Rule:
    return Rule(name=name, figure=f"{figure:.1f} {unit}", limit=f"at most {limit:g} {unit}", kept=figure <= limit)


def no_worse(
    rival: Champion, classes: Classes, costs: EvaluationSettings, acceptance: AcceptanceSettings
) -> list[Rule]:
    """No origin may cost more beyond its noise."""
    by_origin: dict[str, list[Pair]] = defaultdict(list)
    for pair in rival.pairs:
        by_origin[pair.candidate.origin].append(pair)
    found = {origin: compare(pairs, classes, costs) for origin, pairs in sorted(by_origin.items())}
    return [
        Rule(
            name=f"origin {origin} beside version {rival.number}",
            figure=one.told(),
            limit=f"not dearer with p below {acceptance.significance:g}",
            kept=not one.worse(acceptance.significance),
        )
        for origin, one in found.items()
    ]


def decide(
    alone: Sequence[Rule],
    rival: Champion | None,
    classes: Classes,
    costs: EvaluationSettings,
    acceptance: AcceptanceSettings,
) -> Ruling:
    """The verdict. `alone` are the rules that the candidate is judged by whatever is in use; None: nothing is in use."""
    if broken_rules(alone):
        return Ruling(False, summary(broken_rules(alone)), alone)
    if rival is None:
        return Ruling(True, f"the first model, and it keeps to every limit: {summary(alone[:ACCEPTED])}", alone)
    number = rival.number
    if rival.unusable:
        return Ruling(True, f"it keeps to every limit, and version {number} cannot be used: {rival.unusable}", alone)
    if rival.unknown_source:
        return refer_to_person(alone, rival)
    if not rival.pairs:
        return Ruling(
            False, f"version {number} has learnt from every test image, so nothing tells which is better", alone
        )
    found, origins = compare(rival.pairs, classes, costs), no_worse(rival, classes, costs, acceptance)
    better, worse = found.better(acceptance.significance), found.worse(acceptance.significance)
    new = bool(rival.unseen) and not worse and why_promoted(rival, classes, costs)
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
    if broken_rules(origins):
        return Ruling(
            False, f"dearer than version {number} beyond noise, {summary(broken_rules(origins))}{left_out}", rules
        )
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


def refer_to_person(alone: Sequence[Rule], rival: Champion) -> Ruling:
    """Say that no comparison decides where the two models know different parts: being better on one tells nothing of the other."""
    shared = Rule(
        name=f"photographs of the source that version {rival.number} has learned from",
        figure=f"0 of {rival.unknown_source:,}",
        limit="one at least, else a person decides",
        kept=False,
    )
    reason = (
        f"it keeps to every limit, but version {rival.number} has learned from none of the {rival.unknown_source:,} photographs of its "
        "source, so that no comparison can tell whether it may take that place"
    )
    return Ruling(True, reason, [*alone, shared])


def why_promoted(rival: Champion, classes: Classes, costs: EvaluationSettings) -> bool:
    """Whether the candidate costs no more on the origins that it alone has learnt: if it does, it did not learn them."""
    there = compare([pair for pair in rival.pairs if pair.candidate.origin in rival.unseen], classes, costs)
    return there.candidate_cost <= there.champion_cost


def broken_rules(rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if not rule.kept]


def summary(rules: Iterable[Rule]) -> str:
    return "; ".join(f"{rule.name} {rule.figure}, {rule.limit}" for rule in rules)
