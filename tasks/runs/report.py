"""Report: a list of sections that says what a run found; the web page and the Prefect UI are both made from it (`page`)."""

from typing import NamedTuple

from tasks.runs import dataset
from tasks.runs.markdown import code, of, table
from tasks.runs.outcome import Found, Outcome
from tasks.runs.records import Figure, Interval, Release, Score

LEAK = "What a score on these images is worth"


class Section(NamedTuple):
    title: str
    markdown: str
    figures: tuple[Figure, ...] = ()


def sections(outcome: Outcome) -> list[Section]:
    """What a reader needs, the most important first."""
    named = {figure.name: figure for figure in outcome.figures.figures}

    def figures(*names: str) -> tuple[Figure, ...]:
        return tuple(named[name] for name in names if name in named)  # there are no copies to be seen in most data sets

    leak = dataset.leak(outcome)
    return [
        *([Section(LEAK, leak, figures("leak"))] if leak else []),
        Section("Result", result(outcome)),
        Section("What the figures mean", dataset.meaning(outcome)),
        Section("Data", dataset.data(outcome), figures("samples", "copies", "castings", "shared", "mixed")),
        Section("Learning", training(outcome), figures("learning")),
        Section("Test", judged(outcome), figures("confusion", "mistakes")),
        Section("Run", run(outcome)),
    ]


def before_training(found: Found) -> list[Section]:
    """What is known of the images before any training."""
    leak = dataset.leak(found)
    data = f"{dataset.castings(found)}\n\n{dataset.data(found)}"
    return [*([Section(LEAK, leak)] if leak else []), Section("Data", data)]


def result(outcome: Outcome) -> str:
    release, test = outcome.release, outcome.evaluation.test
    earlier = (
        ""
        if release.decided_in == outcome.run_id
        else f" Decided in run `{release.decided_in}`; nothing has changed since."
    )
    return "\n\n".join(
        [
            f"**{headline(release)}**: {release.reason}.{earlier}",
            f"The model `{outcome.model.name}` calls **{test.accuracy:.2%}** of {test.images:,} test images rightly. "
            f"It misses {of(test.missed_defects, test.defects)} defects and refuses {of(test.false_rejects, test.good)} good parts.",
        ]
    )


def headline(release: Release) -> str:
    if release.verdict == "promoted":
        return f"Promoted as version {release.version}"
    return (
        f"Not promoted, version {release.version} stays in use"
        if release.version
        else "Not promoted, no model is in use"
    )


def training(outcome: Outcome) -> str:
    model = outcome.model
    return (
        f"`{model.name}`, {model.parameters:,} parameters, sees {model.image_size} x {model.image_size} pixels. "
        f"{len(model.history)} epochs over {model.images:,} images took {model.wall_seconds:.0f} s ({model.cpu_seconds:.0f} CPU seconds, "
        f"{model.images_per_second:,.0f} images a second) on {model.device}."
    )


def judged(outcome: Outcome) -> str:
    """The test in all and by origin: n of N, rate and exact interval."""
    evaluation = outcome.evaluation
    level = f"{outcome.config.evaluation.confidence:.0%}"
    rows = [
        scored("all", evaluation.test),
        *(scored(code(origin), score) for origin, score in evaluation.slices.items() if len(evaluation.slices) > 1),
    ]
    heads = (
        "Origin",
        "Accuracy",
        "AUC",
        f"Defects missed ({level} interval)",
        f"Good parts refused ({level} interval)",
    )
    band = evaluation.review_band
    review = f"between {band[0]:.1%} and {band[1]:.1%} a person looks" if band else "there is no review band"
    return (
        f"{table(heads, rows)}\n\nIntervals are exact (Clopper-Pearson) over images. "
        f"Parts at least {evaluation.threshold:.0%} probably defective are rejected; {review}."
    )


def scored(name: str, score: Score) -> tuple[str, ...]:
    def rate(count: int, total: int, share: float | None, interval: Interval | None) -> str:
        return (
            f"{of(count, total)}: {share:.2%} ({interval.low:.2%} to {interval.high:.2%})"
            if share is not None and interval
            else of(count, total)
        )

    return (
        name,
        f"{score.accuracy:.2%} of {score.images:,}",
        "" if score.auc is None else f"{score.auc:.4f}",
        rate(score.missed_defects, score.defects, score.escape_rate, score.escape_rate_interval),
        rate(score.false_rejects, score.good, score.false_reject_rate, score.false_reject_rate_interval),
    )


def run(outcome: Outcome) -> str:
    steps = [
        (name, "remembered" if time["cached"] else "made", f"{time['seconds']:.1f} s")
        for name, time in outcome.times.items()
    ]
    return (
        f"`{outcome.run_id}`, {outcome.wall_seconds:.0f} s. "
        f"Model folder `{outcome.exports.digest[:16]}`, weights `{outcome.model.weights_sha256[:16]}`.\n\n"
        f"{table(('Step', '', 'Time'), steps)}\n\n```\n{outcome.model.summary}\n```"
    )
