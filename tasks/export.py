"""Export: writes the model's folder with its network in other formats, loads each format again, and compares it with the judged answers."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from prefect import task

from tasks.images import loading
from tasks.images.appearance import appearance
from tasks.inference import export_check, model_folder, runtimes
from tasks.inference.decision import ImageDecision, read
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, DividedImages, Evaluation, Exports, Format, Manifest, Model, Splits
from tasks.records.rows import Prediction, Row
from tasks.reporting.model_card import FolderContent, Subject, card
from tasks.reporting.words import ProductWords
from tasks.settings.messages import say
from tasks.settings.settings import EvaluationSettings, Places
from tasks.storage.files import scratch_beside
from tasks.storage.tables import read_table

COMPARED_SPLIT = "validation"


@task(cache_policy=same_step)
def export(
    manifest: Manifest,
    audit: Audit,
    splits: Splits,
    model: Model,
    evaluation: Evaluation,
    costs: EvaluationSettings,
    words: ProductWords,
    places: Places,
) -> Exports:
    """Write the folder with the network, its decision, the list of the images that it learned from, and a card."""
    write_card = partial(card, Subject(manifest, audit, splits, model, evaluation, costs, words))
    exports = export_to_folder(splits, model, evaluation, write_card, places)
    say(f"export: model {exports.digest[:12]}; {', '.join(starmap(summary_of_format, exports.formats.items()))}")
    return exports


def export_to_folder(
    splits: DividedImages,
    model: Model,
    evaluation: Evaluation,
    write_card: Callable[[FolderContent], str],
    places: Places,
) -> Exports:
    """Write the model's folder, and name it by a digest over what decides an answer."""
    judged = read_table(evaluation.predictions.path(places), Prediction)
    with (
        scratch_beside(model_folder.path("model", places)) as scratch,
        TemporaryDirectory() as exchange,
        export_check.start_loaders(scratch, Path(exchange)) as loaders,
    ):
        scratch.mkdir()
        fill(scratch, model, evaluation, places)
        formats = check_formats(loaders, splits, model, judged, places)
        rule, test = read(scratch / "decision.json"), [image for image in judged if image.split == "test"]
        card_text = write_card(FolderContent(rule, test, formats, model_folder.identity(scratch)))
        (scratch / "README.md").write_text(card_text, encoding="utf-8")
        return model_folder.store(scratch, formats, places)


def fill(scratch: Path, model: Model, evaluation: Evaluation, places: Places) -> None:
    """Write what decides an answer, and the network in its other formats."""
    from tasks.networks import networks

    parts = {"decision.json": evaluation.decision, "model.keras": model.file, "images.csv": model.learnt}
    for name, file in parts.items():
        if file:
            shutil.copyfile(file.path(places), scratch / name)
    runtimes.write(networks.load(scratch / "model.keras"), scratch)


def check_formats(
    loaders: export_check.FormatLoaders,
    splits: DividedImages,
    model: Model,
    judged: Sequence[Prediction],
    places: Places,
) -> dict[str, Format]:
    """Return how each format answers for all validation images, beside what the trained network said.

    Each format is loaded in a clean process.
    """
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split == COMPARED_SPLIT]
    expected = [image for image in judged if image.split == COMPARED_SPLIT]
    inputs = loading.load_inputs(rows, model.view, model.image_size, places, model.crop)
    statistics, rule = appearance(inputs.small_squares), read(loaders.folder / "decision.json")
    return {
        name: compare_format(
            loaders.folder / runtimes.NAMES[name],
            outputs,
            expected,
            export_check.decisions(outputs, inputs.residuals, statistics, rule),
        )
        for name, outputs in loaders.ask(inputs.levels).items()
    }


def compare_format(
    path: Path, outputs: export_check.Outputs, judged: Sequence[Prediction], decisions: Sequence[ImageDecision]
) -> Format:
    """Return the greatest difference of a probability, and how many decisions differ."""
    pairs = list(zip(judged, decisions, strict=True))
    differences = [
        abs(image.defect_probability - decision.probability)
        for image, decision in pairs
        if decision.probability is not None
    ]
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Format(
        bytes=sum(file.stat().st_size for file in files),
        images=len(pairs),
        max_difference=float(np.max(differences, initial=0)),
        changed_decisions=sum(image.decision != decision.name for image, decision in pairs),
        milliseconds=outputs.milliseconds,
    )


def summary_of_format(name: str, result: Format) -> str:
    """Return the size and speed of a format, and whether it answers as judged."""
    differences = f"{result.changed_decisions:,} of {result.images:,} decisions, probabilities by up to {result.max_difference:.1g}"
    answers = "answers as judged" if result.alike else f"DOES NOT ANSWER AS JUDGED ({differences})"
    return f"{name} {result.bytes / 1e6:.2f} MB, {result.milliseconds:.1f} ms an image, {answers}"
