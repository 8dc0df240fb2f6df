"""Promotion rules: whether a candidate may replace the model in use, by rules that each have a figure and a limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.evaluation.baseline_rules import BASELINES, UNSHOWN
from tasks.evaluation.comparison import Pair, compare
from tasks.evaluation.intervals import bound_of, more_parts
from tasks.records.results import MAX_DIFFERENCE, DrawnBlemishes, Exports, Rate, Rule, RuleCode, RulingCause, Score
from tasks.settings.settings import AcceptanceSettings, Classes, EvaluationSettings

BASELINE_CODES = tuple(code for code, _, _ in BASELINES)
ACCEPTANCE_CODES = ("escapes", "false_rejects", "reviews")  # rules of `acceptance_rules`


class Champion(NamedTuple):
    """The model in use, as it judges today."""

    number: int
    """Of its version."""
    pairs: Sequence[Pair] = ()
    """The test images that it has not learned from."""
    left_out: int = 0
    """Number of test images that it has learned from, which would flatter it."""
    unseen: Sequence[str] = ()
    """Origins that the candidate learned from and it did not."""
    unusable: str = ""
    """Why it cannot be used; empty where it can."""
    unknown_source: int = 0
    """Photographs of the candidate's source, if it has learned from none of them: then a person decides."""


class Ruling(NamedTuple):
    """The verdict on a candidate, the reason for it, and the rules behind it."""

    promote: bool
    cause: RulingCause
    reason: str
    """The cause in one sentence, as people read it."""
    rules: Sequence[Rule]

    @property
    def for_person(self) -> bool:
        """Return whether a person decides, since nothing else tells if the model may be promoted."""
        return self.promote and any(rule.for_person for rule in self.rules)


def acceptance_rules(test: Score, acceptance: AcceptanceSettings) -> list[Rule]:
    """Return the limits that the decisions on the test images must keep to, whatever model is in use."""
    decided = test.decided
    rates: tuple[tuple[RuleCode, str, Rate, float], ...] = (
        ("escapes", "defects that escape", decided.escape, acceptance.max_escape_rate),
        ("false_rejects", "good parts rejected", decided.false_reject, acceptance.max_false_reject_rate),
        ("reviews", "images for a person", decided.review, acceptance.max_review_rate),
    )
    return [
        rate_rule(code, name, rate, limit, decided.by_part, acceptance.confidence) for code, name, rate, limit in rates
    ]


def blemish_rules(drawn: DrawnBlemishes | None, acceptance: AcceptanceSettings) -> list[Rule]:
    """Return the rule that a model of good parts alone sees drawn blemishes; none for another model."""
    if drawn is None:
        return []
    share, limit = drawn.passed / drawn.images, acceptance.max_blemishes_passed
    figure = f"{drawn.passed:,} of {drawn.images:,} ({share:.2%})"
    name = "images with drawn blemishes that pass"
    return [Rule(code="drawn_blemishes", name=name, figure=figure, limit=f"at most {limit:.2%}", kept=share <= limit)]


def rate_rule(code: RuleCode, name: str, rate: Rate, limit: float, by_part: bool, confidence: float | None) -> Rule:
    """Return the rule that a rate stays within its limit: as it was found, or, with a confidence, as it is shown.

    Where no part was tested a person decides.
    """
    if not rate.total:
        return Rule(
            code=code,
            name=name,
            figure=f"{UNSHOWN}none was tested",
            limit=f"at most {limit:.2%}",
            kept=False,
            for_person=True,
        )
    share = rate.rate or 0.0
    figure, allowed = f"{rate.count} of {rate.total:,} ({share:.2%})", f"at most {limit:.2%}"
    if by_part:
        figure += f", on {rate.parts_with:,} of {rate.parts:,} parts"
    if confidence is None:
        return Rule(code=code, name=name, figure=figure, limit=allowed, kept=share <= limit)
    bound, more = bound_of(rate, confidence), more_parts(rate, limit, confidence)
    figure += f", which shows {'less than' if bound < 1 else 'at most'} {bound:.2%}"
    if bound > limit and more is not None:
        figure += f"; {more:,} {'parts' if by_part else 'images'} more without one would show the limit"
    return Rule(
        code=code, name=name, figure=figure, limit=f"{allowed} with {confidence:.0%} confidence", kept=bound <= limit
    )


