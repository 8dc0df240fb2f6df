"""Frames: the aspect is kept, narrow marks ask for more pixels, and nothing is enlarged."""

import pytest

from tasks.settings.frames import MAX_AREA, STEP, USUAL_AREA, PictureSizes, choose_frame, visible_width


@pytest.mark.parametrize(("width", "height"), [(500, 1_260), (4_000, 3_000), (640, 640), (401, 400)])
def test_a_frame_has_the_aspect_of_the_pictures_and_about_as_many_pixels_as_the_least(width, height):
    rows, columns = choose_frame(PictureSizes(width=width, height=height))
    assert rows % STEP == columns % STEP == 0
    assert columns / rows == pytest.approx(width / height, rel=0.15)
    assert rows * columns == pytest.approx(USUAL_AREA, rel=0.2)


def test_narrow_marks_ask_for_more_pixels_up_to_a_limit():
    frames = [choose_frame(PictureSizes(width=1_000, height=1_000, defect_width=width)) for width in (40, 9, 8, 2)]
    areas = [rows * columns for rows, columns in frames]
    assert areas[0] == pytest.approx(USUAL_AREA, rel=0.1)
    assert areas[0] < areas[1] < areas[2] < areas[3]
    assert areas[-1] == pytest.approx(MAX_AREA, rel=0.1)


def test_no_picture_is_enlarged():
    assert choose_frame(PictureSizes(width=100, height=60, defect_width=1)) == (64, 96)
    assert choose_frame(PictureSizes(width=8, height=8)) == (STEP, STEP)


def test_a_longest_side_that_is_asked_for_is_taken():
    assert choose_frame(PictureSizes(width=500, height=1_260, defect_width=1), 640) == (640, 256)
    assert choose_frame(PictureSizes(width=500, height=1_260), 1_024) == (1_024, 416)


def test_what_is_visible_is_told_in_pixels_of_the_photograph():
    pictures = PictureSizes(width=500, height=1_260)
    assert visible_width(pictures, (640, 256)) == pytest.approx(4 * 1_260 / 640)
