"""Normality: limits from good parts alone promise how many good parts are flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inference.decision import DecisionRule, Evidence, read
from tasks.inference.normality import LEAST_SPREAD, LIMIT, halfway_above, limits, with_normal_limits
from tasks.inference.out_of_distribution import FeatureGaussian
from tasks.inference.rule_fitting import fit_decision_rule
from tasks.records.results import Normality
from tasks.records.rows import Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, EvaluationSettings

PLAIN = DecisionRule(classes=Classes(), model="normal", network_sha256="ab" * 32, view="detail", image_size=64)
COSTS = EvaluationSettings()
FLAGGED, REJECTED = 0.05, 0.01
MARGINS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300)
SHARES = st.floats(0, 1, exclude_max=True)


def make_evidence(margin: float, border: float = 100.0, feature: float = 100.0) -> Evidence:
    appearance = np.full(11, 100.0)
    appearance[7] = border
    return Evidence(margin, np.array([100.0, feature]), appearance, 0.0)


def make_gaussian(quantities: int, limit: float) -> FeatureGaussian:
    """Uncorrelated, of mean 100 and deviation 10 each."""
    unit = np.eye(quantities)
    return FeatureGaussian(
        usual=(100,) * quantities, spread=(10,) * quantities, directions=tuple(map(tuple, unit)),
        widths=(1,) * quantities, width_across=1, limit=limit,
    )  # fmt: skip


def make_row(part: int, label: str = "ok_front", split: str = "validation") -> Row:
    return Row(f"{part}.jpeg", f"{part}", label, "base", "", 48, 48, 120.0, 110.0, 9.0, f"part {part}", split)


def held_out(margins: np.ndarray, each: int = 1) -> list[tuple[Row, Evidence]]:
    """Good parts that validate, of `each` images each, with these margins."""
    return [(make_row(number // each), make_evidence(float(margin))) for number, margin in enumerate(margins)]


def drawn(seed: int, count: int, form: str) -> np.ndarray:
    random = np.random.default_rng(seed)
    return {
        "normal": random.normal(-4, 1, count),
        "heavy tail": random.standard_t(2, count),
        "ties": random.normal(-4, 1, count).round(),
        "equal": np.full(count, -3.7),
        "two levels": random.choice([-5.0, 5.0], count),
    }[form]


FORMS = pytest.mark.parametrize("form", ["normal", "heavy tail", "ties", "equal", "two levels"])


@given(MARGINS, SHARES)
def test_no_larger_share_reaches_the_limit(margins, share):
    limit = halfway_above(share, np.array(margins))
    assert sum(margin >= limit for margin in margins) <= share * len(margins)
    assert min(margins) <= limit <= max(margins) + LEAST_SPREAD


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.29, 0.5])
@pytest.mark.parametrize("count", [1, 2, 19, 100, 1_001])
def test_the_limit_is_no_higher_than_need_be(share, count):
    """It lies halfway, so that a small change of the margins moves none across."""
    margins = np.random.default_rng(count).permutation(np.arange(count, dtype=float))
    limit = halfway_above(share, margins)
    assert (margins > limit).sum() == int(share * count)
    assert limit % 1 == pytest.approx(0.5 if int(share * count) else LEAST_SPREAD)


@FORMS
@pytest.mark.parametrize("count", [100, 101, 250, 1_999])
def test_of_many_parts_no_more_than_the_shares_lie_above_the_limits(form, count):
    for seed in range(20):
        margins = drawn(seed, count, form)
        low, high = limits(margins, count, FLAGGED, REJECTED)
        assert (margins >= low).sum() <= FLAGGED * count
        assert (margins >= high).sum() <= REJECTED * count
        assert low < high


@FORMS
@pytest.mark.parametrize("count", [1, 2, 5, 19])
def test_of_few_parts_nothing_that_was_seen_lies_above_the_lower_limit(form, count):
    for seed in range(20):
        margins = drawn(seed, count, form)
        low, high = limits(margins, count, FLAGGED, REJECTED)
        assert margins.max() < low < high


def test_many_images_of_few_parts_are_few_parts():
    margins = drawn(0, 4_000, "normal")
    low, _ = limits(margins, 19, FLAGGED, REJECTED)
    assert low > margins.max()
    assert limits(margins, 20, FLAGGED, REJECTED)[0] < margins.max()


@FORMS
@pytest.mark.parametrize("count", [20, 50, 99])
def test_nothing_that_was_seen_lies_above_a_limit_that_cannot_be_counted(form, count):
    for seed in range(20):
        margins = drawn(seed, count, form)
        assert margins.max() < limits(margins, count, FLAGGED, REJECTED)[1]


def test_where_one_share_alone_can_be_counted_the_other_limit_follows_the_tail():
    """The upper half of these margins is exponential up to a little above the second limit, so both limits are known."""
    margins = -4 + np.random.default_rng(0).exponential(1, 20_000) * np.random.default_rng(1).choice([-1, 1], 20_000)
    margins = margins[margins < -4 + np.log(0.5 / REJECTED)]
    low, high = limits(margins, 50, FLAGGED, REJECTED)
    assert low == pytest.approx(-4 + np.log(0.5 / FLAGGED), abs=0.3)
    assert high == pytest.approx(-4 + np.log(0.5 / REJECTED), abs=0.3)


def test_the_rule_passes_reviews_and_rejects_by_both_limits():
    margins = np.random.default_rng(0).normal(-4, 1, 1_000)
    rule = with_normal_limits(PLAIN, held_out(margins), COSTS)
    low, high = limits(margins, 1_000, FLAGGED, REJECTED)
    assert (rule.offset, rule.threshold, rule.review_band) == (low, LIMIT, (0.5, LIMIT))
    assert rule.temperature == pytest.approx((high - low) / np.log(LIMIT / (1 - LIMIT)))
    assert rule.normal == Normality(images=1_000, parts=1_000, flagged_share=0.05, rejected_share=0.01)
    between = (low + high) / 2
    decisions = rule.judge([make_evidence(margin) for margin in (low - 1e-3, low + 1e-3, between, high + 1e-3)])
    assert [decision.name for decision in decisions] == ["pass", "review", "review", "reject"]
    assert all("anomaly score" in decision.reason for decision in decisions)
    assert decisions[0].reason == "anomaly score 49.9% is below the limit of 50.0%"


@pytest.mark.parametrize("spread", [1e-6, 1.0, 1e6])
def test_limits_are_the_same_scores_however_wide_the_margins_lie(spread):
    margins = drawn(0, 1_000, "normal")
    rules = [with_normal_limits(PLAIN, held_out(margins * factor), COSTS) for factor in (1.0, spread)]
    low, high = limits(margins * spread, 1_000, FLAGGED, REJECTED)
    far = low + 3 * (high - low)
    assert rules[0].threshold == rules[1].threshold == LIMIT
    assert rules[1].judge([make_evidence(far)])[0].name == "reject"


def test_of_the_parts_that_set_the_limits_no_more_are_flagged_and_rejected_than_promised():
    images = held_out(np.random.default_rng(1).standard_t(2, 777))
    names = [
        decision.name for decision in with_normal_limits(PLAIN, images, COSTS).judge([image for _, image in images])
    ]
    assert names.count("reject") == int(REJECTED * 777)
    assert names.count("reject") + names.count("review") == int(FLAGGED * 777)


@pytest.mark.parametrize(
    ("changes", "rejected"),
    [({}, 0.01), ({"review_cost": 0.8}, 0.04), ({"flagged_share": 0.2, "review_cost": 0.1}, 0.02)],
)
def test_rejected_good_parts_cost_no_more_than_looks_at_flagged_ones(changes, rejected):
    costs = EvaluationSettings(**changes)
    normal = with_normal_limits(PLAIN, held_out(np.arange(10.0)), costs).normal
    assert normal.rejected_share == pytest.approx(rejected)
    assert normal.rejected_share * costs.false_reject_cost <= normal.flagged_share * costs.review_cost + 1e-9


def test_parts_are_counted_and_images_of_no_number_are_not():
    margins = np.array([*np.linspace(-5, -3, 20), np.nan, np.nan, np.inf, -np.inf])
    rule = with_normal_limits(PLAIN, held_out(margins, each=2), COSTS)
    assert (rule.normal.images, rule.normal.parts) == (20, 10)
    assert -3 < rule.offset < 5


@pytest.mark.parametrize("margins", [[], [np.nan], [np.nan, np.inf, -np.inf]])
def test_limits_need_a_part_with_a_number(margins):
    with pytest.raises(BadInput, match="no held-out good part gets a number .* bring more good parts"):
        with_normal_limits(PLAIN, held_out(np.array(margins)), COSTS)


@pytest.mark.parametrize("count", [5, 50, 500])
def test_a_rule_comes_back_from_its_file(count, tmp_path):
    rule = with_normal_limits(PLAIN, held_out(drawn(0, count, "normal")), COSTS)
    path = tmp_path / "decision.json"
    path.write_text(rule.model_dump_json())
    again = read(path)
    assert again == rule
    images = [make_evidence(margin) for margin in np.linspace(-10, 10, 201)]
    assert again.judge(images) == rule.judge(images)


def test_a_rule_of_both_classes_is_written_as_before_there_was_one_of_good_parts():
    """Else the digest of a model would change, and with it what was decided about the model."""
    assert PLAIN.model_dump().keys().isdisjoint({"offset", "normal"})
    assert "offset" not in PLAIN.model_dump_json() and "Normal" not in PLAIN.model_dump_json()
    normal = with_normal_limits(PLAIN, held_out(np.arange(10.0)), COSTS)
    assert normal.model_dump().keys() - PLAIN.model_dump().keys() == {"offset", "normal"}


@pytest.fixture
def careful() -> DecisionRule:
    """A rule whose limits are some -2.4 and -1.7, and which knows features and appearance."""
    gaussians = {"appearance": make_gaussian(11, 5), "features": make_gaussian(2, 3)}
    return with_normal_limits(PLAIN.model_copy(update=gaussians), held_out(drawn(0, 1_000, "normal")), COSTS)


@pytest.mark.parametrize(
    ("margin", "strange", "name", "cause"),
    [
        (-6.0, {}, "pass", "below_limit"),
        (9.0, {}, "reject", "above_limit"),
        (9.0, {"feature": 900.0}, "reject", "above_limit"),
        (9.0, {"feature": np.nan}, "reject", "above_limit"),
        (-6.0, {"feature": 900.0}, "review", "unlike_training"),
        (9.0, {"border": 900.0}, "review", "unlike_training"),
        (9.0, {"border": 900.0, "feature": 900.0}, "review", "unlike_training"),
        (np.nan, {}, "review", "no_number"),
        (np.nan, {"feature": 900.0}, "review", "no_number"),
    ],
)
def test_what_is_rejected_may_have_strange_features_but_no_strange_appearance(careful, margin, strange, name, cause):
    (decision,) = careful.judge([make_evidence(margin, **strange)])
    assert (decision.name, decision.cause) == (name, cause)


def test_between_the_limits_strange_features_are_told(careful):
    margin = careful.offset + 1e-3
    causes = [careful.judge([make_evidence(margin, feature=feature)])[0].cause for feature in (100.0, 900.0)]
    assert causes == ["between_limits", "unlike_training"]


def test_a_rule_of_both_classes_still_sends_strange_features_to_a_person():
    rule = PLAIN.model_copy(update={"features": make_gaussian(2, 3)})
    assert rule.judge([make_evidence(9.0, feature=900.0)])[0].name == "review"


def test_good_parts_that_validate_set_the_limits_and_no_others(model):
    """Defective parts set none, nor do good ones that train or test."""
    margins = drawn(0, 100, "normal")
    validation = held_out(margins)
    others = [
        (make_row(1_000 + number, label, split), make_evidence(50.0, border=250.0))
        for number, (label, split) in enumerate(
            [("def_front", "validation"), ("def_front", "train"), ("def_front", "test"), ("ok_front", "test")] * 5
        )
    ]
    trained = [(make_row(2_000 + number, split="train"), make_evidence(-99.0)) for number in range(5)]
    rows, evidence = zip(*validation, *others, *trained, strict=True)
    record = model.model_copy(update={"name": "normal", "view": "detail", "image_size": 64})
    rule = fit_decision_rule(rows, evidence, Classes(), record, COSTS)
    assert rule.normal == Normality(images=100, parts=100, flagged_share=0.05, rejected_share=0.01)
    assert rule.offset == limits(margins, 100, FLAGGED, REJECTED)[0]
    assert {image.usual[7] for image in rule.picture_clouds} == {100.0}
    both = fit_decision_rule(rows, evidence, Classes(), record.model_copy(update={"name": "patch"}), COSTS)
    assert (both.normal, both.offset) == (None, 0.0)
