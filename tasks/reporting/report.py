"""Report: the sections that say what a run found. `html` makes the web page and the text for the Prefect UI from them."""

from typing import NamedTuple

from tasks.records.results import Figure, Release, Rule
from tasks.records.rows import Suspect
from tasks.reporting import bounds_section, crossfit_section, data_section, suspects_section, test_section
from tasks.reporting.markdown import bold, code, link, out_of, table
from tasks.reporting.production_section import production_section
from tasks.reporting.run_json import PreTraining, RunResult
from tasks.reporting.training_section import training_section
from tasks.settings.escaping import for_markdown
from tasks.storage.tables import read_table
from tasks.tracking import runs

LEAK = "What a score on these images is worth"


class Drawing(NamedTuple):
    """A picture that is made with the report: its title, its caption and its SVG."""

    title: str
    caption: str
    svg: str


class Section(NamedTuple):
    """A part of a report: its title, its text as Markdown, and the pictures below it."""

    title: str
    markdown: str
    figures: tuple[Figure, ...] = ()
    drawings: tuple[Drawing, ...] = ()

    @property
    def pictures(self) -> tuple[Drawing | Figure, ...]:
        """Return all pictures of the section, in the order in which they are shown."""
        return (*self.drawings, *self.figures)


def sections(outcome: RunResult) -> list[Section]:
    """Return the sections of a report, the most important first."""
    named = {figure.name: figure for figure in outcome.figures.figures}

    def figures(*names: str) -> tuple[Figure, ...]:
        return tuple(named[name] for name in names if name in named)  # most data sets have no copies to show

    leak = data_section.leak(outcome)
    return [
        *unknown_parts(outcome),
        *([Section(LEAK, leak, figures("leak"))] if leak else []),
        Section("Result", result(outcome)),
        what_is_shown(outcome),
        *all_parts(outcome),
        Section(
            "What the figures mean",
            data_section.meaning(outcome.audit, outcome.splits, outcome.evaluation, outcome.words),
        ),
        Section("Data", data_section.data(outcome), figures("samples", "copies", "castings", "shared", "mixed")),
        Section("Learning", training_section(outcome), figures("crops", "learning")),
        Section(
            "Test",
            test_section.test(outcome.evaluation, outcome.config.evaluation, outcome.words),
            figures("confusion", "mistakes", "reviews", "found"),
        ),
        Section("Rules of release", rules(outcome.release)),
        *([Section("At the stations", stations)] if (stations := production_section(outcome.production)) else []),
        Section("Run", run(outcome)),
    ]


def what_is_shown(outcome: RunResult) -> Section:
    """Return the section on what the test shows, with its chart."""
    inputs = outcome.evaluation, outcome.config.evaluation, outcome.config.acceptance
    confidence = bounds_section.confidence_of(*inputs[1:])
    caption = (
        f"Dots are what was found, bars reach to what is shown with {confidence:.0%} confidence, red lines are the limits. A green bar "
        "ends before its limit."
    )
    svg = bounds_section.chart(*inputs)
    drawings = (Drawing("Found, shown and allowed", caption, svg),) if svg else ()
    trained = outcome.splits.test_images_of_trained_castings
    caution = (
        f"\n\n{out_of(trained, outcome.evaluation.test.images)} test images show {outcome.words.plural} that train too: the bounds are "
        f"about such {outcome.words.plural}, and new ones may fail more often."
        if trained
        else ""
    )
    if outcome.evaluation.crossfit:
        caution += (
            "\n\nThe parts of the test helped to calibrate the decisions, so these can be a little too good on the test. "
            "The next section rests on all parts."
        )
    return Section("What the test shows", bounds_section.bounds(*inputs) + caution, drawings=drawings)


def all_parts(outcome: RunResult) -> list[Section]:
    """Return the sections on all parts, judged out of fold, and on their labels; none where no folds were asked for."""
    if not outcome.evaluation.crossfit or not outcome.out_of_fold:
        return []
    result, places = outcome.evaluation.crossfit, outcome.config.places
    inputs = result, outcome.out_of_fold, outcome.config.evaluation, outcome.config.acceptance
    suspects = suspects_section.suspects_section(
        read_table(result.suspects.path(places), Suspect), outcome.audit.contents
    )
    pictures = tuple(figure for figure in outcome.figures.figures if figure.name == "suspects")
    return [
        Section("Judged on all parts", crossfit_section.crossfit(*inputs)),
        Section("Labels that look wrong", suspects, pictures),
    ]


def before_training(records: PreTraining) -> list[Section]:
    """Return the sections on the images, as they are known before any training."""
    leak = data_section.leak(records)
    castings = data_section.castings(records.audit, records.splits, records.words)
    data = "\n\n".join(filter(None, [castings, data_section.data(records)]))
    return [*unknown_parts(records), *([Section(LEAK, leak)] if leak else []), Section("Data", data)]


def unknown_parts(records: PreTraining) -> list[Section]:
    """Return the section that nothing is known about parts; none where parts are known."""
    text = data_section.unknown_parts(records.audit, records.splits)
    return [Section("Parts are not known", text)] if text else []


def result(outcome: RunResult) -> str:
    """Say whether the model came into use and why, and how many test images it calls rightly."""
    release, test = outcome.release, outcome.evaluation.test
    earlier = (
        ""
        if release.decided_in == outcome.run_id
        else f" Decided in run {code(release.decided_in)}; nothing has changed since."
    )
    return (
        f"**{headline(release)}**: {for_markdown(release.reason)}.{earlier}\n\n"
        f"The model `{outcome.model.name}` calls **{test.accuracy:.2%}** of {test.images:,} test images rightly. "
        f"It misses {out_of(test.missed_defects, test.defects)} defects and refuses {out_of(test.false_rejects, test.good)} good parts."
    )


def headline(release: Release) -> str:
    """Return the verdict in a few words, with the number of the version."""
    in_use = f"version {release.version} stays in use" if release.version else "no model is in use"
    headlines = {
        "waiting": f"Version {release.version} waits for a person's answer",
        "promoted": f"Promoted as version {release.version}",
        "kept": f"Not promoted, {in_use}",
    }
    return headlines[release.verdict]


def rules(release: Release) -> str:
    """Return the table of the rules of release, in their order."""
    # The column that says which rule was broken stands first: Prefect's page cuts a wide table off on the right.
    rows = [(rule_state(rule), rule.name, rule.figure, rule.limit) for rule in release.rules]
    return table(("", "Rule", "Found", "Allowed"), rows)


def rule_state(rule: Rule) -> str:
    """Say whether a rule is kept, or that a person decides."""
    return "kept" if rule.kept else bold("a person decides" if rule.for_person else "broken")


def run(outcome: RunResult) -> str:
    """Say how long the run and each of its steps took, and where its model is; with the summary of the network."""
    steps = [
        (name, "remembered" if time["cached"] else "made", f"{time['seconds']:.1f} s")
        for name, time in outcome.times.items()
    ]
    tracked = outcome.release.tracked
    page = runs.page_of(tracked, outcome.config.places) if tracked else ""
    linked = f"{link('Its page in MLflow', page)}. " if page else ""
    return (
        f"`{outcome.run_id}`, {outcome.wall_seconds:.0f} s. "
        f"{linked}Model folder `{outcome.exports.digest[:16]}`, weights `{outcome.model.weights_sha256[:16]}`.\n\n"
        f"{table(('Step', '', 'Time'), steps)}\n\n```\n{outcome.model.summary}\n```"
    )
