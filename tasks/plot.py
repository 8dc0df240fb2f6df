"""Plot: draws what the network learned from, how the training went, and where the model is wrong."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from prefect import task

from tasks.dataset.duplicates import Copy
from tasks.images import loading
from tasks.inference.decision import read
from tasks.pipeline.step_cache import same_step
from tasks.records.results import Audit, Epoch, Evaluation, Figure, Figures, Model, Score, Splits
from tasks.records.rows import Prediction, Row, Suspect, stored_path
from tasks.reporting import crop_gallery, error_gallery, suspects_gallery
from tasks.reporting.audit_gallery import Picture, pictures
from tasks.reporting.contact_sheet import SIDE, SheetRow, Tile, sheet, wrap
from tasks.reporting.words import ProductWords
from tasks.settings.escaping import for_picture
from tasks.settings.messages import say
from tasks.settings.settings import Classes, Places
from tasks.storage.files import File, store
from tasks.storage.tables import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from PIL.Image import Image

RED, INK, PALE = "#c0392b", "#22313f", "#8395a7"
SAMPLES = 12  # training images
LATIN = 0x250  # letters before it are in matplotlib's font
LONGEST = 20  # letters of a class beside the matrix


@task(cache_policy=same_step)
def plot(
    audit: Audit, splits: Splits, model: Model, evaluation: Evaluation, words: ProductWords, places: Places
) -> Figures:
    """Draw the figures of a run, in the order in which a report shows them."""
    rows = read_table(splits.table.path(places), Row)
    history, kept_epoch, classes = model.history, model.kept_epoch, splits.classes
    copies = read_table(audit.pairs.path(places), Copy)
    looks = crop_gallery.pictures(rows, model.crop, places)
    audited = [*pictures(rows, copies, classes, words, places), samples(rows, places), *looks]
    share = "Counts, and below them the share of the true class."
    drawings = (
        ("learning", "Learning curves", overfitting(history, kept_epoch), learning_curves(history, kept_epoch)),
        ("confusion", "Confusion matrix of the test", share, confusion(evaluation.test, classes)),
    )
    figures = (
        *store_pictures(audited, places),
        *(
            Figure(name=name, title=title, caption=caption, file=save(drawing, name, places))
            for name, title, caption, drawing in drawings
        ),
        *store_pictures(error_pictures(rows, model, evaluation, words, places), places),
        *store_pictures(suspect_pictures(rows, classes, evaluation, places), places),
    )
    say(f"plot: {len(figures)} figures")
    return Figures(figures=figures)


def store_pictures(pictures: Iterable[Picture], places: Places) -> list[Figure]:
    """Store the pictures, and return them as figures."""
    return [
        Figure(name=name, title=title, caption=caption, file=save_picture(image, name, places))
        for name, title, caption, image in pictures
    ]


def error_pictures(
    rows: Sequence[Row], model: Model, evaluation: Evaluation, words: ProductWords, places: Places
) -> Iterator[Picture]:
    """Yield pictures of test images that show where the network sees a defect in them."""
    from tasks.networks import networks  # late: a remembered figure needs no TensorFlow

    predictions = read_table(evaluation.predictions.path(places), Prediction)
    network, rule = networks.load(model.file.path(places)), read(evaluation.decision.path(places))
    return error_gallery.pictures(predictions, rows, network, rule, words, places)


def suspect_pictures(
    rows: Sequence[Row], classes: Classes, evaluation: Evaluation, places: Places
) -> Iterator[Picture]:
    """Yield a picture of the images whose label is probably wrong, if all parts were judged out of fold and there are any."""
    if evaluation.crossfit:
        suspects = read_table(evaluation.crossfit.suspects.path(places), Suspect)
        yield from suspects_gallery.pictures(suspects, rows, classes, places)


def save_picture(image: "Image", name: str, places: Places) -> File:
    """Store photographs as a JPEG: a PNG of them is four times as large, and the Prefect UI keeps them in its database."""
    return store(lambda path: image.save(path, quality=85, optimize=True), places, "data", f"figures/{name}.jpeg")


def save(canvas: "Canvas", name: str, places: Places) -> File:
    """Store a drawing as a PNG. The file leaves out the software's version, so that equal figures give equal bytes."""
    return store(
        lambda path: canvas.savefig(path, dpi=90, metadata={"Software": None}), places, "data", f"figures/{name}.png"
    )


