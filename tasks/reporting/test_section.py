"""Test section: the test in words and tables: the network's calls, the parts behind them, the decisions and their cost."""

from itertools import starmap
from math import ceil

from tasks.evaluation.baseline_rules import missing_evidence
from tasks.inference.decision import format_chance
from tasks.records.results import Evaluation, Interval, Normality, Score
from tasks.reporting.bounds_section import percent
from tasks.reporting.markdown import code, number_of, out_of, table
from tasks.reporting.words import ProductWords
from tasks.settings.settings import EvaluationSettings

LOOKUP = "the label of the most similar training thumbnail"
SHORTCUTS = "brightness, border brightness and sharpness alone"
SOURCES = {
    "test": "from the test",
    "out of fold": "all, out of fold",
    "validation and test": "from validation and test",
}
LEAST_SHARE = 1e-6  # so that no settings ask for a number of parts that nobody can read
DECISION_HEADS = (
    "Origin", "Passed", "For a person", "Rejected", "Defects passed", "Good parts rejected", "Cost an image",
)  # fmt: skip


def test(evaluation: Evaluation, settings: EvaluationSettings, words: ProductWords) -> str:
    """Return the section on the test, in all and by origin: the network's calls, the parts behind them, the decisions."""
    several = evaluation.slices if len(evaluation.slices) > 1 else {}
    scores: dict[str, Score] = {"all": evaluation.test, **{code(origin): score for origin, score in several.items()}}
    level = f"{settings.confidence:.0%}"
    heads = (
        "Origin",
        "Accuracy",
        "AUC",
        f"Defects missed ({level} interval)",
        f"Good parts refused ({level} interval)",
    )
    return "\n\n".join([
        table(heads, starmap(score_row, scores.items())),
        f"At the likelier class. {castings(evaluation.test, level, words)}",
        table(DECISION_HEADS, starmap(decision_row, scores.items())),
        *(normal_decisions(evaluation.normal, evaluation, words) if evaluation.normal else [decisions(evaluation)]),
        *looks(evaluation),
        *beyond_baselines(evaluation, words),
        reviews(evaluation),
    ])  # fmt: skip


def score_row(name: str, score: Score) -> tuple[str, ...]:
    """Return the cells on the network's calls at the likelier class."""

    def rate(count: int, total: int, share: float | None, interval: Interval | None) -> str:
        return (
            f"{out_of(count, total)}: {share:.2%} ({interval.low:.2%} to {interval.high:.2%})"
            if share is not None and interval
            else out_of(count, total)
        )

    return (
        name,
        f"{score.accuracy:.2%} of {score.images:,}",
        "" if score.auc is None else f"{score.auc:.4f}",
        rate(score.missed_defects, score.defects, score.escape_rate, score.escape_rate_interval),
        rate(score.false_rejects, score.good, score.false_reject_rate, score.false_reject_rate_interval),
    )


def castings(test: Score, level: str, words: ProductWords) -> str:
    """Say how many parts stand behind the counts, and how far the figures would move with other parts."""
    counted = test.castings
    if counted is None:
        return (
            f"Intervals are exact (Clopper-Pearson) over images. Which images show one {words.singular} is not known, so images of one "
            "part count as if they were independent."
        )
    figures = (
        ("accuracy", counted.accuracy_interval, ".2%"),
        ("AUC", counted.auc_interval, ".4f"),
        ("cost an image", counted.cost_interval, ".3f"),
    )
    others = [f"{name} {span.low:{form}} to {span.high:{form}}" for name, span, form in figures if span]
    return (
        f"The {test.defects:,} defective images show {counted.defective:,} {words.plural}, and {counted.missed:,} of these have a missed "
        f"image. The {test.good:,} good ones show {counted.good:,}, and {counted.refused:,} of these have a refused image. Intervals "
        f"({level}) are over {words.plural}, exact for rates: {', '.join(others)}."
    )


def decision_row(name: str, score: Score) -> tuple[str, ...]:
    """Return the cells on the decisions."""
    return (
        name,
        f"{score.passed_decided:,}",
        f"{score.reviews_decided:,}",
        f"{score.rejected_decided:,}",
        out_of(score.escapes_decided, score.defects),
        out_of(score.rejects_decided, score.good),
        f"{score.costs.decided:.3f}" if score.costs else "",
    )


def decisions(evaluation: Evaluation) -> str:
    """Say by which rule parts are decided, and what it costs beside rules that look at no image."""
    band, costs, test = evaluation.review_band, evaluation.test.costs, evaluation.test
    rule = (
        describe_band(*band)
        if band
        else f"Parts at least {evaluation.threshold:.1%} probably defective are rejected; there is no review band."
    )
    unreviewed = (
        f" If nobody looked, {evaluation.threshold:.1%} would be the limit: {out_of(test.missed_at_threshold, test.defects)} defects would "
        f"pass, {out_of(test.rejects_at_threshold, test.good)} good parts would be rejected."
    )
    cost = (
        f" An image costs {costs.decided:.3f} on average; to pass all would cost {costs.passing_all:.3f}, to reject all "
        f"{costs.rejecting_all:.3f}, to look at all {costs.reviewing_all:.3f}."
        if costs
        else ""
    )
    return f"{rule}{unreviewed}{cost} {calibration(evaluation)}"


