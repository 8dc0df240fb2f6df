"""Training section: what the network sees of a photograph is said in a sentence."""

from dataclasses import replace

from tasks.reporting.model_card import training
from tasks.reporting.training_section import training_section
from tasks.settings.frames import PictureSizes


def looking(outcome, crop: str | None, whole: int = 0):
    """The outcome of a network that looks there."""
    pictures = PictureSizes(width=200, height=150, crop=crop, whole=whole)
    splits = outcome.splits.model_copy(update={"pictures": pictures})
    return replace(outcome, splits=splits, model=outcome.model.model_copy(update={"crop": crop}))


def test_a_network_that_sees_whole_photographs_is_said_nothing_of(outcome):
    text = training_section(looking(outcome, None))
    assert "Of each photograph" not in text
    assert "The photographs have 200 x 150 pixels (median)" in text


def test_where_it_looks_and_how_often_it_had_to_see_the_whole_is_said(outcome):
    text = training_section(looking(outcome, "part", whole=3))
    assert "Of each photograph it sees the part alone, found by its outline, with a margin." in text
    assert f"No part was found in 3 of {outcome.splits.by_split['train']} training images" in text
    assert "What it sees of the photographs has 200 x 150 pixels (median)" in text


def test_a_box_is_said_with_its_sides_and_on_the_card_too(outcome):
    boxed = looking(outcome, "0.1,0.2,0.9,0.8")
    sentence = "Of each photograph it sees the box from 10% to 90% of the width and from 20% to 80% of the height."
    assert sentence in training_section(boxed)
    assert "No part was found" not in training_section(boxed)
    assert sentence in training(boxed.model)
