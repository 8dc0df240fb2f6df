"""Scoring: a released model judges stored images as it did in its evaluation, and judges each image once."""

import pytest
from conftest import copy_places

from tasks.inference import model_folder, scoring
from tasks.inference.scoring import judge_by
from tasks.records.rows import Prediction, Row
from tasks.settings.errors import BadInput
from tasks.storage.tables import read_table


@pytest.fixture
def released(exported_training, places):
    """(test rows, what was said of them, digest of the model's folder)."""
    (_, _, splits, _, evaluation, *_), exports, made = exported_training
    copy_places(made, places)
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split == "test"]
    said = [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]
    return rows, said, exports.digest


def test_it_says_what_it_said_and_is_asked_of_each_image_once(released, places, monkeypatch):
    rows, said, digest = released
    first = judge_by(digest, rows[:5], places)
    asked = []
    look = scoring.collect_evidence
    monkeypatch.setattr(
        scoring, "collect_evidence", lambda network, some, *rest: asked.extend(some) or look(network, some, *rest)
    )
    answers = judge_by(digest, [*rows, rows[0]], places)
    assert [row.path for row in asked] == [row.path for row in rows[5:]]
    assert answers[:5] == first
    assert answers[-1] == answers[0]
    for one, other in zip(said, answers, strict=False):
        assert one._replace(defect_probability=0, reason="", group="") == other._replace(
            defect_probability=0, reason="", group=""
        )
        assert one.defect_probability == pytest.approx(other.defect_probability, abs=1e-5)
    asked.clear()
    assert judge_by(digest, rows, places) == answers[:-1]
    assert asked == []


def test_a_damaged_folder_is_not_asked(released, places):
    rows, _, digest = released
    (model_folder.path(digest, places) / "decision.json").write_text("{}")
    with pytest.raises(BadInput, match=r"decision\.json has changed: this is not the model as it was released"):
        judge_by(digest, rows, places)
