"""Cases: test images that people should look at, with where the network sees a defect in them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tasks.evaluation.metrics import Prediction
from tasks.images import loading
from tasks.images.views import NO_RING, VIEWS
from tasks.inference import heatmaps
from tasks.inference.decision import POOR_RING, Decision
from tasks.records.rows import Row, stored_path
from tasks.reporting.audit_gallery import Picture
from tasks.reporting.contact_sheet import GAP, INK, LINE, PAPER, SheetRow, Tile, letters, sheet, stack_pictures, wrap
from tasks.settings.settings import Classes, Places

if TYPE_CHECKING:
    import keras

    from tasks.images.rings import Ring

ACROSS, SHOWN, SIDE = 4, 12, 228  # photographs in a row, in all; pixels of one
FINE = 2  # times finer than it is shown a photograph is painted, so that lines are smooth
ROUND = 0.08  # of a photograph, radius of the circle about the peak
SAID = {"pass": "passed", "review": "for a person", "reject": "rejected"}


class Gallery(NamedTuple):
    """Cases of one kind, the worst first."""

    name: str
    title: str
    what: str
    cases: list[Prediction]


def pictures(
    predictions: Sequence[Prediction],
    rows: Sequence[Row],
    network: "keras.Model",
    decision: Decision,
    places: Places,
) -> Iterator[Picture]:
    """What there is to see of the test, the worst first, each kind where there is any; `rows` are those judged, at least."""
    by_path = {row.path: row for row in rows}
    for album in galleries([one for one in predictions if one.split == "test"], decision.classes):
        shown = album.cases[:SHOWN]
        painted = overlay_heatmap([by_path[one.path] for one in shown], network, decision, places)
        tiles = [Tile(levels, caption(one)) for one, levels in zip(shown, painted, strict=True)]
        shelves = [SheetRow("", tuple(tiles[start : start + ACROSS])) for start in range(0, len(tiles), ACROSS)]
        counted = f"{len(shown):,} of {len(album.cases):,} {album.what}, the worst of each casting first."
        yield Picture(album.name, album.title, counted, stack_pictures(legend(), sheet(shelves, SIDE)))


def galleries(test: Sequence[Prediction], classes: Classes) -> list[Gallery]:
    """Mistakes, what goes to a person, and the defects that were found: kinds of which there is any."""
    reviewed = [one for one in test if one.decision == "review"]
    wrong = [one for one in test if one.decision != "review" and is_wrong(one, classes)]
    found = [one for one in test if one.decision == "reject" and one.label == classes.defect and one not in wrong]
    kinds = (
        (
            "mistakes",
            "Worst mistakes of the test",
            "images that were decided wrongly, or whose likelier class is wrong",
            wrong,
        ),
        ("reviews", "Test images that go to a person", "images that go to a person", reviewed),
        ("found", "Defects found", "defects that were found", found),
    )
    return [Gallery(name, title, what, worst_first(some, classes)) for name, title, what, some in kinds if some]


def is_wrong(one: Prediction, classes: Classes) -> bool:
    defect = one.label == classes.defect
    return one.decision != ("reject" if defect else "pass") or (one.defect_probability >= 0.5) != defect


def worst_first(cases: Sequence[Prediction], classes: Classes) -> list[Prediction]:
    """The least probability of the true class first; a second image of a casting comes after the first of all others."""

    def right(one: Prediction) -> float:
        return one.defect_probability if one.label == classes.defect else 1 - one.defect_probability

    seen: Counter[str] = Counter()
    turns = {}
    for one in sorted(cases, key=right):
        turns[one.path] = seen[one.group or one.path]
        seen[one.group or one.path] += 1
    return sorted(cases, key=lambda one: (turns[one.path], right(one)))


def caption(one: Prediction) -> str:
    """Label, decision, probability of a defect, and the reason."""
    unseen = one.reason.partition(":")[0] in (NO_RING, POOR_RING)
    chance = "" if unseen else f", {one.defect_probability:.1%}"
    return f"{wrap(f'{one.label}: {SAID[one.decision]}{chance}', SIDE, 1)}\n{wrap(one.reason, SIDE)}"


def overlay_heatmap(
    rows: Sequence[Row], network: "keras.Model", decision: Decision, places: Places
) -> Iterator[np.ndarray]:
    """Each photograph under its heat, uint8 (side, side, 3); grey alone where the view shows nothing."""
    seen = loading.load_inputs(rows, decision.view, decision.image_size, places)
    local = heatmaps.maps(network, seen.levels) / decision.temperature
    squares = loading.load([stored_path(row, places) for row in rows], FINE * SIDE)
    for row, heat, residual, grey, ring in zip(
        rows, local, seen.residuals, squares, rings_of(rows, decision, places), strict=True
    ):
        yield np.repeat(grey[..., None], 3, axis=2) if np.isnan(residual) else overlay_image(row, heat, grey, ring)


def rings_of(rows: Sequence[Row], decision: Decision, places: Places) -> list["Ring | None"]:
    if not VIEWS[decision.view].needs_ring:
        return [None] * len(rows)
    from tasks.images.strips import strips  # late: it needs SciPy

    return [strip.ring if strip else None for strip in strips(rows, places)]


def overlay_image(row: Row, heat: np.ndarray, grey: np.ndarray, ring: "Ring | None") -> np.ndarray:
    """The photograph under its heat, with a circle about the peak if that speaks for a defect."""
    shape = row.height, row.width
    image = Image.fromarray(heatmaps.paint(grey, heatmaps.onto(heat, ring, shape, len(grey))))
    if heat.max() <= 0:
        return np.asarray(image)
    x, y = (
        (place + 0.5) / side * len(grey)
        for place, side in zip(heatmaps.peak(heat, ring, shape), shape[::-1], strict=True)
    )
    draw, radius = ImageDraw.Draw(image), ROUND * len(grey)
    for colour, width, wider in ((INK, 3 * FINE, FINE), (PAPER, FINE, 0)):
        reach = radius + wider
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=width)
    return np.asarray(image)


def legend() -> Image.Image:
    """What the colours mean, as wide as a row."""
    picture = Image.new("RGB", (ACROSS * (SIDE + GAP) + GAP, LINE + 2 * GAP), PAPER)
    heat = np.tile(np.linspace(heatmaps.FAINT, heatmaps.STRONG, SIDE // 2), (LINE // 2, 1))
    picture.paste(Image.fromarray(heatmaps.paint(np.full(heat.shape, 128, np.uint8), heat)), (GAP, GAP + LINE // 4))
    scale = f"{heatmaps.FAINT:.0f} to {heatmaps.STRONG:.0f} and more"
    text = f"how strongly a place speaks for a defect: a logit of {scale}; the circle is about the middle of the strongest spot"
    ImageDraw.Draw(picture).text((2 * GAP + SIDE // 2, GAP), text, fill=INK, font=letters())
    return picture
