"""Bounds section: what the test shows about parts in general, with which confidence, and how many parts are missing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.evaluation.intervals import bound_of, more_parts
from tasks.records.results import Decided, Evaluation, Guarantee, Rate, Score
from tasks.reporting.markdown import code, number_of, table
from tasks.reporting.rate_chart import RateBar, rate_chart
from tasks.settings.settings import AcceptanceSettings, EvaluationSettings

BY_PART = (
    "A part is counted if one of its photographs escaped, was rejected or went to a person. A rate is over photographs, its bound over "
    "parts, since photographs of one part are decided alike."
)
BY_PHOTOGRAPH = (
    "Which photographs show one part is not known, so each counts as a part of its own, and the bounds may be too low."
)
FOUND_COUNTS = (
    "The rules of release compare what was found with their limits: found, not shown. With `--acceptance.confidence 0.95` they compare "
    "the bounds."
)
PASSED_PART = "A part counts as passed if one of its photographs passes."
PASSED_PHOTOGRAPH = (
    "Which photographs show one part is not known, so each counts as a part, together with its copies. The promise may not hold by "
    "part."
)
COVERED = "It covers parts like these, and no origin that was not among them: images unlike these go to a person."
LONGEST = 18  # letters of an origin in the chart
BOUND_COUNTS = "The rules of release compare these bounds with their limits, at {confidence} confidence."


class Question(NamedTuple):
    """One rate that a test may show to be within its limit."""

    key: str
    """Field of `Decided`."""
    subject: str
    """What the parts are, before the word `part`."""
    verb: str
    event: str
    """What happened, as a noun with its article."""
    limit: float

    def rate(self, decided: Decided) -> Rate:
        """Return the rate that the question is about."""
        rate: Rate = getattr(decided, self.key)
        return rate


def questions(acceptance: AcceptanceSettings) -> tuple[Question, ...]:
    """Return the questions about escapes, false rejects and reviews, each with its limit."""
    return (
        Question("escape", "defective ", "escaped", "an escape", acceptance.max_escape_rate),
        Question("false_reject", "good ", "were rejected", "a false reject", acceptance.max_false_reject_rate),
        Question("review", "", "went to a person", "a review", acceptance.max_review_rate),
    )


def bounds(evaluation: Evaluation, settings: EvaluationSettings, acceptance: AcceptanceSettings) -> str:
    """Say what the test shows: a sentence a rate, what is promised, what the rules of release compare, and each rate by origin."""
    topics, confidence = questions(acceptance), confidence_of(settings, acceptance)
    decided = evaluation.test.decided
    unit = BY_PART if decided.by_part else BY_PHOTOGRAPH
    rules = BOUND_COUNTS.format(confidence=f"{confidence:.0%}") if acceptance.confidence else FOUND_COUNTS
    lines = sentences(decided, topics, confidence)
    promise = [describe_guarantee(evaluation.guarantee)] if evaluation.guarantee else []
    return "\n\n".join([lines, *promise, f"{unit} {rules}", *by_origin(evaluation.slices, topics, confidence)])


def sentences(decided: Decided, topics: Sequence[Question], confidence: float) -> str:
    """Return a list with a sentence for each question."""
    return "\n".join(f"- {sentence(question, decided, confidence)}" for question in topics)


def describe_guarantee(guarantee: Guarantee) -> str:
    """Say what is promised about defective parts that pass, or why nothing passes, and whom that covers."""
    meaning = f" {PASSED_PART if guarantee.by_part else PASSED_PHOTOGRAPH} {COVERED}"
    return f"{guarantee.summary()}.{'' if guarantee.missing else meaning}"


def confidence_of(settings: EvaluationSettings, acceptance: AcceptanceSettings) -> float:
    """Return the confidence of what is shown: that of the rules of release, or else that of the figures."""
    return acceptance.confidence or settings.confidence


def sentence(question: Question, decided: Decided, confidence: float) -> str:
    """Return what was found, what that shows, and what is missing to show the limit."""
    rate, unit = question.rate(decided), "part" if decided.by_part else "photograph"
    if not rate.parts or rate.rate is None:
        return f"No {question.subject}{unit} was tested, so nothing is shown about {question.event}."
    found = f"{rate.parts_with:,} of {number_of(rate.parts, f'{question.subject}{unit}')} {question.verb}"
    if rate.count and decided.by_part:
        found += f", {rate.count:,} of {number_of(rate.total, 'photograph')} ({rate.rate:.1%})"
    bound = bound_of(rate, confidence)
    showing = (
        f"{found}: the rate is {'below ' if bound < 1 else 'at most '}{bound:.1%} with {confidence:.0%} confidence"
    )
    if bound <= question.limit:
        return f"{showing}. {percent(question.limit)} is shown."
    return f"{showing}. {missing(question, rate, unit, confidence)}"


def missing(question: Question, rate: Rate, unit: str, confidence: float) -> str:
    """Say how many parts are needed to show the limit, and how many that are more."""
    more = more_parts(rate, question.limit, confidence)
    if more is None:
        return f"No number of {question.subject}{unit}s can show {percent(question.limit)}."
    without = question.event if not rate.count else question.event.replace("an ", "another ").replace("a ", "another ")
    return (
        f"To show {percent(question.limit)}, {number_of(rate.parts + more, f'{question.subject}{unit}')} without {without} are needed: "
        f"{more:,} more."
    )


def chart(evaluation: Evaluation, settings: EvaluationSettings, acceptance: AcceptanceSettings) -> str:
    """Return the chart of the three rates, in all and by origin, as SVG; empty where nothing was tested."""
    confidence = confidence_of(settings, acceptance)
    origins = evaluation.slices if len(evaluation.slices) > 1 else {}
    scores = {"": evaluation.test, **{f", {clip(origin)}": score for origin, score in origins.items()}}
    bars = [
        RateBar(
            f"{question.subject}parts that {question.verb}{name}",
            rate.rate or 0.0,
            bound_of(rate, confidence),
            question.limit,
        )
        for question in questions(acceptance)
        for name, score in scores.items()
        for rate in [question.rate(score.decided)]
        if rate.parts
    ]
    return rate_chart(bars) if bars else ""


def clip(origin: str) -> str:
    """Return the beginning of a name that is too long for the chart."""
    return origin if len(origin) <= LONGEST else f"{origin[: LONGEST - 1]}…"


def by_origin(slices: Mapping[str, Score], topics: Sequence[Question], confidence: float) -> list[str]:
    """Return the table of bounds by origin; nothing where there is one origin."""
    if len(slices) < 2:
        return []
    heads = ("Origin", *(f"{question.subject}parts that {question.verb}".capitalize() for question in topics))
    rows = [
        (code(origin), *(cell(question.rate(score.decided), confidence) for question in topics))
        for origin, score in slices.items()
    ]
    return [table(heads, rows)]


def cell(rate: Rate, confidence: float) -> str:
    """Return the parts that failed, of how many, and the bound."""
    return (
        f"{rate.parts_with:,} of {rate.parts:,}: below {bound_of(rate, confidence):.1%}"
        if rate.parts
        else "none tested"
    )


def percent(share: float) -> str:
    """Return a limit as people write it: `5%`, `0.5%`."""
    return f"{100 * share:.3g}%"
