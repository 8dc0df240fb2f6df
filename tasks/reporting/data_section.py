"""Dataset: what was found about the images, in words: the leak first, then what a score on them can mean, then the counts."""

from tasks.dataset.corrections import Correction
from tasks.dataset.labels import Corrected
from tasks.records.results import Audit, Evaluation, Origin, Splits, Spread
from tasks.reporting.markdown import code, counts, of, table
from tasks.reporting.run_json import PreTraining, unsettled_keys
from tasks.storage.tables import read_table

SHOWN = 20  # corrections
CLOSE = 0.05  # of accuracy: a rule that looks at no casting scores about as well as the model


def leak(found: PreTraining) -> str | None:
    """Two sentences on what the published split is worth, or None where nothing of the test is known from train."""
    audit, splits = found.audit, found.splits
    ways = []
    if audit.exact_copies_across_splits:
        ways.append(f"{audit.exact_copies_across_splits:,} pairs of files of train and test are equal byte by byte")
    if audit.near_copies_across_splits:
        ways.append(
            f"{audit.near_copies_across_splits:,} more train images are turned, mirrored or re-lit copies of test images"
        )
    if audit.published_test_images_of_trained_castings:
        ways.append(
            f"**{audit.published_test_images_of_trained_castings:,} test images show one of the castings that train shows too**"
        )
    if not ways:
        return None
    kept = (
        f"this run held back {splits.held_back:,} training images for it"
        if splits.held_back
        else "**this run left them in training**"
    )
    return (
        f"**The published split leaks**: {'; '.join(ways)}. A score on it, in this report or in any publication, tells how well "
        f"known castings are recognised again and not how well new ones are judged; {kept} (protocol "
        f"`{found.config.splitting.protocol}`)."
    )


def meaning(audit: Audit, splits: Splits, evaluation: Evaluation) -> str:
    """What a reader may and may not conclude from the figures on this test."""
    accuracy = evaluation.test.accuracy or 0.0
    return "\n\n".join([castings(audit, splits), lookup(splits, accuracy), shortcut(splits, accuracy)])


def castings(audit: Audit, splits: Splits) -> str:
    if audit.castings is None or splits.castings_by_split is None:
        return (
            f"Castings are not told: a ring was found in {of(audit.rings, audit.contents)} different images. The others are grouped by "
            "copies alone, so photographs of one part can lie on both sides of the split, and the accuracy may measure how well "
            "known parts are recognised."
        )
    known, tested = splits.test_images_of_trained_castings or 0, splits.by_split["test"]
    shown = {name.replace("_", " "): count for name, count in splits.castings_by_split.items() if count}
    verdict = (
        "No test image shows a casting that the training saw: the figures are about new castings."
        if not known
        else f"{of(known, tested)} test images show a casting that the training saw: for them the figures are about known castings. "
        "`--protocol grouped` judges by castings never seen."
    )
    mixed = audit.castings_of_two_labels
    return f"The images show **{audit.castings:,} castings** ({counts(shown)}). {verdict}" + (
        f" {mixed:,} of the castings carry both labels." if mixed else ""
    )


def lookup(splits: Splits, accuracy: float) -> str:
    score = splits.lookup_accuracy
    said = (
        f"Calling each test image as the most alike training thumbnail is labelled is right for {score:.1%}, "
        f"the model for {accuracy:.1%}"
    )
    near = ": **most of this score can be had by looking up known pictures**" if accuracy - score < CLOSE else ""
    return f"{said}{near}."


def shortcut(splits: Splits, accuracy: float) -> str:
    probes = splits.shortcuts
    each = ", ".join(
        f"{name} alone {probe.accuracy:.1%}" + ("" if probe.auc is None else f" (AUC {probe.auc:.2f})")
        for name, probe in probes.items()
        if name != "together"
    )
    said = f"Brightness, border brightness and sharpness, without any casting, are right for {probes['together'].accuracy:.1%}: {each}"
    best = max(probe.accuracy for probe in probes.values())
    near = (
        "; **the light nearly tells the class, and the model may have learnt just that**"
        if accuracy - best < CLOSE
        else ""
    )
    return f"{said}{near}."


def data(found: PreTraining) -> str:
    splits, manifest, folder = found.splits, found.manifest, found.folder
    rows = [
        ("Source", code(found.source.name)),
        (
            "Images",
            f"{splits.images:,} accepted, {manifest.quarantined:,} quarantined; in the archive {folder.left_alone:,} other images "
            f"and {folder.junk:,} junk files left alone",
        ),
        ("Classes", counts({code(name): count for name, count in splits.by_class.items()})),
        ("Splits", counts({name.replace("_", " "): count for name, count in splits.by_split.items()})),
        ("Split digest", code(splits.table.sha256[:16])),
    ]
    heads = (
        "Origin",
        "Files",
        "Accepted",
        "Known already",
        "Quarantined",
        "Left, still being written",
        "Size",
        "Brightness",
        "Sharpness",
    )
    return "\n\n".join(filter(None, [
        table(("", ""), rows),
        table(heads, [origin(one, found) for one in manifest.origins]),
        "Brightness is the mean grey level of an image, sharpness the root mean square of the Laplacian of its quarter-size view: "
        "median, and the middle nine tenths.",
        corrections(found),
        label_changes(found),
    ]))  # fmt: skip


def origin(one: Origin, found: PreTraining) -> tuple[str, ...]:
    sizes = [f"{size} ({count:,})" for size, count in list(one.sizes.items())[:2]]
    return (
        code(one.name),
        f"{one.files_found:,}",
        counts({code(name): count for name, count in one.by_class.items()}),
        f"{one.known:,}",
        f"{one.quarantined:,}",
        f"{unsettled_keys(one.name, found.arrivals):,}",
        ", ".join(sizes) + (f" and {len(one.sizes) - 2:,} more sizes" if len(one.sizes) > 2 else ""),
        spread(one.brightness),
        spread(one.sharpness),
    )


def spread(found: Spread | None) -> str:
    return f"{found.median:.0f} ({found.low:.0f} to {found.high:.0f})" if found else ""


def corrections(found: PreTraining) -> str:
    """What the user's corrections did, if there are any."""
    places, unused = found.config.places, found.manifest.corrections_unused
    applied = read_table(found.manifest.corrected.path(places), Corrected)
    rows = [(code(one.origin), code(one.path), code(one.was), code(one.now), code(one.why)) for one in applied[:SHOWN]]
    lines = []
    if applied:
        more = f", of which {SHOWN} are shown" if len(applied) > SHOWN else ""
        heads = ("Origin", "File", "Was", "Is", "Why")
        lines = [f"Corrections of {len(applied):,} files{more}:", table(heads, rows)]
    if unused:
        lines.append(f"{unused:,} corrections are of images that this run does not have.")
    return "\n\n".join(lines)


def label_changes(found: PreTraining) -> str:
    """Return the photographs that came again with another label, if there are any."""
    table_of_changes = found.manifest.label_changes
    changes = read_table(table_of_changes.path(found.config.places), Correction) if table_of_changes else []
    if not changes:
        return ""
    more = f", of which {SHOWN} are shown" if len(changes) > SHOWN else ""
    head = f"{len(changes):,} photographs came again with another label, and the earlier one holds{more}. "
    take = "Where the later one is right, add the line from `label_changes.csv` in the run's folder to `data/corrections.csv`:"
    rows = [(code(change.sha256[:16]), code(change.correction), code(change.why)) for change in changes[:SHOWN]]
    return f"{head}{take}\n\n{table(('Content', 'Later label', 'Files'), rows)}"
