"""Model card: `README.md` in a model's folder: what the model is, where it came from, what it can do and where it fails.

It has the front matter of Hugging Face model cards, so that their tools read it too.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tasks.images.crops import describe_crop
from tasks.images.views import describe
from tasks.inference.decision import DecisionRule
from tasks.records.results import Audit, Evaluation, Format, Manifest, Model, Score, Splits
from tasks.records.rows import Prediction
from tasks.reporting import bounds_section, data_section, test_section
from tasks.reporting.markdown import code, counts, number_of, out_of, table
from tasks.reporting.template_files import load_template
from tasks.reporting.words import PART, ProductWords, capitalized
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.settings import EvaluationSettings, model_suffix

MAX_PARTS = 12  # parts that are listed
TAGS = ("visual-inspection", "defect-detection", "recast")
CARD = load_template("templates/model_card.md")
IMAGENET = (
    " The first weights of all, but for the last layer, are those of EfficientNetV2B0 in `keras.applications` (Apache License 2.0), "
    "which learned from the photographs of ImageNet."
)


class Subject(NamedTuple):
    """What a card is about."""

    manifest: Manifest
    audit: Audit
    splits: Splits
    model: Model
    evaluation: Evaluation
    costs: EvaluationSettings
    words: ProductWords


class FolderContent(NamedTuple):
    """What the folder of the model holds, as far as the card shows it."""

    rule: DecisionRule
    test: Sequence[Prediction]
    formats: Mapping[str, Format]
    digest: str


def card(subject: Subject, evidence: FolderContent) -> str:
    """Return the card as Markdown: front matter, title, and a section each from use to license."""
    audit, splits, evaluation = subject.audit, subject.splits, subject.evaluation
    rule, test, formats, digest = evidence
    return CARD.render(
        front_matter=yaml.safe_dump(front_matter(subject), sort_keys=False, allow_unicode=True),
        model=subject.model.name,
        defect=code(rule.classes.defect),
        good=code(rule.classes.good),
        digest=digest,
        test=test_section.test(evaluation, subject.costs, subject.words),
        limits=limits(rule, subject.costs),
        meaning=data_section.meaning(audit, splits, evaluation, subject.words),
        failures=failures(test, rule, subject.words),
        images=images(subject),
        training=training(subject.model),
        formats=formats_table(formats),
        published=subject.words.published,
    )


def without_front_matter(card: str) -> str:
    """Return the part of a card that people read."""
    return re.split(r"^---$\n", card, maxsplit=2, flags=re.MULTILINE)[2]


def front_matter(subject: Subject) -> dict[str, Any]:
    """Return the part of a card that machines read: https://huggingface.co/docs/hub/model-cards."""
    slices = subject.evaluation.slices
    scores = {"all": subject.evaluation.test, **(slices if len(slices) > 1 else {})}
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": f"test, {for_terminal(origin)}", "type": "imagefolder", "split": "test"},
            "metrics": metrics(score),
        }
        for origin, score in scores.items()
    ]
    return {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "license": "other",
        "license_name": "as-the-training-images",
        "tags": [*TAGS, *([] if subject.words.singular == PART else [model_suffix(subject.words.singular)])],
        "metrics": ["accuracy", "roc_auc"],
        "model-index": [{"name": subject.model.name, "results": results}],
    }


def metrics(score: Score) -> list[dict[str, Any]]:
    """Return the figures of a score for the front matter, rounded to 6 digits; one that is None is left out."""
    named = {
        "accuracy": (score.accuracy, "accuracy at the likelier class"),
        "roc_auc": (score.auc, "area under the ROC curve"),
        "escape_rate": (score.escape_rate, "share of defects called good"),
        "false_reject_rate": (score.false_reject_rate, "share of good parts called defective"),
    }
    return [
        {"type": kind, "value": round(value, 6), "name": name}
        for kind, (value, name) in named.items()
        if value is not None
    ]


