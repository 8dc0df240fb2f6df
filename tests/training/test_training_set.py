"""Training set: kind and origin of an image decide its share of an epoch, and images without a ring are left out where one is needed."""

import numpy as np
import pytest

from tasks.images.loading import InputBatch
from tasks.records.rows import Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, TrainingSettings
from tasks.training import training_set
from tasks.training.training_set import LEAST_COPIES, TrainingPlan, count_shown, load_examples, stratum_numbers
from tasks.training.warm_start import WarmStart


class FakeSplits:
    """As much of `Splits` as a training asks."""

    classes = Classes()
    by_origin = ("base", "line 2", "line 3")  # the names alone


def row(content: str, origin: str = "base", label: str = "ok_front") -> Row:
    return Row(f"{content}.jpeg", content, label, origin, "", 48, 48, 120.0, 110.0, 9.0, content, "train")


def plan(rows, start=None, model: str = "compact") -> TrainingPlan:
    return TrainingPlan(rows, [], TrainingSettings(model=model).recipe(), start)


def test_each_origin_has_its_share():
    rows = [row("a"), row("b", "line 3"), row("c", "line 2"), row("d")]
    assert stratum_numbers(rows, plan(rows), FakeSplits).tolist() == [0, 8, 4, 0]


def test_where_training_continues_old_and_new_images_of_each_origin_have_theirs(tmp_path):
    rows = [row("a"), row("b", "line 3"), row("c", "line 2"), row("d"), row("e")]
    start = WarmStart("aa", tmp_path, frozenset({"a", "b"}))
    assert stratum_numbers(rows, plan(rows, start), FakeSplits).tolist() == [2, 10, 4, 0, 0]


def test_a_balanced_training_shows_each_class_of_each_origin_equally_often():
    rows = [row("a"), row("b", label="def_front"), row("c", "line 2"), row("d", "line 2", "def_front"), row("e")]
    assert stratum_numbers(rows, plan(rows, model="patch"), FakeSplits).tolist() == [0, 1, 4, 5, 0]


@pytest.fixture
def rows_without_ring(monkeypatch):
    """Makes rows of which these, by number, show no ring."""

    def make(*missing: int) -> list[Row]:
        rows = [row(f"{number}", label=("def_front", "ok_front")[number % 2]) for number in range(6)]
        residuals = np.array([np.nan if number in missing else 0.001 for number in range(6)])
        levels = np.arange(6, dtype=np.uint8)[:, None, None, None]
        monkeypatch.setattr(
            training_set.loading, "load_inputs", lambda *_: InputBatch(levels, residuals, levels[..., 0])
        )
        return rows

    return make


@pytest.mark.usefixtures("tensorflow")
def test_images_without_a_ring_are_left_out_and_counted(rows_without_ring, places, capsys):
    rows = rows_without_ring(1, 4)
    found = load_examples(rows, plan(rows, model="ring"), FakeSplits, places)
    assert found.rows == [rows[number] for number in (0, 2, 3, 5)]
    assert found.examples.pixels.ravel().tolist() == [0, 2, 3, 5]
    assert found.examples.labels.tolist() == [1, 1, 0, 0]
    assert len(found.examples.strata) == 4
    assert capsys.readouterr().out == "train: 2 of 6 train images show no ring and are left out\n"


@pytest.mark.usefixtures("tensorflow")
def test_where_all_show_a_ring_nothing_is_said(rows_without_ring, places, capsys):
    rows = rows_without_ring()
    assert load_examples(rows, plan(rows, model="ring"), FakeSplits, places).rows == rows
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("tensorflow")
def test_a_class_without_a_ring_is_told(rows_without_ring, places):
    rows = rows_without_ring(0, 2, 4)
    with pytest.raises(BadInput, match=r"a ring is found in 3 of 6 train images, .* take --model patch"):
        load_examples(rows, plan(rows, model="ring"), FakeSplits, places)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("masked", "has_marks"), [("train", True), ("validation", False)])
def test_images_that_train_and_validate_both_have_marks_or_neither(
    masked, has_marks, rows_without_ring, places, monkeypatch
):
    """Masks of one split alone: those of training images teach the map, those of others do not."""
    rows = [image._replace(split=split) for split in ("train", "validation") for image in rows_without_ring()]
    rows = [
        image._replace(mask="aa/aa.png") if image.split == masked and image.label == "def_front" else image
        for image in rows
    ]
    monkeypatch.setattr(training_set.marks, "pixels_of", lambda image, places: np.ones((48, 48), bool))
    train, validation = ([image for image in rows if image.split == split] for split in ("train", "validation"))
    planned = plan(train, model="patch")._replace(validation_rows=validation)
    for split in (train, validation):
        assert (load_examples(split, planned, FakeSplits, places).examples.marks is not None) is has_marks


@pytest.mark.parametrize("images", [1, 7, 200, 999, 1_000, 5_000])
def test_copies_with_blemishes_are_many_and_count_in_an_epoch(images):
    normal, both = (TrainingSettings(model=model).recipe() for model in ("normal", "patch"))
    copies = count_shown(normal, images, "train") - images
    assert copies >= LEAST_COPIES and copies % images == 0 and copies - images < LEAST_COPIES
    assert count_shown(normal, images, "validation") == 2 * images
    assert count_shown(both, images, "train") == count_shown(both, images, "validation") == images
