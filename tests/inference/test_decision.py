"""Decision: pass, review or reject, and why."""

import numpy as np
import pytest

from tasks.inference.decision import DECIDED_BY_PROBABILITY, DecisionRule, Evidence, read
from tasks.inference.out_of_distribution import FeatureGaussian
from tasks.records.results import Guarantee
from tasks.records.rows import CAUSES
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes

PLAIN = DecisionRule(classes=Classes(), model="compact", network_sha256="ab" * 32, view="raw", image_size=75)
BANDED = PLAIN.model_copy(update={"threshold": 0.4, "review_band": (0.3, 0.6)})


def make_gaussian(quantities: int, limit: float) -> FeatureGaussian:
    """Uncorrelated, of mean 100 and deviation 10 each."""
    unit = np.eye(quantities)
    return FeatureGaussian(
        usual=(100,) * quantities, spread=(10,) * quantities, directions=tuple(map(tuple, unit)),
        widths=(1,) * quantities, width_across=1, limit=limit,
    )  # fmt: skip


CAREFUL = BANDED.model_copy(
    update={"appearance": make_gaussian(11, 5), "features": make_gaussian(2, 3), "max_residual": 0.004}
)


def make_evidence(
    margin: float = -3.0, residual: float = 0.001, border: float = 100.0, feature: float = 100.0
) -> Evidence:
    appearance = np.full(11, 100.0)
    appearance[7] = border
    return Evidence(margin, np.array([100.0, feature]), appearance, residual)


@pytest.mark.parametrize(
    ("probability", "decision"), [(0.0, "pass"), (0.4999, "pass"), (0.5, "reject"), (1.0, "reject")]
)
def test_without_a_band_a_person_is_never_asked(probability, decision):
    assert PLAIN.decide_by_probability(probability).name == decision


def test_a_picture_is_known_where_it_is_near_that_of_one_origin():
    distant = make_gaussian(11, 5).model_copy(update={"usual": (100,) * 7 + (300,) + (100,) * 3})
    rule = BANDED.model_copy(
        update={"appearance": make_gaussian(11, 5), "appearances": (make_gaussian(11, 5), distant)}
    )
    images = [make_evidence(border=border) for border in (100.0, 200.0, 300.0, 340.0, 351.0, float("nan"))]
    assert [image.cause == "unlike_training" for image in rule.judge(images)] == [False, True, False, False, True, True]
    assert "a brighter border (351, where 300 is usual)" in rule.judge(images)[4].reason
    stored = rule.model_dump(exclude={"appearances"})
    assert [image.cause for image in DecisionRule.model_validate(stored).judge(images[2:3])] == ["unlike_training"]


@pytest.mark.parametrize(
    ("probability", "decision"),
    [(0.299, "pass"), (0.3, "review"), (0.4, "review"), (0.5, "review"), (0.6, "review"), (0.601, "reject")],
)
def test_inside_the_band_a_person_looks_whatever_the_threshold(probability, decision):
    assert BANDED.decide_by_probability(probability).name == decision


def test_the_reason_gives_the_numbers():
    assert PLAIN.decide_by_probability(0.6).reason == "defect probability 60.0% is at least the limit of 50.0%"
    assert PLAIN.decide_by_probability(0.4).reason == "defect probability 40.0% is below the limit of 50.0%"
    assert BANDED.decide_by_probability(0.2).reason == "defect probability 20.0% is below the limit of 30.0%"
    assert (
        BANDED.decide_by_probability(0.35).reason
        == "the network is not sure: defect probability 35.0% lies between 30.0% and 60.0%"
    )


@pytest.mark.parametrize("margin", [-9.0, 9.0])
@pytest.mark.parametrize(
    ("strange", "cause", "detail"),
    [
        ({"residual": np.nan}, "no_ring", ""),
        ({"residual": 0.005}, "poor_ring", ": its rim is 0.50% off an ellipse, and 0.40% is the most"),
        ({"border": 231.0}, "unlike_training", ": a brighter border (231, where 100 is usual)"),
        (
            {"feature": 140.0},
            "unlike_training",
            ": what the network sees in it is 4.0 from what it knows, and 3.0 is the most",
        ),
    ],
)
def test_what_was_not_seen_well_or_is_unlike_goes_to_a_person_however_sure_the_network(margin, strange, cause, detail):
    (decision,) = CAREFUL.judge([make_evidence(margin, **strange)])
    assert (decision.name, decision.cause, decision.reason) == ("review", cause, CAUSES[cause] + detail)
    assert (decision.probability is None) == ("residual" in strange)