def canvas(width: float, height: float) -> "Canvas":
    """Return an empty figure, width and height in inches. Do not use pyplot, which keeps figures and wants a display."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def samples(rows: Sequence[Row], places: Places) -> Picture:
    """Return a picture of some training images with their classes."""
    train_rows = sorted((row for row in rows if row.split == "train"), key=lambda row: row.sha256)[:SAMPLES]
    photographs = loading.load_squares([stored_path(row, places) for row in train_rows], 2 * SIDE)
    tiles = [Tile(levels, wrap(row.label)) for row, levels in zip(train_rows, photographs, strict=True)]
    sheet_rows = [
        SheetRow("", tuple(tiles[start : start + SAMPLES // 2])) for start in range(0, len(tiles), SAMPLES // 2)
    ]
    caption = f"{len(tiles)} images that the network learns from, in the hash order of their content."
    return Picture("samples", "Training images", caption, sheet(sheet_rows))


def learning_curves(history: Sequence[Epoch], kept_epoch: int) -> "Canvas":
    """Draw loss and accuracy of train and validation, with the epoch that was kept."""
    drawing = canvas(8.4, 3.2)
    losses, accuracies = drawing.subplots(1, 2)
    draw_curves(losses, history, kept_epoch, "loss", "loss, nat")
    draw_curves(accuracies, history, kept_epoch, "accuracy", "accuracy")
    losses.set_yscale("log")
    losses.legend(frameon=False, fontsize=8)
    return drawing


def draw_curves(axes: "Axes", history: Sequence[Epoch], kept_epoch: int, quantity: str, label: str) -> None:
    """Draw one quantity of train and validation by epoch, and mark the epoch that was kept."""
    from matplotlib.ticker import MaxNLocator

    epochs = [epoch.epoch for epoch in history]
    for split, column, color in (("train", quantity, PALE), ("validation", f"validation_{quantity}", INK)):
        values = [getattr(epoch, column) for epoch in history]
        axes.plot(epochs, values, color=color, marker="o", markersize=3, label=split)
    axes.axvline(kept_epoch, color=RED, linewidth=1, linestyle=":", label=f"kept epoch {kept_epoch}")
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)


def overfitting(history: Sequence[Epoch], kept_epoch: int) -> str:
    """Return one sentence on over-fitting.

    It compares the validation loss of the kept epoch with the training loss, and says what came after.
    """
    at, last = history[kept_epoch - 1], history[-1]
    gap = f"Epoch {kept_epoch} of {len(history)} is kept: validation loss {at.validation_loss:.3f}, training loss {at.loss:.3f}"
    if at.validation_loss > 0.65:
        return f"{gap}: hardly better than a coin, whose loss is 0.693. It has not learned to tell the classes apart."
    if last.validation_loss > 1.5 * at.validation_loss and last.loss < at.loss:
        fell_and_rose = f"the training loss still fell while validation rose to {last.validation_loss:.3f}"
        return f"{gap}; after it {fell_and_rose}: the network began to over-fit."
    return (
        f"{gap}: the network knows its training images better than new ones."
        if at.validation_loss > 2 * at.loss + 0.02
        else f"{gap}: no sign of over-fitting, as far as validation can tell."
    )


def confusion(test: Score, classes: Classes) -> "Canvas":
    """Draw counts and rates; rows are the true class, columns the called one."""
    counts = np.array(
        [
            [test.defects - test.missed_defects, test.missed_defects],
            [test.false_rejects, test.good - test.false_rejects],
        ]
    )
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawing = canvas(4.6, 3.6)
    axes = drawing.subplots()
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    for (true, called), count in np.ndenumerate(counts):
        rate = rates[true, called]
        axes.text(
            called, true, f"{count:,}\n{rate:.1%}", ha="center", va="center", color="white" if rate > 0.6 else INK
        )
    names = [short_name(classes.defect), short_name(classes.good)]
    axes.set_xticks([0, 1], names, parse_math=False)
    axes.set_yticks([0, 1], names, parse_math=False)
    axes.set(xlabel="called", ylabel="true class")
    return drawing


def short_name(label: str) -> str:
    """Return the name of a class, short enough to stand beside the matrix."""
    text = for_picture(label, LATIN)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
