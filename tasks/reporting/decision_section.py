"""Decision section: by which limits parts are decided, what the probabilities rest on, and what fewer looks would cost."""

from math import ceil

from tasks.inference.decision import format_chance
from tasks.records.results import Evaluation, Normality
from tasks.reporting.bounds_section import percent
from tasks.reporting.markdown import number_of, out_of, table
from tasks.reporting.words import ProductWords

LEAST_SHARE = 1e-6  # so that no settings ask for a number of parts that nobody can read


def decision_texts(evaluation: Evaluation, words: ProductWords) -> list[str]:
    """Return the paragraphs on the decisions: the limits, what they rest on and cost, and what fewer looks would cost."""
    if evaluation.normal:
        return normal_decisions(evaluation.normal, evaluation, words)
    return [decisions(evaluation), *looks(evaluation)]


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
        f"{chosen} It rests on {number_of(weighed.parts, unit)}, and lies between {weighed.low:.2f} and {weighed.high:.2f} with "
        f"90% confidence. With one of these two temperatures, {out_of(weighed.changed, evaluation.test.images)} test images get another "
        "decision."
        f"{more if weighed.changed else ''}"
    )


def looks(evaluation: Evaluation) -> list[str]:
    """Return a table of what fewer looks of people would cost; nothing where few looks are needed, or where they are limited."""
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
        f"{missing_held_out(normal, words)}",
        f"Nothing here promises that a real defect is found: the limits know good {words.plural} only.",
    ]
    if drawn:
        lines[1] += (
            f" Of {drawn.images:,} good test photographs with one to three drawn blemishes, {drawn.passed:,} pass, {drawn.reviewed:,} go "
            f"to a person and {drawn.rejected:,} are rejected. Real defects can be fainter or larger than drawn ones."
        )
    return lines


def missing_held_out(normal: Normality, words: ProductWords) -> str:
    """Say how many held-out parts are missing for limits that are counted and not estimated; empty where none are."""
    needed = ceil(1 / max(normal.rejected_share, LEAST_SHARE))
    if normal.parts >= needed:
        return ""
    return (
        f"So small a share cannot be counted among {normal.parts:,} {words.plural}, so it is estimated from how their scores spread: "
        f"{needed - normal.parts:,} more held-out good {words.plural} are needed to count it."
    )


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