@pytest.mark.parametrize(("margin", "decision"), [(-3, "pass"), (0, "review"), (3, "reject")])
def test_a_familiar_image_is_decided_by_its_probability(margin, decision):
    assert CAREFUL.judge([make_evidence(margin)])[0].name == decision


def test_the_temperature_divides_the_margin():
    warm = PLAIN.model_copy(update={"temperature": 2.0})
    assert warm.judge([make_evidence(3.0)])[0].probability == pytest.approx(1 / (1 + np.exp(-1.5)))


@pytest.mark.parametrize(
    ("probability", "label", "sure"), [(0.9, "def_front", 0.9), (0.5, "def_front", 0.5), (0.2, "ok_front", 0.8)]
)
def test_the_likelier_class_has_at_least_one_half(probability, label, sure):
    assert PLAIN.most_likely(probability) == (label, pytest.approx(sure))
    assert BANDED.most_likely(probability)[0] == label  # the threshold decides, it does not label


def test_a_decision_comes_back_from_its_file(tmp_path):
    path = tmp_path / "decision.json"
    decision = CAREFUL.model_copy(update={"classes": Classes(defect="schlecht", good="größer")})
    path.write_text(decision.model_dump_json(), encoding="utf-8")
    assert read(path) == decision


def test_a_decision_without_the_network_it_is_for_is_refused(tmp_path):
    path = tmp_path / "decision.json"
    path.write_text('{"classes": {}, "model": "compact", "view": "raw", "image_size": 75}')
    with pytest.raises(BadInput, match="decision.json is damaged: Field required"):
        read(path)


@pytest.mark.parametrize("broken", [{"margin": np.nan}, {"border": np.nan}, {"feature": np.nan}])
def test_what_is_no_number_goes_to_a_person(broken):
    assert CAREFUL.judge([make_evidence(**broken)])[0].name == "review"
    assert PLAIN.judge([make_evidence(margin=np.nan)])[0] == (
        "review", "no_number", CAUSES["no_number"], None
    )  # fmt: skip


@pytest.mark.parametrize("chance", [0.2, 0.35, 0.9])
def test_the_probability_stands_beside_the_decision(chance):
    assert BANDED.decide_by_probability(chance).probability == chance


def test_a_ring_that_fits_as_badly_as_is_allowed_is_judged():
    assert CAREFUL.judge([make_evidence(residual=0.004)])[0].name == "pass"


@pytest.mark.parametrize("at", [{"border": 150.0}, {"feature": 130.0}])
def test_an_image_at_the_limit_of_what_is_known_is_familiar(at):
    assert CAREFUL.judge([make_evidence(**at)])[0].name == "pass"


PROMISE = Guarantee(share=0.05, confidence=0.95, parts=73, may_pass=0, missing=0, by_part=True)


def test_a_rule_that_promises_nothing_is_written_as_before_there_were_guarantees(tmp_path):
    """Else the digest of a model would change, and with it what was decided about the model."""
    assert "guarantee" not in BANDED.model_dump_json()
    path = tmp_path / "decision.json"
    path.write_text(BANDED.model_copy(update={"guarantee": PROMISE}).model_dump_json())
    assert read(path).guarantee == PROMISE


@pytest.mark.parametrize(
    ("margin", "decision"), [(-np.inf, "review"), (-800.0, "review"), (0.0, "review"), (9.0, "reject")]
)
def test_where_the_limit_is_0_nothing_passes(margin, decision):
    rule = BANDED.model_copy(update={"review_band": (0.0, 0.6)})
    assert rule.judge([make_evidence(margin)])[0].name == decision


def test_the_causes_by_probability_are_those_of_decisions_by_probability():
    assert {BANDED.decide_by_probability(chance).cause for chance in (0.1, 0.4, 0.9)} == DECIDED_BY_PROBABILITY