def export_rules(exports: Exports, acceptance: AcceptanceSettings) -> list[Rule]:
    """Return the rules of the exports: each format decides as the trained network does, and is small and quick enough."""
    rules = []
    for name, export in exports.formats.items():
        rules += [
            Rule(
                code="export_decisions",
                name=f"{name}, decisions changed",
                figure=f"{export.changed_decisions} of {export.images:,}, probabilities by at most {export.max_difference:.1e}",
                limit=f"none, probabilities by {MAX_DIFFERENCE:g}",
                kept=export.alike,
            ),
            limit_rule("export_size", f"{name}, size", export.bytes / 1e6, acceptance.max_megabytes, "MB"),
            limit_rule("export_latency", f"{name}, one image", export.milliseconds, acceptance.max_milliseconds, "ms"),
        ]
    return rules


def limit_rule(code: RuleCode, name: str, figure: float, limit: float, unit: str) -> Rule:
    """Return the rule that a figure stays within its limit."""
    return Rule(
        code=code, name=name, figure=f"{figure:.1f} {unit}", limit=f"at most {limit:g} {unit}", kept=figure <= limit
    )


def origin_rules(
    champion: Champion, classes: Classes, costs: EvaluationSettings, acceptance: AcceptanceSettings
) -> list[Rule]:
    """Return one rule for each origin: the candidate does not cost significantly more on it."""
    by_origin: dict[str, list[Pair]] = defaultdict(list)
    for pair in champion.pairs:
        by_origin[pair.candidate.origin].append(pair)
    comparisons = {origin: compare(pairs, classes, costs) for origin, pairs in sorted(by_origin.items())}
    return [
        Rule(
            code="origin_beside_champion",
            name=f"origin {origin} beside version {champion.number}",
            figure=comparison.summary(),
            limit=f"not dearer with p below {acceptance.significance:g}",
            kept=not comparison.worse(acceptance.significance),
        )
        for origin, comparison in comparisons.items()
    ]


def decide(
    own_rules: Sequence[Rule],
    champion: Champion | None,
    classes: Classes,
    costs: EvaluationSettings,
    acceptance: AcceptanceSettings,
) -> Ruling:
    """Decide whether the candidate is promoted. One that would be, if nothing were left open, is referred to a person.

    Args:
        own_rules: Rules for the candidate itself, whatever model is in use.
        champion: The model in use; None: no model is in use.
        classes: The two class names.
        costs: Costs of the decisions.
        acceptance: Limits and the level of significance.
    """
    if broken := broken_rules(own_rules):
        return Ruling(False, "rule_broken", summary(broken), own_rules)
    ruling = decide_unbroken(own_rules, champion, classes, costs, acceptance)
    return refer_to_person(ruling, champion) if ruling.for_person else ruling


def decide_unbroken(
    own_rules: Sequence[Rule],
    champion: Champion | None,
    classes: Classes,
    costs: EvaluationSettings,
    acceptance: AcceptanceSettings,
) -> Ruling:
    """Decide, by the model in use, about a candidate that breaks no rule of its own."""
    if champion is None:
        limits = summary(rule for rule in own_rules if rule.code in ACCEPTANCE_CODES)
        return Ruling(True, "first_model", f"the first model, and it keeps to every limit: {limits}", own_rules)
    if champion.unusable:
        reason = f"it keeps to every limit, and version {champion.number} cannot be used: {champion.unusable}"
        return Ruling(True, "champion_unusable", reason, own_rules)
    if champion.unknown_source:
        return Ruling(True, "unknown_source", "it keeps to every limit", [*own_rules, source_rule(champion)])
    if not champion.pairs:
        reason = f"version {champion.number} has learned from every test image, so nothing tells which is better"
        return Ruling(False, "nothing_to_compare", reason, own_rules)
    return decide_beside(own_rules, champion, classes, costs, acceptance)


