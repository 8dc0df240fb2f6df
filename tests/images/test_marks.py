"""Marks: masks beside photographs become pixels of the frame, and their widths are measured on the photographs."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.images.crops import crop_levels
from tasks.images.detail import letterbox
from tasks.images.marks import DEFECT, SOUND, UNKNOWN, defect_widths, load_marks, mark, marked_box, width_of
from tasks.records.rows import Row, images_root
from tasks.settings.crops import Shares
from tasks.settings.settings import Classes, Places

CLASSES, FRAME = Classes(defect="crack", good="good"), (32, 64)


def mask(shape: tuple[int, int] = (64, 128), *boxes: tuple[slice, slice]) -> np.ndarray:
    pixels = np.zeros(shape, bool)
    for box in boxes:
        pixels[box] = True
    return pixels


@pytest.fixture
def write(places: Places):
    """Stores a picture as a mask, and returns its stored name."""

    def write(pixels: np.ndarray, name: str) -> str:
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        path = places.data_root / "images" / "aa" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
        assert str(places.data_root / "images") == images_root(places)
        return f"aa/{name}.png"

    return write


def row(name: str, label: str, mask_name: str = "") -> Row:
    return Row(f"{name}.png", name, label, "base", "", 128, 64, 100.0, 100.0, 5.0, mask=mask_name)


def test_marks_lie_where_the_mask_has_them_and_a_good_part_has_none(write, places):
    light = mask((64, 128), (slice(16, 32), slice(64, 80))).astype(np.uint8) * 255
    rows = [
        row("a", "crack", write(light, "a")),
        row("b", "crack"),
        row("c", "good", write(light, "c")),
        row("d", "good"),
    ]
    marks = load_marks(rows, FRAME, CLASSES, places)
    assert marks.shape == (4, *FRAME)
    expected = np.zeros(FRAME, np.uint8)
    expected[8:16, 32:40] = DEFECT
    assert np.array_equal(marks[0], expected)
    assert (marks[1] == UNKNOWN).all(), "nobody says where the defect is"
    assert (marks[2:] == SOUND).all()


def test_without_a_mask_of_a_defect_nothing_is_known_of_it(write, places):
    empty = write(np.zeros((64, 128), np.uint8), "c")
    rows = [row("a", "crack"), row("c", "good", empty)]
    marks = load_marks(rows, FRAME, CLASSES, places)
    assert (marks[0] == UNKNOWN).all()
    assert (marks[1] == SOUND).all()
    assert len(defect_widths([row("b", "crack", empty)], CLASSES, places)) == 0, "an empty mask has no width"


def test_a_mask_that_marks_nothing_says_nothing_about_its_defect(write, places):
    rows = [row("a", "crack", write(np.full((64, 128), 7, np.uint8), "a"))]
    assert (load_marks(rows, FRAME, CLASSES, places) == UNKNOWN).all()


def test_a_crack_thinner_than_a_pixel_of_the_frame_is_marked_along_its_length():
    thin = mask((640, 1_280), (slice(300, 308), slice(100, 1_100)))
    assert (mark(thin, FRAME) == DEFECT).any(axis=0).sum() == 50


def test_masks_of_gray_levels_besides_black_and_white_are_cut_in_the_middle(write, places):
    soft = np.zeros((64, 128), np.uint8)
    soft[16:48, 32:96], soft[15, 32:96], soft[48, 32:96] = 200, 60, 140
    marks = load_marks([row("a", "crack", write(soft, "a"))], (64, 128), CLASSES, places)
    assert (marks[0][16:49, 32:96] == DEFECT).all()
    assert (marks[0][15] == SOUND).all()


@pytest.mark.parametrize(
    ("boxes", "width"),
    [
        ([(slice(10, 15), slice(20, 100))], 5),
        ([(slice(10, 50), slice(20, 27))], 7),
        ([(slice(3, 4), slice(9, 10))], 1),
        ([(slice(0, 64), slice(0, 9))], 9),
    ],
)
def test_a_defect_is_as_wide_as_its_widest_place_is_across(boxes, width):
    assert width_of(mask((64, 128), *boxes)) == pytest.approx(width, abs=1)


def test_widths_are_those_of_marked_defects_alone(write, places):
    light = mask((64, 128), (slice(16, 26), slice(64, 100))).astype(np.uint8) * 255
    rows = [row("a", "crack", write(light, "a")), row("b", "crack"), row("c", "good", write(light, "c"))]
    assert defect_widths(rows, CLASSES, places) == pytest.approx([10], abs=1)
    assert len(defect_widths(rows[1:], CLASSES, places)) == 0


@pytest.mark.parametrize("crop", ["part", "0.25,0.25,0.75,0.75"])
def test_a_mask_is_cropped_as_its_photograph_is(write, places, crop):
    """The defect is the brightest place of the part, so both must be in the same place of the frame."""
    defect = mask((256, 512), (slice(120, 140), slice(250, 290)))
    photograph = np.full((256, 512), 20, np.uint8)
    photograph[70:190, 150:370], photograph[defect] = 120, 255
    write(photograph, "p")
    small_mask = defect[::2, ::2].astype(np.uint8) * 255  # half as large as the photograph
    rows = [row("p", "crack", write(small_mask, "m"))._replace(path="p.png", sha256="aa" + "p" * 62)]
    (places.data_root / "images/aa/p.png").rename(places.data_root / f"images/aa/{rows[0].sha256}.png")
    marks = load_marks(rows, (64, 128), CLASSES, places, crop)[0]
    shown = letterbox(crop_levels(photograph, crop), (64, 128)) > 190
    assert (marks == DEFECT).sum() > 100
    assert ((marks == DEFECT) != shown).mean() < 0.01


def test_of_a_defect_outside_of_the_crop_nothing_is_known(write, places):
    light = mask((64, 128), (slice(0, 10), slice(0, 10))).astype(np.uint8) * 255
    rows = [row("a", "crack", write(light, "a"))]
    assert (load_marks(rows, FRAME, CLASSES, places, "0.5,0.5,1,1") == UNKNOWN).all()


def test_the_box_of_all_marks_holds_those_of_defects_alone(write, places):
    first = mask((64, 128), (slice(16, 32), slice(64, 80))).astype(np.uint8) * 255
    second = mask((64, 128), (slice(8, 12), slice(96, 112))).astype(np.uint8) * 255
    good = np.eye(64, 128, dtype=np.uint8) * 255
    rows = [
        row("a", "crack", write(first, "a")),
        row("b", "crack", write(second, "b")),
        row("c", "good", write(good, "c")),
    ]
    assert marked_box(rows, CLASSES, places) == Shares(0.5, 0.125, 0.875, 0.5)
    assert marked_box(rows[2:], CLASSES, places) is None
