"""Baseline comparison: a part counts once, and only a part of which no image trained the model or the baseline."""

from collections.abc import Sequence
from math import comb

import numpy as np
import pytest

from tasks.evaluation.baseline_comparison import compare_with_baselines, pair_parts, rank_p, unseen
from tasks.evaluation.by_part import Parts
from tasks.records.results import BaselineComparison, PairedParts
from tasks.records.rows import Prediction, Row
from tasks.settings.settings import Classes, EvaluationSettings

CLASSES, COSTS = Classes(), EvaluationSettings()
SIDE = 32


def make_rows(split: str, defective: int, good: int, each: int = 2, first: int = 0) -> list[Row]:
    """Rows of so many parts of each class, each on `each` images; their light tells nothing."""
    light = np.random.default_rng(first)
    return [
        Row(f"{part}/{number}.jpeg", f"{part} {number}", label, "base", "", 300, 300, *light.normal(100, 10, 3), part, split)
        for label, parts in ((CLASSES.defect, defective), (CLASSES.good, good))
        for part in (f"{split} {label} {first + index}" for index in range(parts))
        for number in range(each)
    ]  # fmt: skip


def judge(rows: Sequence[Row], wrong: Sequence[str] = (), fold: dict[str, int] | None = None) -> list[Prediction]:
    """Judge the rows rightly and surely, but for the parts that are named."""
    judged = []
    for row in rows:
        is_rejected = (row.label == CLASSES.defect) != (row.group in wrong)
        split = f"fold {fold[row.group]}" if fold else row.split
        chance, decision = (0.99, "reject") if is_rejected else (0.01, "pass")
        judged.append(
            Prediction(row.path, row.sha256, split, row.origin, row.label, row.group, chance, decision, "", "above_limit")
        )  # fmt: skip
    return judged


def draw_parts(rows: Sequence[Row]) -> np.ndarray:
    """Draw a pattern of its own for each part, the same on all its images: who has learned a part knows it again."""
    patterns = {
        part: np.random.default_rng(number).integers(0, 256, (SIDE, SIDE), np.uint8)
        for number, part in enumerate(sorted({row.group for row in rows}))
    }
    return np.stack([patterns[row.group] for row in rows])


