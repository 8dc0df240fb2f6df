"""Decisions: pass, review or reject, and why."""

import pytest

from tasks.models.decisions import Decision, read
from tasks.runs.config import Classes
from tasks.runs.errors import BadInput

PLAIN = Decision(classes=Classes(), model="compact", network_sha256="ab" * 32, view="raw", image_size=75)
BANDED = PLAIN.model_copy(update={"threshold": 0.4, "review_band": (0.3, 0.6)})


@pytest.mark.parametrize(
    ("probability", "decision"), [(0.0, "pass"), (0.4999, "pass"), (0.5, "reject"), (1.0, "reject")]
)
def test_without_a_band_a_person_is_never_asked(probability, decision):
    assert PLAIN.decide(probability).decision == decision


@pytest.mark.parametrize(
    ("probability", "decision"),
    [(0.299, "pass"), (0.3, "review"), (0.4, "review"), (0.5, "review"), (0.6, "review"), (0.601, "reject")],
)
def test_inside_the_band_a_person_looks_whatever_the_threshold(probability, decision):
    assert BANDED.decide(probability).decision == decision


def test_the_reason_gives_the_numbers():
    assert PLAIN.decide(0.6).reason == "defect probability 60.0% is at least the threshold 50.0%"
    assert PLAIN.decide(0.4).reason == "defect probability 40.0% is below the threshold 50.0%"
    assert BANDED.decide(0.35).reason == "defect probability 35.0% lies between 30.0% and 60.0%"


@pytest.mark.parametrize(
    ("probability", "label", "sure"), [(0.9, "def_front", 0.9), (0.5, "def_front", 0.5), (0.2, "ok_front", 0.8)]
)
def test_the_likelier_class_has_at_least_one_half(probability, label, sure):
    assert PLAIN.most_likely(probability) == (label, pytest.approx(sure))
    assert BANDED.most_likely(probability)[0] == label  # the threshold decides, it does not label


def test_a_decision_comes_back_from_its_file(tmp_path):
    path = tmp_path / "decision.json"
    decision = BANDED.model_copy(update={"classes": Classes(defect="schlecht", good="größer")})
    path.write_text(decision.model_dump_json(indent=2), encoding="utf-8")
    assert read(path) == decision


def test_a_decision_without_the_network_it_is_for_is_refused(tmp_path):
    path = tmp_path / "decision.json"
    path.write_text('{"classes": {}, "model": "compact", "view": "raw", "image_size": 75}')
    with pytest.raises(BadInput, match="decision.json is damaged: Field required"):
        read(path)
