"""Out of distribution: distances from the training images, and a limit that holds for castings that were not used to fit it."""

import numpy as np
import pytest

from tasks.inference.out_of_distribution import (
    DIRECTIONS,
    FeatureGaussian,
    distances,
    fit_gaussian,
    fit_limits,
    fit_origins,
    folds_of,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def names(castings: int, each: int) -> list[str]:
    return [f"{number % castings:02d}" for number in range(castings * each)]


def test_few_quantities_have_the_distance_of_mahalanobis(rng):
    points = rng.normal(size=(5_000, 3)) @ np.array([[2, 1, 0], [0, 1, 0.5], [0, 0, 3]]) + [5, -2, 100]
    asked = rng.normal(size=(20, 3)) * 5 + points.mean(axis=0)
    centred = asked - points.mean(axis=0)
    inverse = np.linalg.inv(np.cov(points.T))
    expected = np.sqrt(np.einsum("ij,jk,ik->i", centred, inverse, centred))
    np.testing.assert_allclose(distances(fit_gaussian(points), asked), expected, rtol=0.01)


def test_what_lies_across_all_directions_counts_too(rng):
    points = rng.normal(size=(4_000, DIRECTIONS + 20))
    far = np.zeros((1, DIRECTIONS + 20))
    far[0, 5] = 30  # wherever the directions point, an equal cloud is equally wide
    assert distances(fit_gaussian(points), far)[0] == pytest.approx(30, rel=0.1)
    assert len(fit_gaussian(points).directions) == DIRECTIONS


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_the_limit_holds_for_castings_that_made_no_cloud(rng, share):
    castings, each, quantities = 60, 20, 40
    middles = rng.normal(size=(2 * castings, quantities))
    images = np.repeat(middles, each, axis=0) + rng.normal(size=(2 * castings * each, quantities)) / 3
    groups = np.repeat([f"{number:03d}" for number in range(2 * castings)], each)
    half = castings * each
    known = fit_limits(images[:half], groups[:half], share)
    beyond = np.mean(distances(known, images[half:]) > known.limit)
    assert beyond < 3 * share + 0.02
    naive = np.quantile(distances(known, images[:half]), 1 - share)
    assert known.limit > 1.1 * naive, "images that made the cloud lie too close to it"
    assert distances(known, 4 * images[half : half + 5]).min() > known.limit


def test_a_casting_is_in_one_fold_and_no_fold_is_empty():
    groups = names(7, 3)
    folds = folds_of(groups)
    assert len({(group, fold) for group, fold in zip(groups, folds, strict=True)}) == 7
    assert set(folds) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("castings", [0, 1])
def test_of_one_casting_no_limit_can_be_learnt(rng, castings):
    groups = names(castings, 10)
    assert fit_limits(rng.normal(size=(len(groups), 3)), groups, 0.01) is None


def test_each_origin_has_a_cloud_that_leaves_out_what_lies_between_them(rng):
    first, second = rng.normal(0, 1, (400, 3)), rng.normal(20, 1, (40, 3))
    images, groups = list(np.concatenate([first, second])), [*names(80, 5), *(f"new {name}" for name in names(10, 4))]
    clouds = fit_origins(images, groups, ["base"] * 400 + ["line 2"] * 40, 0.01)
    between, near = np.full((1, 3), 10.0), np.concatenate([rng.normal(0, 1, (50, 3)), rng.normal(20, 1, (50, 3))])
    lengths = np.array([distances(cloud, np.concatenate([between, near])) / cloud.limit for cloud in clouds]).min(
        axis=0
    )
    assert lengths[0] > 1
    assert np.mean(lengths[1:] > 1) < 0.1
    whole = fit_limits(images, groups, 0.01)
    assert distances(whole, between)[0] < whole.limit


def test_an_origin_of_few_parts_does_not_know_how_its_quantities_vary_together(rng):
    middles = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) * 3
    images = np.repeat(middles, 20, axis=0) + rng.normal(size=(1_200, 4)) / 5
    groups = [f"{number // 20:02d}" for number in range(1_200)]
    (few,) = fit_origins(list(images[:100]), groups[:100], ["line 2"] * 100, 0.01)
    (many,) = fit_origins(list(images), groups, ["line 2"] * 1_200, 0.01)
    assert many == fit_limits(list(images), groups, 0.01)
    assert few == fit_limits(list(images[:100]), groups[:100], 0.01, correlated=False)
    known = fit_limits(list(images[:100]), groups[:100], 0.01)
    assert few.limit < known.limit


def test_an_origin_of_one_part_has_no_cloud(rng):
    clouds = fit_origins(list(rng.normal(size=(12, 2))), [*names(4, 2), *["new"] * 4], ["base"] * 8 + ["new"] * 4, 0.01)
    assert len(clouds) == 1


def test_few_images_of_many_quantities_give_a_limit(rng):
    known = fit_limits(rng.normal(size=(6, 200)), names(3, 2), 0.01)
    assert 0 < known.limit < 1_000
    assert distances(known, np.full((1, 200), 50.0))[0] > known.limit


def test_a_quantity_that_never_varies_is_no_division_by_zero(rng):
    points = np.column_stack([rng.normal(size=100), np.full(100, 7.0)])
    found = distances(fit_gaussian(points), np.array([[0.0, 7.0], [0.0, 8.0]]))
    assert np.isfinite(found).all()
    assert found[1] > found[0]


def test_a_cloud_comes_back_from_json(rng):
    known = fit_limits(rng.normal(size=(50, 4)), names(10, 5), 0.1)
    assert FeatureGaussian.model_validate_json(known.model_dump_json()) == known
