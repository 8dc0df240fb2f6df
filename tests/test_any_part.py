"""Any part: features and baselines say what they should, parts are drawn in pairs, and the benchmark judges drawn tiles."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import any_part
from benchmarks.fitted_baselines import BASELINES, Baseline, look_up, majority, score_baseline
from benchmarks.paired_bootstrap import JudgedParts, compare_aucs, known_auc
from benchmarks.picture_features import BLOCK, CELL, CLIP, ORIENTATIONS, Features, band_statistics, oriented_gradients
from benchmarks.preparation import PreparedImages
from benchmarks.seed_tests import are_in, draw_test
from tasks.evaluation.baselines import lookup
from tasks.images.marks import marked_pixels
from tasks.records.rows import BASE, Row
from tasks.settings.settings import Classes, EvaluationSettings, TilesSettings
from tasks.sources.synthetic.sample import write_sample

DEFECT, GOOD = Classes().defect, Classes().good
STATISTICS = 8  # of a band
SETTINGS = EvaluationSettings(resamples=200)


def stripes(angle: float, side: int = 64) -> np.ndarray:
    """Light and dark stripes across a direction: uint8 (side, side)."""
    down, across = np.mgrid[:side, :side]
    return (128 + 100 * np.sin((across * np.cos(angle) + down * np.sin(angle)) / 2)).astype(np.uint8)


@pytest.mark.parametrize("turn", range(ORIENTATIONS))
def test_gradients_vote_for_the_direction_across_the_stripes(turn):
    histograms = oriented_gradients(stripes((turn + 0.5) * np.pi / ORIENTATIONS)).reshape(-1, ORIENTATIONS)
    assert histograms.shape == ((64 // CELL - 1) ** 2 * BLOCK**2, ORIENTATIONS)
    assert (histograms.argmax(axis=1) == turn).all()


def test_gradients_do_not_depend_on_light_and_contrast_and_a_flat_picture_has_none():
    picture = stripes(0.4)
    dim = (picture / 4 + 20).astype(np.float32)
    assert oriented_gradients(dim) == pytest.approx(oriented_gradients(picture), abs=0.03)
    assert not oriented_gradients(np.full((64, 64), 90)).any()
    rng = np.random.default_rng(0)
    blocks = oriented_gradients(rng.integers(0, 256, (64, 64))).reshape(-1, BLOCK * BLOCK * ORIENTATIONS)
    assert np.linalg.norm(blocks, axis=1) == pytest.approx(1, abs=1e-2)
    assert blocks.max() < 2 * CLIP


def test_a_band_holds_details_of_its_size():
    def deviations(radius: int) -> np.ndarray:
        down, across = np.mgrid[:128, :128] - 64
        spot = np.where(np.hypot(down, across) <= radius, 200, 100).astype(np.uint8)
        return band_statistics(spot).reshape(-1, STATISTICS)[:, 1]

    small, large = deviations(1), deviations(12)
    assert small.argmax() == 0
    assert large.argmax() == len(large) - 1
    uniform = band_statistics(np.full((64, 64), 77, np.uint8))
    assert uniform == pytest.approx(np.zeros(len(uniform)), abs=1e-3)


def test_a_bright_dot_moves_the_highest_quantile_of_the_finest_band():
    rng = np.random.default_rng(0)
    plain = rng.integers(100, 110, (96, 96)).astype(np.uint8)
    dotted = plain.copy()
    dotted[40, 50] = 250
    before, after = (band_statistics(picture).reshape(-1, STATISTICS) for picture in (plain, dotted))
    assert after[0, -1] > before[0, -1] + 50
    assert after[0, 2] == pytest.approx(before[0, 2], abs=50)


def test_the_look_up_says_the_label_of_the_most_alike_image():
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (number, 32, 32)).astype(np.uint8) for number in (30, 20))
    defect = np.arange(30) % 3 == 0
    scores = look_up(train.reshape(30, -1), defect, test.reshape(20, -1), 0)
    assert ((scores > 0.5) == lookup(train, defect, test)).all()
    known = look_up(train.reshape(30, -1), defect, np.rot90(train, axes=(1, 2)).reshape(30, -1), 0)
    assert ((known > 0.5) == defect).all(), "in whatever pose"


def test_the_majority_gives_all_images_one_score():
    few, many = np.arange(10) < 3, np.arange(10) < 7
    assert (majority(np.zeros((10, 0)), few, np.zeros((4, 0)), 0) == [0] * 4).all()
    assert (majority(np.zeros((10, 0)), many, np.zeros((4, 0)), 0) == [1] * 4).all()


def test_each_fold_is_judged_by_what_the_others_teach():
    features = {"seen": Features(np.arange(6, dtype=np.float32)[:, None], 1.5)}
    mean = Baseline(("seen",), lambda train, defect, test, seed: test[:, 0] - train.mean())
    odd = np.arange(6) % 2 == 1
    scores = score_baseline(mean, features, odd, [(odd, ~odd), (~odd, odd)], 0)
    assert scores.values.tolist() == [0 - 3, 1 - 2, 2 - 3, 3 - 2, 4 - 3, 5 - 2]
    assert scores.cpu_seconds >= 1.5


@pytest.mark.parametrize("name", ["logistic_hog", "trees_filters"])
def test_a_fitted_baseline_learns_what_its_features_tell(name):
    rng = np.random.default_rng(0)
    defect = np.arange(80) % 4 == 0
    values = rng.normal(0, 1, (80, 6)) + defect[:, None] * 8
    scores = BASELINES[name].fit(values[:60], defect[:60], values[60:], 0)
    assert known_auc(defect[60:], scores) == 1
    assert (scores == BASELINES[name].fit(values[:60], defect[:60], values[60:], 0)).all()


def labeled_rows() -> list[Row]:
    """Twenty-four parts, every third defective, with two photographs each."""
    return [
        Row(f"{part}-{number}.png", f"{part}-{number}", DEFECT if part % 3 == 0 else GOOD, BASE, "", 64, 64, 99.0, 99.0, 9.0, f"{part}")
        for part in range(24)
        for number in range(2)
    ]  # fmt: skip


def test_folds_judge_every_image_once_and_a_split_judges_whole_parts(places):
    data = PreparedImages(labeled_rows(), [], Classes(), places, "names")
    by_folds, by_split = (draw_test(data, folds, seed=1) for folds in (3, 0))
    assert len(by_folds.folds) == 3
    assert by_folds.judged.all()
    assert np.sum([are_in(rows, "test") for rows in by_folds.folds], axis=0).tolist() == [1] * 48
    assert 0 < by_split.judged.sum() < 48
    for rows in (*by_folds.folds, *by_split.folds):
        assert all(len({row.split for row in rows if row.group == group}) == 1 for group in map(str, range(24)))
    tested = [row for row in by_split.folds[0] if row.split == "test"]
    assert by_split.parts.part.tolist() == [row.group for row in tested]
    assert by_split.parts.defect.tolist() == [row.label == DEFECT for row in tested]
    assert (draw_test(data, 0, seed=2).judged != by_split.judged).any()


def some_parts(photographs: int) -> tuple[JudgedParts, np.ndarray, np.ndarray]:
    """Thirty parts, each photographed as often, and the scores of a method that tells them well and of one that guesses."""
    rng = np.random.default_rng(3)
    defect = np.arange(30) % 3 == 0
    good_scores, guesses = defect + rng.normal(0, 0.4, 30), rng.normal(0, 1, 30)
    part = np.array([f"part {number}" for number in range(30)])
    part, defect, good_scores, guesses = (
        np.repeat(column, photographs) for column in (part, defect, good_scores, guesses)
    )
    return JudgedParts(part, defect), good_scores, guesses


def test_a_better_method_is_shown_and_a_worse_or_equal_one_is_not():
    test, good_scores, guesses = some_parts(1)
    better = compare_aucs([test], [good_scores], [guesses], SETTINGS)
    assert better["shown"] and better["interval"][0] > 0
    worse = compare_aucs([test], [guesses], [good_scores], SETTINGS)
    assert worse["difference"] == pytest.approx(-better["difference"])
    assert worse["interval"] == pytest.approx([-end for end in better["interval"][::-1]])
    assert not worse["shown"]
    same = compare_aucs([test], [guesses], [guesses * 2], SETTINGS)
    assert (same["difference"], same["interval"], same["shown"]) == (0, None, False)


def test_more_photographs_of_the_same_parts_show_no_more():
    once, often = (
        compare_aucs([test], [scores], [guesses], SETTINGS) for test, scores, guesses in map(some_parts, (1, 5))
    )
    assert once["parts"] == often["parts"] == 30
    assert once["interval"] == pytest.approx(often["interval"])
    test, good_scores, guesses = some_parts(1)
    repeated = compare_aucs([test] * 3, [good_scores] * 3, [guesses] * 3, SETTINGS)
    assert repeated["interval"] == pytest.approx(once["interval"]), "nor do the same parts in the test of another seed"


def test_a_seed_whose_test_lacks_a_class_in_a_draw_leaves_the_draw_to_the_others():
    test, good_scores, guesses = some_parts(1)
    few = np.flatnonzero(test.defect)[:1].tolist() + np.flatnonzero(~test.defect)[:4].tolist()
    small = JudgedParts(test.part[few], test.defect[few])
    found = compare_aucs([test, small], [good_scores, good_scores[few]], [guesses, guesses[few]], SETTINGS)
    assert np.isfinite(found["interval"]).all()


def test_soft_edges_of_a_mask_are_cut_in_the_middle_and_an_empty_mask_marks_nothing(tmp_path):
    levels = np.zeros((8, 12), np.uint8)
    levels[2, 3:7] = 255, 200, 90, 12
    Image.fromarray(levels).save(tmp_path / "mask.png")
    assert np.argwhere(marked_pixels(tmp_path / "mask.png", (8, 12))).tolist() == [[2, 3], [2, 4]]
    assert marked_pixels(tmp_path / "mask.png", (16, 24)).sum() == 2 * 4, "of a photograph twice as large"
    Image.fromarray(np.full((8, 12), 0, np.uint8)).save(tmp_path / "empty.png")
    assert not marked_pixels(tmp_path / "empty.png", (8, 12)).any()


@pytest.mark.usefixtures("tensorflow", "process")
def test_a_network_and_the_baselines_judge_the_same_drawn_tiles(tmp_path, monkeypatch, capsys):
    write_sample(TilesSettings(parts=24), tmp_path / "tiles.zip", truth=tmp_path / "truth")
    words = ["--source", tmp_path / "tiles.zip", "--models", "compact", "--image-size", 32, "--epochs", 1, "--seeds", 1]
    monkeypatch.setattr(any_part, "FEATURES", {"thumbnails": any_part.FEATURES["thumbnails"]})
    monkeypatch.setattr(any_part, "BASELINES", {name: BASELINES[name] for name in ("majority", "lookup")})
    monkeypatch.setattr("benchmarks.seed_tests.run_isolated", lambda work, *inputs: work(*inputs))
    monkeypatch.setattr(sys, "argv", ["any_part", *map(str, words), "--json", str(tmp_path / "told.json")])
    any_part.main()
    found = json.loads((tmp_path / "told.json").read_text())
    assert list(found["methods"]) == ["compact", "majority", "lookup"]
    assert found["methods"]["majority"]["auc"] == 0.5
    assert found["methods"]["compact"]["cpu_seconds"] > 0
    peaks = found["methods"]["compact"]["peaks"]
    assert 0 <= peaks["on_the_mask"] <= peaks["detected"] <= peaks["masked"]
    assert peaks["masked"] > 0
    assert found["comparisons"]["lookup"]["network"] == "compact"
    assert "compact less that of lookup" in capsys.readouterr().out


def test_a_network_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["any_part", "--models", "compact,huge"])
    with pytest.raises(SystemExit):
        any_part.main()
    assert "there is no huge: choose of compact" in capsys.readouterr().err
