"""Crops: where the network looks is said in shares, in one form, and what says nothing is refused."""

import pytest
from pydantic import ValidationError

from tasks.inference.decision import DecisionRule
from tasks.settings.cli import RetrainArguments, parse
from tasks.settings.crops import Shares, box_shares, box_text
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, Config, ViewSettings


@pytest.mark.parametrize(
    ("asked", "crop"),
    [
        ("part", "part"),
        ("mask", "mask"),
        ("0.1,0.2,0.9,0.8", "0.1,0.2,0.9,0.8"),
        (" .10, 0.20,0.9 ,0.8000", "0.1,0.2,0.9,0.8"),
        ([0, 0.25, 1, 0.75], "0,0.25,1,0.75"),
        (None, None),
    ],
)
def test_equal_crops_have_one_form(asked, crop):
    config = Config.model_validate({"view": {"crop": asked}})
    assert config.view.crop == crop
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.1, 0.2, 0.9, 0.8), (0.3333, 0.05, 0.6667, 0.95)])
def test_a_box_is_read_as_it_was_written(box):
    assert box_shares(box_text(box)) == Shares(*box)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("whole", r"crop is 'whole': expected part .*, mask .*, or a box LEFT,TOP,RIGHT,BOTTOM"),
        ("0.1,0.2,0.9", r"crop is '0\.1,0\.2,0\.9': expected part"),
        ("0.1,0.2,0.9,0.8,1", "expected part"),
        ("0.1,0.2,0.9,b", "expected part"),
        ("100,200,300,400", "shares from 0 to 1.*divide pixels by the width and the height of the pictures"),
        ("-0.1,0,1,1", "not all are shares from 0 to 1"),
        ("0,0,nan,1", "not all are shares from 0 to 1"),
        ("0.5,0,0.2,1", "its right side must lie right of its left one"),
        ("0,0.5,1,0.505", "its bottom below its top, by 0.01 at least"),
    ],
)
def test_what_is_no_box_of_shares_is_refused_with_what_is_expected(asked, fault):
    with pytest.raises(ValidationError, match=fault):
        ViewSettings(crop=asked)
    with pytest.raises(BadInput, match=fault):
        parse(RetrainArguments, [f"--view.crop={asked}"])


def test_a_model_that_sees_whole_pictures_has_the_decision_file_that_it_always_had():
    rule = DecisionRule(classes=Classes(), model="compact", network_sha256="", view="raw", image_size=75)
    assert "crop" not in rule.model_dump_json()
    assert DecisionRule.model_validate_json(rule.model_dump_json()).crop is None
    cropped = rule.model_copy(update={"crop": "part"})
    assert DecisionRule.model_validate_json(cropped.model_dump_json()) == cropped
