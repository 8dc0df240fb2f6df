"""Evaluate: every validation and test image judged once, and every figure taken from that table."""

import pytest

from tasks.evaluate import evaluate
from tasks.images import manifest
from tasks.models import decisions
from tasks.models.metrics import Prediction
from tasks.runs.config import Evaluation, Training
from tasks.runs.tables import read_table
from tasks.train import train

pytestmark = pytest.mark.slow


@pytest.fixture
def judged(prepared, places):
    *_, splits = prepared()
    model = train.fn(splits, Training(epochs=2, image_size=32).recipe(), places)
    return splits, model, evaluate.fn(splits, model, Evaluation(), places)


def test_each_validation_and_test_image_is_judged_once(judged, places):
    splits, _, evaluation = judged
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    rows = [row for row in read_table(splits.table.path(places), manifest.Row) if row.split in ("validation", "test")]
    assert [(one.origin, one.path, one.sha256, one.label, one.split) for one in predictions] == [
        (row.origin, row.path, row.sha256, row.label, row.split) for row in rows
    ]
    assert all(0 <= one.defect_probability <= 1 for one in predictions)


def test_the_scores_are_those_of_the_table(judged, places):
    splits, _, evaluation = judged
    test = [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]
    right = sum((one.defect_probability >= 0.5) == (one.label == splits.classes.defect) for one in test)
    assert evaluation.test.images == len(test) == 16
    assert evaluation.test.accuracy == pytest.approx(right / 16)
    assert evaluation.slices == {"base": evaluation.test}


def test_the_decision_names_the_network_it_belongs_to(judged, places):
    splits, model, evaluation = judged
    decision = decisions.read(evaluation.decision.path(places))
    assert decision.network_sha256 == model.file.sha256
    assert decision.classes == splits.classes
    assert (decision.view, decision.image_size) == ("raw", 32)
