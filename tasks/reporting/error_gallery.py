"""Error gallery: test images that people should look at, with the places where the network sees a defect."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tasks.images import loading
from tasks.images.crop_boxes import crop_shares
from tasks.images.crops import pixel_box
from tasks.images.detail import Box
from tasks.images.views import VIEWS
from tasks.inference import heatmaps
from tasks.inference.decision import DecisionRule
from tasks.records.rows import NO_PROBABILITY, Prediction, Row, stored_path
from tasks.reporting.audit_gallery import Picture
from tasks.reporting.contact_sheet import GAP, INK, LINE, PAPER, SheetRow, Tile, font, sheet, stack_pictures, wrap
from tasks.reporting.words import ProductWords
from tasks.settings.frames import sides
from tasks.settings.settings import Classes, Places

if TYPE_CHECKING:
    import keras

    from tasks.images.rings import Ring

ACROSS, MAX_IMAGES, SIDE = 4, 12, 228  # photographs in a row, in all; pixels of one
FINE = 2  # a photograph is painted so many times larger than it is shown, so that lines are smooth
ROUND = 0.08  # radius of the circle about the peak, as a share of the side of a photograph
DECISION_WORDS = {"pass": "passed", "review": "for a person", "reject": "rejected"}


class Gallery(NamedTuple):
    """Test images of one kind, the worst first."""

    name: str
    title: str
    what: str
    cases: list[Prediction]


def pictures(
    predictions: Sequence[Prediction],
    rows: Sequence[Row],
    network: "keras.Model",
    rule: DecisionRule,
    words: ProductWords,
    places: Places,
) -> Iterator[Picture]:
    """Yield a picture for each kind of test images that people should look at, where there are any.

    `rows` hold at least the images that were judged.
    """
    by_path = {row.path: row for row in rows}
    tested = [prediction for prediction in predictions if prediction.split == "test"]
    for gallery in galleries(tested, rule.classes):
        first_cases = gallery.cases[:MAX_IMAGES]
        painted = overlay_heatmap([by_path[image.path] for image in first_cases], network, rule, places)
        tiles = [Tile(levels, caption(image)) for image, levels in zip(first_cases, painted, strict=True)]
        sheet_rows = [SheetRow("", tuple(tiles[start : start + ACROSS])) for start in range(0, len(tiles), ACROSS)]
        counted = (
            f"{len(first_cases):,} of {len(gallery.cases):,} {gallery.what}, the worst of each {words.singular} first."
        )
        yield Picture(gallery.name, gallery.title, counted, stack_pictures(legend(), sheet(sheet_rows, SIDE)))


def galleries(test: Sequence[Prediction], classes: Classes) -> list[Gallery]:
    """Sort test images into mistakes, images for a person, and defects that were found. A kind without an image is left out."""
    reviewed = [prediction for prediction in test if prediction.decision == "review"]
    wrong = [prediction for prediction in test if prediction.decision != "review" and is_wrong(prediction, classes)]
    rejected = [image for image in test if image.decision == "reject" and image.label == classes.defect]
    mistakes = "images that were decided wrongly, or whose likelier class is wrong"
    kinds = (
        Gallery("mistakes", "Worst mistakes of the test", mistakes, wrong),
        Gallery("reviews", "Test images that go to a person", "images that go to a person", reviewed),
        Gallery(
            "found", "Defects found", "defects that were found", [image for image in rejected if image not in wrong]
        ),
    )
    return [kind._replace(cases=worst_first(kind.cases, classes)) for kind in kinds if kind.cases]


def is_wrong(prediction: Prediction, classes: Classes) -> bool:
    """Return whether the decision or the likelier class of an image is wrong; a review counts as a wrong decision."""
    defect = prediction.label == classes.defect
    return prediction.decision != ("reject" if defect else "pass") or (prediction.defect_probability >= 0.5) != defect


def worst_first(cases: Sequence[Prediction], classes: Classes) -> list[Prediction]:
    """Sort by the probability of the true class, the least first.

    The second image of a part comes after the first image of every part, and so on.
    """

    def true_probability(case: Prediction) -> float:
        return case.defect_probability if case.label == classes.defect else 1 - case.defect_probability

    by_part, turns = Counter[str](), dict[str, int]()
    for case in sorted(cases, key=true_probability):
        turns[case.path] = by_part[case.group or case.path]
        by_part[case.group or case.path] += 1
    return sorted(cases, key=lambda case: (turns[case.path], true_probability(case)))


def caption(prediction: Prediction) -> str:
    """Return the label, the decision, the probability of a defect, and the reason. Without a good ring there is no probability."""
    chance = "" if prediction.cause in NO_PROBABILITY else f", {prediction.defect_probability:.1%}"
    words = f"{prediction.label}: {DECISION_WORDS[prediction.decision]}{chance}"
    return f"{wrap(words, SIDE, 1)}\n{wrap(prediction.reason, SIDE)}"


def overlay_heatmap(
    rows: Sequence[Row], network: "keras.Model", rule: DecisionRule, places: Places
) -> Iterator[np.ndarray]:
    """Yield each photograph under its heat, uint8 (side, side, 3); gray alone where the view shows nothing."""
    inputs = loading.load_inputs(rows, rule.view, rule.image_size, places, rule.crop)
    heats = list((heatmaps.maps(network, inputs.levels) - rule.offset) / rule.temperature)
    squares = loading.load_squares([stored_path(row, places) for row in rows], FINE * SIDE)
    shares = crop_shares(rows, rule.crop, places)
    boxes = [pixel_box(box, (row.height, row.width)) for box, row in zip(shares, rows, strict=True)]
    if rule.view == "detail":
        heats = [
            heatmaps.crop_to_picture(heat, (box.height, box.width), sides(rule.image_size))
            for box, heat in zip(boxes, heats, strict=True)
        ]
    rings = rings_of(rows, rule, places)
    for row, heat, residual, gray, ring, box in zip(rows, heats, inputs.residuals, squares, rings, boxes, strict=True):
        plain = np.repeat(gray[..., None], 3, axis=2)
        yield plain if np.isnan(residual) else overlay_image(row, heat, gray, ring, box)


def rings_of(rows: Sequence[Row], rule: DecisionRule, places: Places) -> list["Ring | None"]:
    """Return the ring of each image; None where it shows none, and for all images of a view that needs none."""
    if not VIEWS[rule.view].needs_ring:
        return [None] * len(rows)
    from tasks.images.strips import strips  # late: it needs SciPy

    return [strip.ring if strip else None for strip in strips(rows, places, rule.crop)]


def overlay_image(row: Row, heat: np.ndarray, gray: np.ndarray, ring: "Ring | None", seen: Box) -> np.ndarray:
    """Paint the heat over a photograph, and draw a circle about the peak if that speaks for a defect.

    Takes gray levels uint8 (size, size), returns uint8 (size, size, 3). `heat` (rows, columns) lies over the unwrapped `ring`, or
    over the box that is `seen` of the picture where that is None.
    """
    shape = row.height, row.width
    image = Image.fromarray(heatmaps.paint(gray, heatmaps.heat_over_photograph(heat, ring, shape, len(gray), seen)))
    if heat.max() <= 0:
        return np.asarray(image)
    x, y = (
        (place + 0.5) / side * len(gray)
        for place, side in zip(heatmaps.peak(heat, ring, shape, seen), shape[::-1], strict=True)
    )
    draw, radius = ImageDraw.Draw(image), ROUND * len(gray)
    for color, width, wider in ((INK, 3 * FINE, FINE), (PAPER, FINE, 0)):
        reach = radius + wider
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=color, width=width)
    return np.asarray(image)


def legend() -> Image.Image:
    """Draw the explanation of the colors, as wide as a row."""
    picture = Image.new("RGB", (ACROSS * (SIDE + GAP) + GAP, LINE + 2 * GAP), PAPER)
    heat = np.tile(np.linspace(heatmaps.FAINT, heatmaps.STRONG, SIDE // 2), (LINE // 2, 1))
    picture.paste(Image.fromarray(heatmaps.paint(np.full(heat.shape, 128, np.uint8), heat)), (GAP, GAP + LINE // 4))
    scale = f"{heatmaps.FAINT:.0f} to {heatmaps.STRONG:.0f} and more"
    text = f"how strongly a place speaks for a defect: a logit of {scale}; the circle is about the middle of the strongest spot"
    ImageDraw.Draw(picture).text((2 * GAP + SIDE // 2, GAP), text, fill=INK, font=font())
    return picture