def calibration(evaluation: Evaluation) -> str:
    """Say which temperature makes probabilities of margins, what it rests on, and what its uncertainty may change."""
    chosen_on = "all parts, judged out of fold" if evaluation.crossfit else "validation"
    chosen = f"Margins are divided by a temperature of {evaluation.temperature:.2f}, chosen on {chosen_on}."
    if not (weighed := evaluation.calibration):
        return chosen
    unit = "part" if evaluation.test.decided.by_part else "different photograph"
    more = "" if evaluation.crossfit else f" More {unit}s that validate, or `--crossfit.folds 5`, make it surer."
    return (
        f"{chosen} It rests on {number_of(weighed.parts, unit)}, and lies between {weighed.low:.2f} and {weighed.high:.2f} with 90% "
        f"confidence: at one of the two, {out_of(weighed.changed, evaluation.test.images)} test images would be decided otherwise."
        f"{more if weighed.changed else ''}"
    )


def looks(evaluation: Evaluation) -> list[str]:
    """Return a table of what fewer looks of people would cost; nothing where looks are limited by their cost already, or are few."""
    test = evaluation.test
    if not evaluation.workloads:
        return []
    rows = [
        (
            f"{workload.share:.0%}",
            out_of(workload.reviews, test.images),
            out_of(workload.escapes, test.defects),
            out_of(workload.rejects, test.good),
        )
        for workload in evaluation.workloads
    ]
    heads = ("People look at most at", "Test images for a person", "Defects passed", "Good parts rejected")
    return [
        f"{table(heads, rows)}\n\nWhat fewer looks would cost: `--evaluation.max_review_share 0.25` limits them to a quarter of the "
        "images, those for which a look saves most. The share is of unseen images, so that of the test differs a little."
    ]


def normal_decisions(normal: Normality, evaluation: Evaluation, words: ProductWords) -> list[str]:
    """Say by which limits a model decides that learned from good parts alone, what they promise, and what nobody knows."""
    drawn, limit = evaluation.blemishes, evaluation.threshold
    lines = [
        f"The network learned from good {words.plural} alone, and from good {words.plural} with drawn blemishes. Its figures are anomaly "
        f"scores, not probabilities of a defect: {words.plural} below 50% pass, those above {limit:.0%} are rejected, and a person looks "
        f"at what lies between. Held-out good photographs set both limits ({normal.images:,}, of {normal.parts:,} {words.plural}): some "
        f"{percent(normal.flagged_share)} of good ones lie above the first, and {percent(normal.rejected_share)} above the second. "
        f"{few_held_out(normal, words)}",
        f"Nothing here promises that a real defect is found: the limits know good {words.plural} only.",
    ]
    if drawn and drawn.images:
        lines[1] += (
            f" Of {drawn.images:,} good test photographs with one to three drawn blemishes, {drawn.passed:,} pass, {drawn.reviewed:,} go "
            f"to a person and {drawn.rejected:,} are rejected. Real defects can be fainter or larger than drawn ones."
        )
    return lines


def few_held_out(normal: Normality, words: ProductWords) -> str:
    """Say how many held-out parts are missing for limits that are counted and not estimated; empty where none are."""
    needed = ceil(1 / max(normal.rejected_share, LEAST_SHARE))
    if normal.parts >= needed:
        return ""
    return (
        f"So small a share cannot be counted among {normal.parts:,} {words.plural}, so the limit is estimated from how their scores "
        f"spread: {needed - normal.parts:,} more held-out good {words.plural} are needed to count it."
    )


def beyond_baselines(evaluation: Evaluation, words: ProductWords) -> list[str]:
    """Say how the model compares with each baseline on parts that do not train, a sentence each; nothing in an older record."""
    comparison = evaluation.baselines
    if comparison is None:
        return []
    majority, pairs = comparison.majority, ((LOOKUP, comparison.lookup), (SHORTCUTS, comparison.shortcuts))
    if majority is None or comparison.evidence is None:
        missing = missing_evidence(comparison, good_alone=evaluation.normal is not None)
        return [f"Whether the model is better than simple rules cannot be shown: {missing}."]
    beside_rules = [
        f"Beside {rule}, it is better on {pair.better:,} {words.plural} and worse on {pair.worse:,} (p = {pair.p:.2g})."
        for rule, pair in pairs
        if pair
    ]
    return [
        f"Simple rules are compared with the model on {comparison.parts:,} {words.plural} of which no image trained "
        f"({SOURCES[comparison.evidence]}): {comparison.defective_parts:,} defective, {comparison.good_parts:,} good. "
        f"Beside one answer for all, the model ranks defective {words.plural} above good ones (p = {majority.p:.2g}), and an image "
        f"costs {majority.cost:.3f} instead of {majority.constant_cost:.3f}. {' '.join(beside_rules)}"
    ]


def describe_band(low: float, high: float) -> str:
    """Say which probabilities of a defect pass, which are rejected, and which go to a person."""
    if not low:
        return f"No part passes: parts more than {high:.1%} probably defective are rejected, and a person looks at all others."
    return (
        f"Parts less than {format_chance(low)} probably defective pass, those more than {high:.1%} are rejected, and a person looks at "
        "what lies between."
    )


def reviews(evaluation: Evaluation) -> str:
    """Return a table of the causes for which test images go to a person."""
    if not evaluation.review_causes:
        return "No test image goes to a person."
    rows = ((cause, f"{count:,}") for cause, count in evaluation.review_reasons.items())
    return table(("Why test images go to a person", "Images"), rows)
