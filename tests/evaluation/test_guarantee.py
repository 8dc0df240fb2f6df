"""Guarantee: the limit of passing is that of exact tests from the strictest limit on, by part, and its promise holds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.evaluation.guarantee import most_passing, part_scores, pass_limit

LEVELS = st.sampled_from([0.0, 1e-300, 0.001, 0.02, 0.02 + 1e-9, 0.3, 0.5, 0.97, 1.0, math.nan])  # many ties
IMAGES = st.lists(st.tuples(LEVELS, st.booleans(), st.booleans(), st.sampled_from("abcdefghijklmnopqrst")), max_size=60)
SHARES, CONFIDENCES = st.floats(0.02, 0.6), st.floats(0.51, 0.99)


def limit_of(images, share: float, confidence: float):
    """Return what `pass_limit` does, of (chance, defect, passable, part) of each image."""
    chance, defect, passable, parts = zip(*images, strict=True) if images else ((), (), (), ())
    columns = np.array(chance, float), np.array(defect, bool), np.array(passable, bool), np.array(parts, str)
    return pass_limit(*columns, share, confidence, by_part=True)


def parts_that_pass(images, limit: float) -> set[str]:
    """Return the defective parts of which an image of the defect passes."""
    return {part for chance, defect, passable, part in images if defect and passable and chance < limit}


def searched_limit(images, share: float, confidence: float) -> float:
    """Return the last of all limits that the exact test allows, in a fixed sequence from the strictest on."""
    parts = len({part for _, defect, _, part in images if defect})
    allowed = 0.0
    for limit in [*sorted({image[0] for image in images if not math.isnan(image[0])}), math.inf]:
        passing = len(parts_that_pass(images, limit))
        if not parts or stats.binomtest(passing, parts, share, alternative="less").pvalue > 1 - confidence:
            return allowed
        allowed = limit
    return allowed


def of_one_each(chances) -> list[tuple[float, bool, bool, str]]:
    """Return defective parts with one photograph each."""
    return [(chance, True, True, f"{number}") for number, chance in enumerate(chances)]


@given(IMAGES, SHARES, CONFIDENCES)
def test_the_closed_form_passes_what_a_search_over_all_limits_does(images, share, confidence):
    limit, _ = limit_of(images, share, confidence)
    expected = searched_limit(images, share, confidence)
    passing = [image for image in images if image[2] and image[0] < limit]
    assert passing == [image for image in images if image[2] and image[0] < expected]
    assert limit <= expected


@given(IMAGES, SHARES, CONFIDENCES)
def test_no_more_parts_pass_than_may_and_none_where_parts_are_missing(images, share, confidence):
    limit, promise = limit_of(images, share, confidence)
    passing = parts_that_pass(images, limit)
    assert len(passing) <= promise.may_pass <= promise.parts
    assert promise.parts == len({part for _, defect, _, part in images if defect})
    if promise.missing:
        assert (limit, promise.may_pass) == (0.0, 0)
    else:
        bound = stats.beta.ppf(confidence, promise.may_pass + 1, promise.parts - promise.may_pass)
        assert bound <= share + 1e-9


@given(IMAGES, SHARES, CONFIDENCES)
def test_a_stricter_promise_never_passes_more(images, share, confidence):
    limit, _ = limit_of(images, share, confidence)
    assert limit_of(images, share / 2, confidence)[0] <= limit
    assert limit_of(images, share, (1 + confidence) / 2)[0] <= limit


@pytest.mark.parametrize(
    ("parts", "may_pass"), [(0, None), (14, None), (58, None), (59, 0), (92, 0), (93, 1), (123, 1), (124, 2)]
)
def test_as_many_may_pass_as_the_tables_of_acceptance_sampling_say(parts, may_pass):
    assert most_passing(parts, 0.05, 0.95) == may_pass


def test_with_too_few_parts_nothing_passes_and_what_is_missing_is_said():
    limit, promise = limit_of(of_one_each([0.9] * 23), 0.05, 0.95)
    assert (limit, promise.parts, promise.may_pass, promise.missing) == (0.0, 23, 0, 36)
    assert promise.summary() == (
        "Nothing passes: to guarantee 5% at 95% confidence 59 defective parts are needed, 23 are there: 36 more"
    )
    assert limit_of([], 0.05, 0.95)[1].missing == 59


def test_with_enough_parts_the_sentence_says_how_many_may_pass():
    _, promise = limit_of(of_one_each([0.9] * 93), 0.05, 0.95)
    assert promise.summary() == (
        "Guarantee: with 95% confidence at most 5% of defective parts pass. 93 defective parts were used; 1 of them may pass"
    )
    single = promise.model_copy(update={"by_part": False, "missing": 3})
    assert "96 defective photographs are needed, 93 are there: 3 more" in single.summary()


def test_one_photograph_of_a_part_that_passes_is_enough():
    images = [(chance, True, True, f"{part}") for part in range(59) for chance in (0.9, 0.8 if part else 0.01)]
    assert parts_that_pass(images, limit_of(images, 0.05, 0.95)[0]) == set()
    assert limit_of(images, 0.05, 0.95)[0] == 0.005


def test_photographs_add_nothing_to_the_number_of_parts():
    images = [(0.9, True, True, f"{part}") for part in range(14) for _ in range(100)]
    assert limit_of(images, 0.05, 0.95)[1].missing == 45


def test_a_part_that_goes_to_a_person_anyway_counts_and_never_passes():
    images = of_one_each([0.4, *[0.9] * 57]) + [(0.0, True, False, "lost"), (math.nan, True, True, "no number")]
    limit, promise = limit_of(images, 0.05, 0.95)
    assert (limit, promise.parts) == (0.2, 60)
    limit, promise = limit_of([(0.0, True, False, f"{part}") for part in range(59)], 0.05, 0.95)
    assert (limit, promise.missing) == (math.inf, 0), "the costs alone decide"


def test_of_a_part_with_both_labels_the_photographs_of_the_defect_count():
    images = [*of_one_each([0.5] * 59), (0.001, False, True, "0"), (0.2, False, True, "good")]
    limit, promise = limit_of(images, 0.05, 0.95)
    assert (promise.parts, limit) == (59, pytest.approx(0.35))


@pytest.mark.parametrize("tied", [0.0, 0.1])
def test_where_scores_are_tied_none_of_them_passes(tied):
    images = of_one_each([tied, tied, tied, *[0.9] * 90])
    limit, promise = limit_of(images, 0.05, 0.95)
    assert (promise.may_pass, parts_that_pass(images, limit)) == (1, set())


def test_the_limit_keeps_away_from_each_image_so_that_rounding_moves_none():
    images = [*of_one_each([0.5] * 59), (0.3, False, True, "good"), (0.4, False, False, "to a person anyway")]
    assert limit_of(images, 0.05, 0.95)[0] == pytest.approx(0.4)


def test_each_part_has_the_least_of_its_probabilities():
    scores = part_scores(np.array([0.5, 0.2, np.inf, np.inf, 0.1]), np.array(["b", "a", "c", "a", "b"]))
    assert scores.tolist() == [0.1, 0.2, np.inf]
    assert part_scores(np.zeros(0), np.zeros(0, str)).tolist() == []


def test_the_promise_is_broken_in_no_more_draws_than_it_may_be():
    """A thousand draws of 73 parts whose scores are uniform, so that the limit is the true share of parts that pass."""
    generator, good = np.random.default_rng(0), np.linspace(0, 1, 2_001)
    parts = np.arange(73 + len(good))
    limits = [
        pass_limit(np.append(generator.random(73), good), parts < 73, parts >= 0, parts, 0.05, 0.95, by_part=True)[0]
        for _ in range(1_000)
    ]
    assert 0 < np.sum(np.array(limits) > 0.05) <= 50


@pytest.mark.parametrize("parts", [64, 128, 256])  # MAPIE rounds a share times the parts up: exact for powers of two
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_mapie_finds_the_same_limit_where_each_part_has_one_image(parts, share):
    from mapie.risk_control import BinaryClassificationController

    chances = np.sort(np.random.default_rng(parts).beta(4, 1, parts))
    other = BinaryClassificationController(
        predict_function=lambda images: np.column_stack([1 - images, images]),
        risk="recall",
        target_level=1 - share,
        confidence_level=0.95,
        list_predict_params=chances,  # the limits, from the strictest on
        fwer_method="fixed_sequence",
    ).calibrate(chances, np.ones(parts, int))
    allowed = int(np.flatnonzero(chances == other.valid_predict_params.max())[0])
    limit, promise = limit_of(of_one_each(chances), share, 0.95)
    assert promise.may_pass == allowed
    assert np.sum(chances < limit) == allowed
