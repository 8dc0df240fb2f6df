"""Cases: what people should look at, the worst first, under the heat of the network that judged it."""

import io
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tasks.inference.decision import DecisionRule
from tasks.records.rows import Prediction, Row
from tasks.reporting.contact_sheet import font
from tasks.reporting.error_gallery import (
    FINE,
    MAX_IMAGES,
    SIDE,
    caption,
    galleries,
    overlay_heatmap,
    pictures,
    worst_first,
)
from tasks.reporting.words import ProductWords
from tasks.settings.settings import Classes
from tasks.storage.tables import read_table


def judged(
    name: str,
    label: str,
    chance: float,
    decision: str,
    group: str = "",
    reason: str = "why",
    cause: str = "between_limits",
) -> Prediction:
    return Prediction(f"test/{name}.jpeg", name, "test", "base", label, group, chance, decision, reason, cause)


def names(cases: list[Prediction]) -> list[str]:
    return [one.sha256 for one in cases]


def defective(name: str, chance: float, decision: str, group: str = "") -> Prediction:
    return judged(name, "def_front", chance, decision, group)


def good(name: str, chance: float, decision: str, group: str = "") -> Prediction:
    return judged(name, "ok_front", chance, decision, group)


def test_each_image_is_of_one_kind_at_most():
    test = [
        defective("escaped", 0.02, "pass"),
        good("refused", 0.9, "reject"),
        defective("caught by the threshold", 0.4, "reject"),
        defective("doubtful", 0.3, "review"),
        defective("found", 0.99, "reject"),
        good("passed", 0.01, "pass"),
    ]
    found = {album.name: names(album.cases) for album in galleries(test, Classes())}
    assert found == {
        "mistakes": ["escaped", "refused", "caught by the threshold"],
        "reviews": ["doubtful"],
        "found": ["found"],
    }


def test_a_kind_without_images_is_left_out():
    assert galleries([good("passed", 0.01, "pass")], Classes()) == []


def test_the_worst_of_each_casting_comes_before_the_second_of_any():
    cases = [
        defective("a1", 0.10, "pass", "a"),
        defective("a2", 0.11, "pass", "a"),
        good("b1", 0.70, "reject", "b"),
        good("b2", 0.60, "reject", "b"),
        defective("alone", 0.40, "pass"),
    ]
    assert names(worst_first(cases, Classes())) == ["a1", "b1", "alone", "a2", "b2"]


def test_images_whose_casting_is_not_known_stand_each_for_themselves():
    cases = [good(str(number), number / 10, "reject") for number in (6, 9, 7)]
    assert names(worst_first(cases, Classes())) == ["9", "7", "6"]


def test_a_caption_names_label_decision_probability_and_reason_and_fits_below_the_photograph():
    reason = "unlike the training images: its border is brighter than that of 99 of 100 known images, and its mean is too, by 4 deviations"
    said = caption(judged("one", "def_front", 0.123, "review", reason=reason))
    first, *rest = said.split("\n")
    assert first == "def_front: for a person, 12.3%"
    assert " ".join(rest).startswith("unlike the training images: its border is")
    assert len(rest) == 3
    assert max(font().getlength(line) for line in rest) <= SIDE + font().getlength(" ...")


def test_no_probability_is_told_of_a_part_that_was_not_seen():
    assert caption(judged("one", "ok_front", 0.5, "review", cause="no_ring")).startswith("ok_front: for a person\n")


def test_pictures_show_the_test_alone_and_tell_how_many_there_are(prepared, places):
    from tasks.networks import networks

    *_, splits = prepared(train=20, test=8)
    rows = read_table(splits.table.path(places), Row)
    predictions = [
        Prediction(
            row.path,
            row.sha256,
            row.split,
            row.origin,
            row.label,
            row.group,
            0.05,
            "pass",
            "it looks well",
            "below_limit",
        )
        for row in rows
    ]
    rule = DecisionRule(classes=Classes(), model="compact", network_sha256="", view="raw", image_size=32)
    network = networks.build("compact", 32)
    (mistakes,) = pictures(predictions, rows, network, rule, ProductWords("part", "parts"), places)
    missed = sum(row.split == "test" and row.label == "def_front" for row in rows)
    assert mistakes.name == "mistakes"
    assert mistakes.caption.startswith(f"{missed} of {missed} images that were decided wrongly")
    assert mistakes.caption.endswith("the worst of each part first.")
    assert missed < MAX_IMAGES
    assert np.asarray(mistakes.image.convert("L")).std() > 5


def test_a_part_whose_ring_is_not_found_is_shown_without_heat(prepared, places):
    """The small photographs are of no round part."""
    from tasks.networks import networks

    *_, splits = prepared(train=20, test=8)
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split == "test"][:2]
    predictions = [
        Prediction(
            row.path, row.sha256, row.split, row.origin, row.label, row.group, 0.5, "review", "no ring", "no_ring"
        )
        for row in rows
    ]
    rule = DecisionRule(classes=Classes(), model="ring", network_sha256="", view="ring", image_size=512)
    (reviews,) = pictures(predictions, rows, networks.build("ring", 512), rule, ProductWords("part", "parts"), places)
    photographs = np.asarray(reviews.image)[60 : 60 + SIDE // 2, : 2 * SIDE].astype(int)
    assert (photographs.max(axis=-1) == photographs.min(axis=-1)).all(), "grey, and no circle about a peak"


class SeesLight:
    """A network for which the light of a place speaks for a defect."""

    output: ClassVar = {"map": None}

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        return {"map": levels[..., 0].astype(np.float32) / 10 - 20}


@pytest.mark.parametrize("crop", [None, "part", "0.3,0.25,0.9,0.75"])
@pytest.mark.parametrize(("view", "size"), [("raw", 96), ("detail", (96, 160))])
def test_the_heat_lies_on_the_defect_whatever_the_network_sees_of_the_photograph(
    places, store_images, view, size, crop
):
    part = np.zeros((200, 400))
    part[50:150, 140:340] = 90
    pixels = (20 + ndimage.gaussian_filter(part, 12)).astype(np.uint8)  # without edges, which have detail too
    pixels[90:100, 280:290] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    rows = [row._replace(width=400, height=200) for row in store_images(file.getvalue())]
    rule = DecisionRule(
        classes=Classes(), model="patch", network_sha256="", view=view, image_size=size, crop=crop, temperature=0.5
    )
    (painted,) = overlay_heatmap(rows, SeesLight(), rule, places)
    levels = painted.astype(int)
    down, across = np.nonzero(levels[..., 0] - levels[..., 2] > 60)
    side = FINE * SIDE
    assert (np.median(across) / side, np.median(down) / side) == pytest.approx((285 / 400, 95 / 200), abs=0.02)