def limits(rule: DecisionRule, costs: EvaluationSettings) -> str:
    """Say for which costs the limits were chosen, and which parts go to a person whatever their probability."""
    known = {"how the picture looks": rule.picture_clouds, "what the network sees in it": filter(None, [rule.features])}
    outlier_limits = {what: [f"{cloud.limit:.2f}" for cloud in clouds] for what, clouds in known.items()}
    residual = rule.max_residual
    unlike = [
        *(
            f"{what} is more than {distances[0]} from what was learned"
            if len(distances) == 1
            else f"{what} is beyond the limit of every origin ({', '.join(distances)})"
            for what, distances in outlier_limits.items()
            if distances
        ),
        *([] if residual is None else [f"its rim is more than {residual:.2%} off an ellipse"]),
    ]  # fmt: skip
    strange = (
        f" Whatever the {'score' if rule.normal else 'probability'}, a person looks at a part where {', or '.join(unlike)}."
        if unlike
        else ""
    )
    promise = f"\n\n{bounds_section.describe_guarantee(rule.guarantee)}" if rule.guarantee else ""
    origin = (
        "The limits of the anomaly score follow from held-out good parts."
        if rule.normal
        else f"The limits of probability follow from costs of {costs.escape_cost:g} for a defect that passes, "
        f"{costs.false_reject_cost:g} for a good part that is rejected and {costs.review_cost:g} for a look"
        f"{'' if costs.max_review_share is None else f', and from looks at {costs.max_review_share:.0%} of the images at most'}."
    )
    return f"{origin}{strange}{promise}"


def failures(test: Sequence[Prediction], rule: DecisionRule, words: ProductWords) -> str:
    """List the parts with wrongly decided test images, the worst first. An image without a group counts as a part."""
    by_part = defaultdict(list)
    for prediction in test:
        by_part[prediction.origin, prediction.group or prediction.sha256].append(prediction)
    rows = []
    for (origin, group), predictions in by_part.items():
        passed = sum(image.decision == "pass" and image.label == rule.classes.defect for image in predictions)
        rejected = sum(image.decision == "reject" and image.label == rule.classes.good for image in predictions)
        reviewed = sum(image.decision == "review" for image in predictions)
        rows.append((passed, rejected, reviewed, code(origin), code(group[:12]), len(predictions)))
    wrong = sorted((row for row in rows if row[0] or row[1]), reverse=True)
    if not wrong:
        return f"No test image of {len(rows):,} {words.plural} is decided wrongly without a person; that is no promise for others."
    heads = (
        capitalized(words.singular),
        "Origin",
        "Test images",
        "Defects passed",
        "Good parts rejected",
        "For a person",
    )
    cells = [(group, origin, *map(str, (n, p, r, v))) for p, r, v, origin, group, n in wrong[:MAX_PARTS]]
    more = f" {MAX_PARTS} are shown." if len(wrong) > MAX_PARTS else ""
    counted = f"Of {len(rows):,} {words.plural} in the test, images of {len(wrong):,} are decided wrongly.{more}"
    return f"{counted}\n\n{table(heads, cells)}"


def images(subject: Subject) -> str:
    """Return the table of the images of training and test. By its digests a reader sees whether another data set is the same."""
    splits, manifest, audit = subject.splits, subject.manifest, subject.audit
    return table(("", ""), [
        ("Images", f"{splits.images:,} accepted, {manifest.quarantined:,} refused"),
        ("Classes", counts({code(name): count for name, count in splits.by_class.items()})),
        ("Origins", counts({code(name): count for name, count in splits.by_origin.items()})),
        ("Splits", counts({name.replace("_", " "): count for name, count in splits.by_split.items()})),
        ("Held back, as copies of test images", f"{splits.held_back:,}"),
        ("Equal files in train and test as published", f"{audit.exact_copies_across_splits:,}"),
        ("Changed copies of test images in train", f"{audit.near_copies_across_splits:,}"),
        ("Digest of the images", code(manifest.table.sha256)),
        ("Digest of the split", code(splits.table.sha256)),
    ])  # fmt: skip


def training(model: Model) -> str:
    """Say what was trained, on how many images, for how long and on what device."""
    sees = describe(model.view, model.image_size)
    where = f"{describe_crop(model.crop)} " if model.crop else ""
    first = f", from the weights of model `{model.started_from}`" if model.started_from else ""
    return (
        f"`{model.name}`, {model.parameters:,} parameters, sees {sees}. {where}{number_of(len(model.history), 'epoch')} "
        f"over {model.images:,} images{first}; epoch {model.kept_epoch} is kept. {model.wall_seconds:.0f} s, {model.cpu_seconds:.0f} CPU "
        f"seconds, on {for_markdown(model.conditions)}. Digest of the weights `{model.weights_sha256}`."
        f"{IMAGENET if model.name == 'backbone' else ''}"
    )


def formats_table(formats: Mapping[str, Format]) -> str:
    """Return a table of the formats: each was loaded again in a clean process and compared with the network that was judged."""
    rows = [
        (
            name,
            f"{export.bytes / 1e6:.2f} MB",
            f"{export.milliseconds:.1f} ms",
            f"{export.max_difference:.1e}",
            out_of(export.changed_decisions, export.images),
        )
        for name, export in formats.items()
    ]
    return table(("Format", "Size", "An image", "Greatest difference of a probability", "Other decisions"), rows)