def draw_classes(rows: Sequence[Row]) -> np.ndarray:
    """Draw the same picture for all parts of a class, so that the look-up is right."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE), np.uint8)
    return np.stack([pictures[int(row.label == CLASSES.defect)] for row in rows])


def compare(rows, predictions=None, out_of_fold=(), draw=draw_parts, **changes) -> BaselineComparison:
    judged = [row for row in rows if row.split in ("validation", "test")]
    settings = EvaluationSettings(**changes)
    return compare_with_baselines(rows, predictions or judge(judged), out_of_fold, draw, CLASSES, settings)


TRAINED = make_rows("train", 6, 6)


def test_a_test_with_ten_parts_of_each_class_speaks_alone():
    found = compare([*TRAINED, *make_rows("validation", 3, 3), *make_rows("test", 10, 11)])
    assert (found.evidence, found.parts, found.defective_parts, found.good_parts) == ("test", 21, 10, 11)
    fewer = compare([*TRAINED, *make_rows("validation", 3, 3), *make_rows("test", 10, 9)])
    assert (fewer.evidence, fewer.parts, fewer.defective_parts, fewer.good_parts) == ("validation and test", 25, 13, 12)


def test_a_part_that_trains_counts_nowhere_and_one_that_validates_is_no_test():
    validating, testing = make_rows("validation", 2, 2), make_rows("test", 3, 3)
    again = [row._replace(split="test", path=f"again/{row.path}") for row in (TRAINED[0], validating[0])]
    rows = [*TRAINED, *validating, *testing, *again]
    assert [row.group for row, chosen in zip(rows, unseen(rows, ("test",)), strict=True) if chosen] == [
        row.group for row in testing
    ]
    either = {row.group for row, chosen in zip(rows, unseen(rows, ("validation", "test")), strict=True) if chosen}
    assert either == {row.group for row in (*validating, *testing)}
    assert compare(rows).parts == 10


def test_an_image_that_is_held_back_spoils_no_part():
    testing = make_rows("test", 3, 3)
    rows = [*TRAINED, *testing, testing[0]._replace(path="copy.jpeg", split="held_back")]
    assert compare(rows).parts == 6


def test_out_of_fold_a_baseline_has_learned_no_part_that_it_is_asked_about():
    rows = [*TRAINED, *make_rows("validation", 2, 2), *make_rows("test", 3, 3)]
    parts = sorted({row.group for row in rows})
    fold = {part: 1 + number % 2 for number, part in enumerate(parts)}
    found = compare(rows, out_of_fold=judge(rows, fold=fold))
    assert (found.evidence, found.parts) == ("out of fold", len(parts))
    assert found.lookup.better > 0, "it would know every part again"
    assert found.lookup.worse == 0


def test_a_model_that_is_right_is_better_than_a_look_up_that_guesses():
    found = compare([*TRAINED, *make_rows("test", 10, 10)])
    assert found.lookup.better >= 5
    assert (found.lookup.worse, found.shortcuts.worse) == (0, 0)
    assert found.lookup.p == pytest.approx(0.5**found.lookup.better)
    assert found.majority.p < 0.001
    assert (found.majority.cost, found.majority.cheaper) == (0, True)


def test_a_look_up_that_is_right_too_leaves_nothing_to_show():
    found = compare([*TRAINED, *make_rows("test", 10, 10)], draw=draw_classes)
    assert found.lookup == PairedParts(better=0, worse=0, p=1.0)
    rows = [*TRAINED, *make_rows("test", 10, 10)]
    testing = [row for row in rows if row.split == "test"]
    worse = compare(rows, judge(testing, wrong=[testing[0].group, testing[-1].group]), draw=draw_classes)
    assert worse.lookup == PairedParts(better=0, worse=2, p=1.0)


def test_a_shortcut_that_is_right_too_leaves_nothing_to_show():
    rows = [
        row._replace(brightness=row.brightness + 500 * (row.label == CLASSES.defect), border=0, sharpness=0)
        for row in (*TRAINED, *make_rows("test", 10, 10))
    ]
    assert compare(rows).shortcuts == PairedParts(better=0, worse=0, p=1.0)


def test_a_part_speaks_for_the_side_with_fewer_wrong_images_however_many_it_has():
    parts = Parts(np.array([0, 0, 0, 1, 2, 3]), 4, True)
    wrong = np.array([False, False, True, False, True, False])
    baseline = np.array([True, True, False, True, False, False])
    found = pair_parts(parts, wrong, baseline)
    assert (found.better, found.worse) == (2, 1)
    assert found.p == pytest.approx(0.5)


def test_the_rank_test_is_exact_with_ties_too():
    apart = rank_p(np.arange(12) + 10.0, np.arange(2) + 0.0)
    assert apart == pytest.approx(1 / comb(14, 2))
    assert rank_p(np.ones(12), np.zeros(2)) == pytest.approx(1 / comb(14, 2))
    assert rank_p(np.zeros(2), np.arange(12) + 10.0) == pytest.approx(1)
    assert rank_p(np.zeros(5), np.zeros(5)) == pytest.approx(1)
    assert rank_p(np.arange(30) + 50.0, np.arange(30) + 0.0) < 1e-9, "more orders than can be tried"


def test_a_part_with_images_of_both_classes_has_a_rank_in_each():
    rows = [*TRAINED, *make_rows("test", 6, 0)]
    good = [row._replace(label=CLASSES.good, path=f"good/{row.path}") for row in rows if row.split == "test"]
    found = compare([*rows, *good])
    assert (found.parts, found.defective_parts, found.good_parts) == (6, 6, 6)
    assert found.majority.p == pytest.approx(1 / comb(12, 6))


def test_decisions_that_leave_all_to_people_cost_no_less_than_a_constant_answer():
    rows = [*TRAINED, *make_rows("test", 10, 10, each=3)]
    looks = [image._replace(decision="review") for image in judge([row for row in rows if row.split == "test"])]
    found = compare(rows, looks)
    assert found.majority.cost == pytest.approx(found.majority.constant_cost) == pytest.approx(COSTS.review_cost)
    assert not found.majority.cheaper
    assert compare(rows, looks[:1] + judge([row for row in rows if row.split == "test"])[1:]).majority.cheaper


def test_the_cheapest_constant_answer_is_that_of_these_images_and_costs():
    mostly_good = [*TRAINED, *make_rows("test", 10, 30)]
    assert compare(mostly_good, review_cost=0.9).majority.constant_cost == pytest.approx(0.75), "to reject all"
    mostly_bad = [*TRAINED, *make_rows("test", 30, 10)]
    cheap = {"escape_cost": 1, "review_cost": 0.4}
    assert compare(mostly_bad, **cheap).majority.constant_cost == pytest.approx(0.25)
    assert compare(mostly_good, **cheap).majority.constant_cost == pytest.approx(0.25), "to pass all"


def unreadable(rows: Sequence[Row]) -> np.ndarray:
    raise AssertionError("nobody is asked")


@pytest.mark.parametrize(("defective", "good"), [(3, 2), (8, 0), (0, 8), (0, 0)])
def test_with_too_few_parts_or_without_a_class_they_are_counted_and_nothing_is_compared(defective, good):
    found = compare([*TRAINED, *make_rows("test", defective, good)], draw=unreadable)
    assert (found.parts, found.defective_parts, found.good_parts) == (defective + good, defective, good)
    assert found.majority is found.lookup is found.shortcuts is None


def test_six_parts_are_enough_to_compare():
    assert compare([*TRAINED, *make_rows("test", 3, 3)]).majority.p == pytest.approx(1 / 20)
