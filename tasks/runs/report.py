"""Report: a list of sections that says what a run found; the web page and the Prefect UI are both made from it (`page`)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.runs.outcome import Outcome
from tasks.runs.records import Figure, Interval, Release, Score


class Section(NamedTuple):
    title: str
    markdown: str
    figures: tuple[Figure, ...] = ()


def sections(outcome: Outcome) -> list[Section]:
    """What a reader needs, the most important first."""
    named = {figure.name: figure for figure in outcome.figures.figures}
    return [
        Section("Result", result(outcome)),
        Section("What the figures mean", meaning(outcome)),
        Section("Data", data(outcome), (named["samples"],)),
        Section("Learning", training(outcome), (named["learning"],)),
        Section("Test", judged(outcome), (named["confusion"], named["mistakes"])),
        Section("Run", run(outcome)),
    ]


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


def meaning(outcome: Outcome) -> str:
    """What a reader may and may not conclude."""
    audit, splits = outcome.audit, outcome.splits
    lines = []
    if copies := audit.exact_copies_across_splits:
        fate = (
            f"{splits.held_back:,} training images were held back for it"
            if splits.held_back
            else "they were **left in training**"
        )
        lines.append(
            f"**The published split leaks**: {copies:,} pairs of byte-identical files lie across train and test; "
            f"{fate} (protocol `{outcome.config.splitting.protocol}`)."
        )
    else:
        lines.append("No file of the test lies byte for byte in train.")
    if audit.castings is None:
        lines.append(
            "Which photographs show one and the same casting was not looked into. Where they do, on both sides of the split, "
            "the accuracy measures how well known parts are recognised, not how well new ones are judged."
        )
    return "\n\n".join(lines)


def data(outcome: Outcome) -> str:
    splits = outcome.splits
    rows = [
        ("Source", code(outcome.source.name)),
        (
            "Images",
            f"{splits.images:,} accepted, {outcome.manifest.quarantined:,} quarantined; "
            f"{outcome.folder.left_alone:,} others in the archive left alone",
        ),
        *(
            (label, counts(values))
            for label, values in [
                ("Classes", {code(name): count for name, count in splits.by_class.items()}),
                ("Splits", {name.replace("_", " "): count for name, count in splits.by_split.items()}),
                ("Origins", {code(name): count for name, count in splits.by_origin.items()}),
            ]
        ),
        ("Split digest", f"`{splits.table.sha256[:16]}`"),
    ]
    return table(("", ""), rows)


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


def of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"


def counts(values: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in values.items())


def code(text: str) -> str:
    """A name from outside as Markdown code, in which nothing is markup."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
