"""Data section: the images of a run in words: the leak first, then what a score on them can mean, then the counts."""

from collections.abc import Sequence

from tasks.dataset.corrections import Correction
from tasks.dataset.labels import Corrected
from tasks.records.results import Audit, Evaluation, Origin, Splits, Spread
from tasks.reporting.markdown import code, counts, out_of, table
from tasks.reporting.run_json import PreTraining, count_unsettled
from tasks.reporting.words import ProductWords
from tasks.sources.folder import shorten
from tasks.storage.tables import read_table

MAX_LISTED = 20  # corrections, and label changes
ORIGIN_HEADS = (
    "Origin", "Files", "Accepted", "Known already", "Quarantined", "Left, still being written", "Size", "Brightness", "Sharpness",
)  # fmt: skip
# Of accuracy: with a smaller difference, a rule that looks at no part scores about as well as the model.
MIN_GAIN = 0.05


def leak(records: PreTraining) -> str | None:
    """Say in two sentences how the published split leaks; None where train knows nothing of the published test."""
    audit, splits = records.audit, records.splits
    equal, changed = audit.exact_copies_across_splits, audit.near_copies_across_splits
    shared = audit.published_test_images_of_trained_castings or 0
    counted = (
        (equal, f"{equal:,} pairs of files of train and test are equal byte by byte"),
        (changed, f"{changed:,} more train images are turned, mirrored or re-lit copies of test images"),
        (shared, f"**{shared:,} test images show one of the {records.words.plural} that train shows too**"),
    )
    ways = [way for count, way in counted if count]
    if not ways:
        return None
    consequence = (
        f"this run held back {splits.held_back:,} training images for it"
        if splits.held_back
        else "**this run left them in training**"
    )
    return (
        f"**The published split leaks**: {'; '.join(ways)}. A score on it, in this report or in any publication, tells how well "
        f"known {records.words.plural} are recognized again and not how well new ones are judged; {consequence} (protocol "
        f"`{records.config.splitting.protocol}`)."
    )


def meaning(audit: Audit, splits: Splits, evaluation: Evaluation, words: ProductWords) -> str:
    """Say what a reader may and may not conclude from the figures on this test."""
    accuracy = evaluation.test.accuracy or 0.0
    paragraphs = [castings(audit, splits, words)]
    if not evaluation.normal:  # where good parts alone train, simple rules call everything good
        paragraphs += [lookup(splits, accuracy), shortcut(splits, accuracy, words)]
    return "\n\n".join(filter(None, paragraphs))


def unknown_parts(audit: Audit, splits: Splits) -> str | None:
    """Say that nothing is known about parts, and what that means for the figures; None where parts are known."""
    if splits.castings_by_split is not None:
        return None
    return (
        "**Nothing is known about which photographs show one part, so the figures are optimistic**: photographs of one part can train and "
        f"test, and then the test tells how well known parts are recognized. {out_of(audit.rings, audit.contents)} different images show "
        "a ring, and local detail finds partners for too few. Name the parts with `--parts`, by a pattern on the paths or by a table."
    )


def castings(audit: Audit, splits: Splits, words: ProductWords) -> str:
    """Say how many parts each split shows, and whether the training saw those of the test; "" where parts are not known."""
    if audit.castings is None or splits.castings_by_split is None:
        return ""
    trained, tested = splits.test_images_of_trained_castings or 0, splits.by_split["test"]
    by_split = {name.replace("_", " "): count for name, count in splits.castings_by_split.items() if count}
    verdict = (
        f"The test images show no {words.singular} that the training saw: the figures are about new {words.plural}."
        if not trained
        else f"{out_of(trained, tested)} test images show {words.plural} that the training saw: for them the figures are about known "
        f"{words.plural}. `--protocol grouped` judges by {words.plural} never seen."
    )
    mixed = (
        f" {audit.castings_of_two_labels:,} of the {words.plural} carry both labels."
        if audit.castings_of_two_labels
        else ""
    )
    by = f", known by their {audit.parts_by}" if audit.parts_by else ""
    return f"The images show **{audit.castings:,} {words.plural}**{by} ({counts(by_split)}). {verdict}{mixed}"


def lookup(splits: Splits, accuracy: float) -> str:
    """Compare the model with a baseline that copies the label of the most similar training thumbnail."""
    score = splits.lookup_accuracy
    near = ": **most of this score can be had by looking up known pictures**" if accuracy - score < MIN_GAIN else ""
    return (
        f"Calling each test image as the most alike training thumbnail is labeled is right for {score:.1%}, "
        f"the model for {accuracy:.1%}{near}."
    )


