"""Test section: the test in words and tables: the network's calls, the parts behind them, the decisions and their cost."""

from itertools import starmap

from tasks.evaluation.baseline_rules import missing_evidence
from tasks.records.results import Evaluation, Interval, Score
from tasks.reporting.decision_section import decision_texts, reviews
from tasks.reporting.markdown import code, out_of, table
from tasks.reporting.words import ProductWords
from tasks.settings.settings import EvaluationSettings

LOOKUP = "the label of the most similar training thumbnail"
SHORTCUTS = "brightness, border brightness and sharpness alone"
SOURCES = {
    "test": "from the test",
    "out of fold": "all, out of fold",
    "validation and test": "from validation and test",
}
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
        *decision_texts(evaluation, words),
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
        if pair and not evaluation.normal
    ]
    return [
        f"Simple rules are compared with the model on {comparison.parts:,} {words.plural} of which no image trained "
        f"({SOURCES[comparison.evidence]}): {comparison.defective_parts:,} defective, {comparison.good_parts:,} good. "
        f"Beside one answer for all, the model ranks defective {words.plural} above good ones (p = {majority.p:.2g}), and an image "
        f"costs {majority.cost:.3f} instead of {majority.constant_cost:.3f}. {' '.join(beside_rules)}"
    ]