def decide_beside(
    own_rules: Sequence[Rule],
    champion: Champion,
    classes: Classes,
    costs: EvaluationSettings,
    acceptance: AcceptanceSettings,
) -> Ruling:
    """Decide by the costs of both models on the test images that the champion has not learned from.

    The candidate is promoted if it is better, or if it learned new origins and is no worse. It must not be dearer on any origin.
    """
    comparison = compare(champion.pairs, classes, costs)
    by_origin = origin_rules(champion, classes, costs, acceptance)
    named, figure, p = f"version {champion.number}", comparison.summary(), acceptance.significance
    better, worse, origins = comparison.better(p), comparison.worse(p), ", ".join(champion.unseen)
    new = bool(origins) and not worse and learned_new_origins(champion, classes, costs)
    limit = f"cheaper with p below {p:g}, or no worse in all and no dearer on origins that it alone learned"
    overall = Rule(code="beside_champion", name=f"beside {named}", figure=figure, limit=limit, kept=better or new)
    outcomes: tuple[tuple[object, RulingCause, str], ...] = (  # the first that holds decides
        (dearer := broken_rules(by_origin), "dearer_on_origin", f"dearer than {named} beyond noise, {summary(dearer)}"),
        (better, "better", f"better than {named}: it {figure}"),
        (new, "new_origins", f"it has learned from {origins}, which {named} has never seen, and is no worse: it {figure}"),
        (worse, "worse", f"worse than {named}: it {figure}"),
        (True, "no_better", f"no better beyond noise than {named}: it {figure}"),
    )  # fmt: skip
    cause, reason = next((cause, reason) for holds, cause, reason in outcomes if holds)
    if champion.left_out:
        reason += f"; {champion.left_out:,} test images that {named} learned from are left out"
    return Ruling(cause in ("better", "new_origins"), cause, reason, [*own_rules, overall, *by_origin])


def source_rule(champion: Champion) -> Rule:
    """Return the rule that the model in use knows the source, where it does not: the two models know different parts.

    Being better on one set of parts tells nothing about the other.
    """
    return Rule(
        code="known_source",
        name=f"photographs of the source that version {champion.number} has learned from",
        figure=f"0 of {champion.unknown_source:,}",
        limit="one at least, else a person decides",
        kept=False,
        for_person=True,
    )


def refer_to_person(ruling: Ruling, champion: Champion | None) -> Ruling:
    """Return the ruling with the reasons for which a person decides whether the model is promoted."""
    reasons = []
    if champion and champion.unknown_source:
        reasons.append(
            f"version {champion.number} has learned from none of the {champion.unknown_source:,} photographs "
            "of its source, so that no comparison can tell whether it may take that place"
        )
    if unshown := next((rule for rule in ruling.rules if rule.for_person and rule.code in BASELINE_CODES), None):
        missing = unshown.figure.removeprefix(UNSHOWN)
        reasons.append(f"nothing can show that it is better than majority, look-up and shortcuts: {missing}")
    if untested := [rule.name for rule in ruling.rules if rule.for_person and rule.code in ACCEPTANCE_CODES]:
        reasons.append(f"nothing was tested that tells about {' and '.join(untested)}")
    cause: RulingCause = "unknown_source" if ruling.cause == "unknown_source" else "not_shown"
    return ruling._replace(cause=cause, reason=f"{ruling.reason}, but {', and '.join(reasons)}")


def learned_new_origins(champion: Champion, classes: Classes, costs: EvaluationSettings) -> bool:
    """Return whether the candidate costs no more on the origins that it alone has learned from.

    If it costs more there, it did not learn them.
    """
    comparison = compare([pair for pair in champion.pairs if pair.candidate.origin in champion.unseen], classes, costs)
    return comparison.candidate_cost <= comparison.champion_cost


def broken_rules(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules that are not kept, without those about which a person decides."""
    return [rule for rule in rules if not (rule.kept or rule.for_person)]


def summary(rules: Iterable[Rule]) -> str:
    """Return the rules in one line, each with its figure and its limit."""
    return "; ".join(f"{rule.name} {rule.figure}, {rule.limit}" for rule in rules)