def shortcut(splits: Splits, accuracy: float, words: ProductWords) -> str:
    """Compare the model with rules that see the light and the sharpness of an image alone."""
    probes = splits.shortcuts
    each = ", ".join(
        f"{name} alone {probe.accuracy:.1%}" + ("" if probe.auc is None else f" (AUC {probe.auc:.2f})")
        for name, probe in probes.items()
        if name != "together"
    )
    is_near = accuracy - max(probe.accuracy for probe in probes.values()) < MIN_GAIN
    near = "; **the light nearly tells the class, and the model may have learned just that**" if is_near else ""
    together = probes["together"].accuracy
    return f"Brightness, border brightness and sharpness, without any {words.singular}, are right for {together:.1%}: {each}{near}."


def data(records: PreTraining) -> str:
    """Return the tables of the images: counts, origins, corrections and label changes."""
    splits, manifest, folder = records.splits, records.manifest, records.folder
    rows = [
        ("Source", code(records.source.name)),
        ("Layout", folder.layout),
        (
            "Images",
            f"{splits.images:,} accepted, {manifest.quarantined:,} quarantined; in the archive {folder.left_alone:,} other images "
            f"and {folder.junk:,} junk files left alone",
        ),
        ("Classes", counts({code(name): count for name, count in splits.by_class.items()})),
        ("Splits", counts({name.replace("_", " "): count for name, count in splits.by_split.items()})),
        ("Split digest", code(splits.table.sha256[:16])),
    ]
    if left_out := dict.fromkeys((*records.source.left_out, *folder.left_out)):
        rows.append(("Left out", "; ".join(shorten(list(left_out)))))
    return "\n\n".join(filter(None, [
        table(("", ""), rows),
        table(ORIGIN_HEADS, [origin(row, records) for row in manifest.origins]),
        "Brightness is the mean gray level of an image, sharpness the root mean square of the Laplacian of its quarter-size view: "
        "median, and the middle nine tenths.",
        corrections(records),
        label_changes(records),
    ]))  # fmt: skip


def origin(brought: Origin, records: PreTraining) -> tuple[str, ...]:
    """Return the cells of one origin."""
    first, more = [f"{size} ({count:,})" for size, count in brought.sizes.items()][:2], len(brought.sizes) - 2
    return (
        code(brought.name),
        f"{brought.files_found:,}",
        counts({code(name): count for name, count in brought.by_class.items()}),
        f"{brought.known:,}",
        f"{brought.quarantined:,}",
        f"{count_unsettled(brought.name, records.arrivals):,}",
        ", ".join(first) + (f" and {more:,} more sizes" if more > 0 else ""),
        spread(brought.brightness),
        spread(brought.sharpness),
    )


def spread(quantiles: Spread | None) -> str:
    """Return the median, and the 5 % and 95 % quantiles, as a cell; empty for None."""
    return f"{quantiles.median:.0f} ({quantiles.low:.0f} to {quantiles.high:.0f})" if quantiles else ""


def corrections(records: PreTraining) -> str:
    """Say which of the user's corrections applied, and how many did not; empty where there are none."""
    places, unused = records.config.places, records.manifest.corrections_unused
    applied = read_table(records.manifest.corrected.path(places), Corrected)
    rows = [
        (code(row.origin), code(row.path), code(row.was), code(row.now), code(row.why)) for row in applied[:MAX_LISTED]
    ]
    listed = (
        f"Corrections of {len(applied):,} files{which_are_shown(applied)}:",
        table(("Origin", "File", "Was", "Is", "Why"), rows),
    )
    left = f"{unused:,} corrections are of images that this run does not have."
    return "\n\n".join([*(listed if applied else ()), *([left] if unused else ())])


def label_changes(records: PreTraining) -> str:
    """List the photographs that came again with another label; empty where there are none."""
    table_of_changes = records.manifest.label_changes
    changes = read_table(table_of_changes.path(records.config.places), Correction) if table_of_changes else []
    if not changes:
        return ""
    head = f"{len(changes):,} photographs came again with another label, and the earlier one holds{which_are_shown(changes)}."
    take = "Where the later one is right, add the line from `label_changes.csv` in the run's folder to `data/corrections.csv`:"
    rows = [(code(change.sha256[:16]), code(change.correction), code(change.why)) for change in changes[:MAX_LISTED]]
    return f"{head} {take}\n\n{table(('Content', 'Later label', 'Files'), rows)}"


def which_are_shown(rows: Sequence[object]) -> str:
    """Say how many rows are listed; empty where all are."""
    return f", of which {MAX_LISTED} are shown" if len(rows) > MAX_LISTED else ""
