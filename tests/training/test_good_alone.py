"""Good alone: a network that learns from good parts alone, from the photographs to the rules of the gate."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import prepare

from tasks.evaluate import evaluate
from tasks.evaluation.promotion_rules import blemish_rules
from tasks.images.marks import DEFECT, SOUND
from tasks.inference.decision import read
from tasks.records.results import Evaluation, Exports, Normality
from tasks.records.rows import Prediction, Row
from tasks.release import Candidate
from tasks.settings.settings import AcceptanceSettings, EvaluationSettings, TrainingSettings
from tasks.storage.tables import read_table
from tasks.train import train
from tasks.training import training_set
from tasks.training.training_set import TrainingPlan, load_examples

pytestmark = pytest.mark.usefixtures("tensorflow")
RECIPE = TrainingSettings(model="normal", epochs=1, image_size=64).recipe()


@pytest.fixture(autouse=True)
def few_copies(monkeypatch):
    """So many copies that each training image has several, and an epoch takes seconds."""
    monkeypatch.setattr(training_set, "LEAST_COPIES", 100)


@pytest.fixture
def splits_of(dataset, places):
    """Divides 24 good photographs that train, and so many defects beside them."""

    def divide(defects: bool):
        folder: Path = dataset({"train": 24, "test": 8}, size=(64, 64))
        if not defects:
            for split in ("train", "test"):
                shutil.rmtree(folder / split / "def_front")
        return prepare(folder, places, good_alone=True)[-1]

    return divide


def rows_of(splits, places, split: str) -> list[Row]:
    return [row for row in read_table(splits.table.path(places), Row) if row.split == split]


@pytest.mark.parametrize("defects", [False, True])
def test_good_parts_and_their_copies_with_blemishes_are_the_examples(splits_of, places, defects):
    splits = splits_of(defects)
    train_rows, validation_rows = (rows_of(splits, places, split) for split in ("train", "validation"))
    assert {row.label for row in (*train_rows, *validation_rows)} == {"ok_front"}
    plan = TrainingPlan(train_rows, validation_rows, RECIPE, None)
    train_images, validation_images = (load_examples(rows, plan, splits, places) for rows in plan[:2])
    each = -(-100 // len(train_rows))
    assert each > 1
    for images, rows, copies in ((train_images, train_rows, each), (validation_images, validation_rows, 1)):
        good, examples = len(rows), images.examples
        assert images.rows == rows
        assert np.bincount(examples.labels).tolist() == [good, copies * good]
        assert examples.strata.tolist() == examples.labels.tolist(), (
            "one origin: a stratum of good parts, one of copies"
        )
        assert examples.marks.shape == examples.pixels.shape[:3]
        assert (examples.marks[:good] == SOUND).all()
        assert (examples.marks[good:] == DEFECT).any(axis=(1, 2)).mean() > 0.95
        originals = np.tile(examples.pixels[:good], (copies, 1, 1, 1))
        assert (examples.pixels[good:] != originals).any(axis=(1, 2, 3)).all()
    assert not np.array_equal(
        train_images.examples.marks[len(train_rows) :][: len(validation_rows)],
        validation_images.examples.marks[len(validation_rows) :],
    )


def test_each_origin_and_its_copies_have_their_shares(splits_of, places):
    splits = splits_of(False)
    rows = [
        row._replace(origin="line 2") if number % 3 == 0 else row
        for number, row in enumerate(rows_of(splits, places, "train"))
    ]
    splits = splits.model_copy(update={"by_origin": {"base": 1, "line 2": 1}})
    examples = load_examples(rows, TrainingPlan(rows, [], RECIPE, None), splits, places).examples
    is_new = np.array([row.origin == "line 2" for row in rows])
    numbers = np.arange(len(examples.labels)) % len(rows)
    assert examples.strata.tolist() == (4 * is_new[numbers] + examples.labels).tolist()
    assert set(examples.strata) == {0, 1, 4, 5}


def test_defects_that_are_given_to_a_network_of_good_parts_alone_are_left_out(splits_of, places):
    splits = splits_of(True)
    rows = [row._replace(split="train") for row in rows_of(splits, places, "test")]
    good = [row for row in rows if row.label == "ok_front"]
    assert 0 < len(good) < len(rows)
    assert load_examples(rows, TrainingPlan(rows, [], RECIPE, None), splits, places).rows == good


def test_a_training_on_good_parts_alone_ends_in_limits_and_judged_blemishes(splits_of, places):
    splits = splits_of(False)
    model = train.fn(splits, RECIPE, places)
    evaluation: Evaluation = evaluate.fn(splits, model, EvaluationSettings(), None, places)
    assert (model.name, model.view, model.images) == ("normal", "detail", splits.by_split["train"])
    held_out = splits.by_split["validation"]
    assert evaluation.normal == Normality(images=held_out, parts=held_out, flagged_share=0.05, rejected_share=0.01)
    rule = read(evaluation.decision.path(places))
    assert (rule.normal, rule.threshold, rule.review_band) == (
        evaluation.normal, evaluation.threshold, (0.5, evaluation.threshold),
    )  # fmt: skip
    assert rule.threshold > 0.5
    drawn = evaluation.blemishes
    assert drawn.images == splits.by_split["test"] == drawn.passed + drawn.reviewed + drawn.rejected
    assert 0 <= drawn.auc <= 1
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    assert {one.split for one in predictions} == {"validation", "test"}
    assert all(one.defect_probability < 0.5 for one in predictions if one.split == "validation")
    strict = AcceptanceSettings(max_blemishes_passed=0)
    no_exports = Exports(digest="aa", contents=(), formats={})
    candidate = Candidate(splits, model, evaluation, no_exports, EvaluationSettings(), strict, "run 1", places)
    rules = {one.code: one for one in candidate.own_rules}
    assert rules["drawn_blemishes"] == blemish_rules(drawn, strict)[0]
    assert rules["drawn_blemishes"].kept == (drawn.passed == 0)
    assert rules["beside_majority"].for_person, "no defects: a person decides"
    assert "crossfit" not in rules["beside_majority"].figure
