"""Benchmarks: castings stay whole in folds and intervals, work is measured in its own process, and each benchmark runs on a tiny sample."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import (
    audit,
    by_casting,
    coverage,
    escape_alarm,
    folds,
    guarantee,
    input_pipeline,
    label_noise,
    new_camera,
    predict,
    reviews,
    temperature,
    time_to_accuracy,
)
from benchmarks.isolation import peak_bytes, run_isolated
from benchmarks.preparation import PreparedImages
from tasks.records.rows import BASE, Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, SampleSettings, SplitSettings
from tasks.sources.synthetic.cameras import NEW_CAMERA
from tasks.sources.synthetic.corruptions import encode
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph as take
from tasks.sources.synthetic.sample import write_sample

ROOT = Path(__file__).parents[1]
DEFECT, GOOD = Classes().defect, Classes().good
FIGURES = {
    "wall_seconds", "cpu_seconds", "images_per_second", "peak_memory_mb", "parameters", "test_accuracy", "test_errors", "missed_defects",
}  # fmt: skip


def row(number: int, casting: str, label: str, origin: str = BASE, published: str = "train") -> Row:
    path = f"{published}/{label}/{origin}-{number}.jpeg"
    return Row(path, f"{origin}-{number}", label, origin, published, 300, 300, 120.0, 110.0, 9.0, group=casting)


def rows_of(images: list[int], label: str, origin: str = BASE) -> list[Row]:
    """So many images of each casting in turn; every other one is published to test."""
    return [
        row(100 * casting + number, f"{origin}-{label}-{casting}", label, origin, "test" if number % 2 else "train")
        for casting, count in enumerate(images)
        for number in range(count)
    ]  # fmt: skip


def make_prediction(casting: str, label: str, chance: float, decision: str = "reject", number: int = 0) -> Prediction:
    return Prediction(
        path=f"{casting}/{number}", sha256=f"{casting}-{number}", split="test", origin=BASE, label=label, group=casting,
        defect_probability=chance, decision=decision, reason="", cause="above_limit",
    )  # fmt: skip


def castings_of(tested: list[Prediction]) -> dict[str, str]:
    return {one.sha256: one.group for one in tested}


MANY = st.lists(st.integers(1, 30), min_size=4, max_size=20)


def test_a_fold_is_counted_at_the_likelier_class_and_as_decided():
    tested = [
        make_prediction("a", DEFECT, 0.9), make_prediction("a", DEFECT, 0.2, "pass", 1), make_prediction("b", DEFECT, 0.4, "review"),
        make_prediction("c", GOOD, 0.1, "pass"), make_prediction("c", GOOD, 0.8, "reject", 1),
    ]  # fmt: skip
    found = folds.score_predictions(tested, castings_of(tested), Classes())
    assert found == {
        "accuracy": 0.4, "auc": pytest.approx(4 / 6), "images": 5, "castings": 3, "defects": 3, "missed_defects": 2, "good": 2,
        "false_rejects": 1, "passed_defects": 1, "rejected_good": 1, "reviews": 1,
    }  # fmt: skip
    listed = folds.list_errors(tested, castings_of(tested), Classes())
    assert [(one["casting"], one["errors"], one["images"]) for one in listed] == [("a", 1, 2), ("b", 1, 1), ("c", 1, 2)]


def test_the_casting_with_the_most_errors_is_listed_first():
    tested = [
        make_prediction("a", DEFECT, 0.1),
        *(make_prediction("b", GOOD, 0.9, number=number) for number in range(3)),
    ]
    listed = folds.list_errors(tested, castings_of(tested), Classes())
    assert [(one["casting"], one["label"], one["first"]) for one in listed] == [
        ("b", GOOD, "b/0"),
        ("a", DEFECT, "a/0"),
    ]


def some_fold(repeats: int) -> list[Prediction]:
    """Twelve castings, of which two are judged wrongly, each photographed as often."""
    rng = np.random.default_rng(1)
    chances = rng.uniform(0.6, 1, 12) - 0.6 * (np.arange(12) % 2 == 0)
    chances[[3, 8]] = 0.45, 0.7
    return [
        make_prediction(f"{casting}", (GOOD, DEFECT)[casting % 2], float(chance), number=number)
        for casting, chance in enumerate(chances)
        for number in range(repeats)
    ]  # fmt: skip


def test_more_photographs_of_the_same_castings_narrow_no_interval():
    found = [
        folds.casting_intervals([some], castings_of(some), Classes(), seed=0) for some in (some_fold(1), some_fold(5))
    ]
    assert found[0]["accuracy_interval"] == pytest.approx(found[1]["accuracy_interval"])
    assert found[0]["auc_interval"] == pytest.approx(found[1]["auc_interval"])
    low, high = found[0]["accuracy_interval"]
    assert low < 10 / 12 < high
    assert high - low > 0.2


def test_what_is_judged_without_error_has_no_room_for_chance():
    tested = [one._replace(defect_probability=float(one.label == DEFECT)) for one in some_fold(2)]
    found = folds.casting_intervals([tested, tested], castings_of(tested), Classes(), seed=0)
    assert found["accuracy_interval"] == [pytest.approx(0.025 ** (1 / 12)), 1], "twelve castings show no more"
    assert "auc_interval" not in found, "no draw differs from another"


def test_the_mean_over_folds_does_not_weigh_them_by_their_images():
    parts = [
        folds.score_predictions(some, castings_of(some), Classes())
        for some in (some_fold(1), [make_prediction("x", DEFECT, 0.9)])
    ]
    assert folds.average_folds(parts)["accuracy"] == pytest.approx((10 / 12 + 1) / 2)
    assert folds.average_folds(parts)["auc"] == parts[0]["auc"], "of the fold that has both labels"
    assert folds.average_folds(parts)["images"] == 13


def test_photographs_of_castings_that_the_source_shows_are_not_judged_as_new(places):
    base, own = rows_of([4] * 3, DEFECT) + rows_of([4] * 3, GOOD), rows_of([3] * 4, GOOD, "line 2")
    old = [row(900 + number, base[0].group, DEFECT, "line 2") for number in range(2)]
    found, new = new_camera.split_origins(PreparedImages([*base, *old, *own], [], Classes(), places), SplitSettings())
    assert [one.path for one in found] == [one.path for one in base]
    assert [one.path for one in new] == [one.path for one in own]
    assert {one.split for one in found if one.published == "test"} == {"test"}


def test_few_castings_are_two_of_each_label_and_others_in_another_draw():
    own = rows_of([3] * 6, DEFECT, "line 2") + rows_of([3] * 6, GOOD, "line 2")
    draws = [new_camera.draw_few_castings(own, 0, draw) for draw in range(5)]
    for sides in draws:
        labels = Counter(one.label for one in own if sides[one.group] == "train")
        assert labels == {DEFECT: 6, GOOD: 6}
        assert set(sides.values()) == {"train", "test"}
    assert len({tuple(sides.items()) for sides in draws}) > 1
    with pytest.raises(BadInput, match=f"2 castings of {GOOD}, more than 2 are needed"):
        new_camera.draw_few_castings(rows_of([3] * 6, DEFECT) + rows_of([3] * 2, GOOD), 0, 0)


def test_the_tutorial_finds_the_published_folders(places, tmp_path):
    rows = rows_of([4, 4], DEFECT) + rows_of([4], GOOD)
    folder = time_to_accuracy.link_class_folders(PreparedImages(rows, [], Classes(), places), tmp_path / "files")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpeg")}
    assert found == {row.path for row in rows}
    unpublished = [row._replace(published="") for row in rows]
    with pytest.raises(BadInput, match="no folder test/"):
        time_to_accuracy.link_class_folders(PreparedImages(unpublished, [], Classes(), places), tmp_path / "other")


def test_medians_and_ratios_are_of_the_same_figures():
    trainings = [
        dict.fromkeys(time_to_accuracy.WIDTHS, value) | {"test_errors": value * 2} for value in (1.0, 8.0, 3.0)
    ]
    found = time_to_accuracy.median_figures(trainings)
    assert (found["cpu_seconds"], found["test_errors"], found["mean_test_errors"]) == (3, 6, 8)
    assert found["trainings"] == trainings
    assert time_to_accuracy.tutorial_ratios(found, {**found, "cpu_seconds": 30})["to_tutorial"][
        "cpu_seconds"
    ] == pytest.approx(0.1)


def process_and_peak() -> tuple[int, int]:
    return os.getpid(), peak_bytes()


@pytest.mark.usefixtures("process")
def test_work_apart_has_a_process_and_a_peak_of_its_own():
    ballast = np.ones(30_000_000)  # 240 MB
    process, peak = run_isolated(process_and_peak)
    assert process != os.getpid()
    assert peak < ballast.nbytes < peak_bytes()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of sixteen drawn castings."""
    top = tmp_path_factory.mktemp("sample")
    write_sample(SampleSettings(parts=16, train_images=40, test_images=16), top / "sample.zip", truth=top / "truth")
    return top / "sample.zip"


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of eight other castings from another camera set-up; which are called defective plays no part here."""
    top = tmp_path_factory.mktemp("arriving")
    for part in range(8):
        rng = np.random.default_rng([9, part])
        casting, folder = draw_casting(rng), top / "line 2" / (DEFECT, GOOD)[part % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{part}.jpeg").write_bytes(encode(take(casting, NEW_CAMERA, rng).pixels, 90))
    return top / "line 2"


@pytest.fixture
def run(tensorflow, process, sample: Path, tmp_path_factory, tmp_path: Path, monkeypatch) -> Callable[..., dict]:
    """What a benchmark writes about the sample; all of it in this process, to be sooner done."""

    def measured(benchmark, *words: object) -> dict:
        if hasattr(benchmark, "run_isolated"):
            monkeypatch.setattr(benchmark, "run_isolated", lambda work, *inputs: work(*inputs))
        told, data = tmp_path / "told.json", tmp_path_factory.getbasetemp() / "benchmarked"
        given = ["benchmark", "--source", sample, "--data", data, "--json", told, *words]
        monkeypatch.setattr(sys, "argv", [str(word) for word in given])
        benchmark.main()
        return json.loads(told.read_text())

    return measured


@pytest.mark.parametrize(
    ("seconds", "share"),
    [
        ({1: 10.0, 2: 5.0}, 0.0),
        ({1: 10.0, 2: 10.0}, 1.0),
        ({1: 10.0, 2: 5.5}, 0.1),
        ({1: 10.0, 2: 7.0, 4: 4.0}, 0.2),
        ({2: 6.0, 4: 4.0}, 0.2),
        ({1: 10.0, 2: 4.9}, 0.0),
        ({2: 6.0}, None),
    ],
)
def test_what_no_second_core_takes_part_in_is_read_off_the_times(seconds, share):
    assert audit.serial_share(seconds) == (None if share is None else pytest.approx(share, abs=1e-9))


def test_the_audit_is_timed_on_as_many_cores_as_asked_for(sample, tmp_path):
    words = ["--source", sample, "--images", "--cores", "1", "--json", tmp_path / "audit.json"]
    command = [sys.executable, ROOT / "benchmarks/audit.py", *words]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    (row,) = json.loads((tmp_path / "audit.json").read_text())["cores"]
    assert row["cores"] == 1
    assert row["seconds"] > 0
    assert row["processor_seconds"] > 0
    assert row["serial_share"] is None


def test_more_cores_than_there_are_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["audit", "--cores", "1", "4096"])
    with pytest.raises(SystemExit):
        audit.main()
    assert "--cores asks for 4096, and this process may use" in capsys.readouterr().err


@pytest.mark.long
def test_time_to_accuracy_measures_trainings_side_by_side(sample, tmp_path):
    words = ["--source", sample, "--models", "compact,tutorial", "--seeds", "1", "--epochs", "1", "--published"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/time_to_accuracy.py", *words, "--json", tmp_path / "time.json"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = json.loads((tmp_path / "time.json").read_text())
    assert list(found) == ["compact", "tutorial"]
    for one in found.values():
        assert one.keys() >= FIGURES
        assert one["test_accuracy"] == pytest.approx(1 - one["test_errors"] / 16)
        assert one["wall_seconds"] > 0
        assert one["peak_memory_mb"] > 100
    assert found["tutorial"]["parameters"] == 11_238_818
    assert found["compact"]["to_tutorial"]["cpu_seconds"] == pytest.approx(
        found["compact"]["cpu_seconds"] / found["tutorial"]["cpu_seconds"]
    )
    assert "compact to tutorial, cpu seconds: " in done.stdout


def test_kept_strips_are_read_and_others_found_anew(run, monkeypatch):
    from tasks.images import strips

    make_views, asked = strips.make_views, list[str]()

    def note(root: str, name: str, **crop: str | None) -> bytes:
        asked.append(Path(root).parent.name)
        return make_views(root, name, **crop)

    monkeypatch.setattr(strips, "make_views", note)
    found = run(time_to_accuracy, "--models", "ring,ring_kept", "--seeds", 1, "--epochs", 1)
    assert list(found) == ["ring", "ring_kept"]
    assert asked.count("data") == 56, "by ring alone, in a folder of its own; what is prepared lies in another"


def test_every_casting_is_judged_by_a_network_that_never_saw_it(run, capsys):
    found = run(by_casting, "--models", "compact", "--folds", 2, "--epochs", 1)["compact"]
    assert [one["images"] for one in found["folds"]] == [one["defects"] + one["good"] for one in found["folds"]]
    assert found["images"] == 56
    assert found["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in found["folds"]]))
    assert found["auc"] == pytest.approx(np.mean([one["auc"] for one in found["folds"]]))
    low, high = found["accuracy_interval"]
    assert low <= found["accuracy"] <= high
    listed = sum(one["errors"] for part in found["folds"] for one in part["errors"])
    assert listed == found["missed_defects"] + found["false_rejects"]
    assert "mean accuracy" in capsys.readouterr().out


def test_more_parts_choose_a_better_temperature():
    few, many = (temperature.simulate(parts, 0.3, 2.0, draws=20) for parts in (8, 135))
    assert many[0] < few[0] and many[1] < few[1], "the deviation, and what it costs"


def test_reviews_are_counted_over_several_trainings(run, arrivals, capsys):
    found = run(reviews, "--arrivals", arrivals, "--models", "compact", "--seeds", 2, "--epochs", 1)["compact"]
    assert [training["seed"] for training in found["trainings"]] == [0, 1]
    for training in found["trainings"]:
        test = training["published_test"]
        assert sum(test["causes"].values()) == test["reviews"]
        assert training["arrivals"]["images"] == 8
    shares = [
        training["published_test"]["reviews"] / training["published_test"]["images"] for training in found["trainings"]
    ]
    assert found["share_mean"] == pytest.approx(np.mean(shares))
    assert (found["share_least"], found["share_most"]) == (min(shares), max(shares))
    assert "to a person go" in capsys.readouterr().out


@pytest.mark.long
def test_a_new_camera_is_judged_before_and_after_it_was_seen(run, arrivals):
    found = run(new_camera, "--arrivals", arrivals, "--models", "compact", "--folds", 2, "--draws", 1, "--epochs", 1)[
        "compact"
    ][0]
    images = found["without_retraining"]["images"]
    assert found["by_folds"]["images"] == images == 8
    assert found["with_few"]["draws"][0]["images"] == 4
    assert found["with_few_continued"]["cpu_to_with_few"] > 0
    for case in found.values():
        assert 0 <= case["accuracy"] <= 1
        assert 0 <= case["published_test_accuracy"] <= 1


@pytest.mark.parametrize("model", ["compact", "ring"])
def test_waiting_is_measured_on_the_network_itself(run, model):
    found = run(input_pipeline, "--models", model, "--steps", 3, "--rounds", 1)[model]
    assert found["later_seconds"] < found["first_seconds"]
    assert found["share_of_waiting"] == pytest.approx(
        1 - found["images_per_second"] / found["images_per_second_from_memory"]
    )
    assert 0 < found["pipeline_alone_processor_milliseconds_an_image"] < found["processor_milliseconds_an_image"]
    assert found["pipeline_alone_images_per_second"] > 0


def test_a_prediction_is_timed_beside_the_tutorials(run):
    found = run(predict, "--epochs", 1, "--singles", 3, "--images", 20)
    assert found["images"] == 20
    assert found["tutorial_to_single"] == pytest.approx(
        found["tutorial_single_milliseconds"] / found["single_milliseconds"]
    )
    limits = {
        "the network": found["network_alone_per_second"],
        "half of the bare decoder": found["bare_decoder_per_second"] / 2,
    }
    assert limits[found["lower_limit"]] == min(limits.values())
    assert found["folder_to_lower_limit"] == pytest.approx(found["folder_per_second"] / min(limits.values()))


def test_the_interval_by_part_holds_the_true_rate_where_the_others_do_not():
    ours, bound, by_bootstrap, by_image = coverage.simulate(14, 0.05, 0.95, draws=60, confidence=0.95, pool=None)
    assert min(ours, bound) > 0.9
    assert max(by_bootstrap, by_image) < 0.7
    of_one_each = coverage.simulate(30, 0.2, 0.3, draws=60, confidence=0.95, pool=[1])
    assert min(of_one_each) > 0.85, "where each part has one photograph all three hold"


def test_the_guarantee_by_part_holds_where_one_by_photograph_is_broken():
    broken, by_photograph, passed, *_ = guarantee.simulate(73, 0.6, 60, 0.05, 0.95, single=False)
    assert broken <= 0.1 < 0.2 < by_photograph
    assert passed > 0.3, "and good parts still pass"
    assert guarantee.simulate(14, 0.6, 5, 0.05, 0.95, single=False)[:3:2] == [0, 0], "with too few parts nothing passes"


def test_the_escape_alarm_rings_more_rarely_than_a_test_a_week_and_finds_a_jump():
    year = escape_alarm.simulate_year(0.02, 0.02, checks=50, runs=300)
    assert year["alarm"] < 0.09 < year["weekly_test"], "0.05 is promised, and 300 lines scatter by 0.013"
    jump = escape_alarm.simulate_jump(0.01, checks=50, runs=100)
    assert jump["found"] > 0.95
    assert 0 < jump["median"] <= jump["most"] < 26 * 50
    assert jump["weeks"] == jump["median"] / 50
    hopeless = escape_alarm.simulate_jump(0.2, checks=5, runs=20)
    assert (hopeless["found"], hopeless["median"], hopeless["weeks"]) == (0, None, None)


@given(MANY, MANY, st.integers(0, 9))
def test_planted_noise_turns_whole_parts_and_single_photographs_of_others(defective, good, seed):
    rows = rows_of(defective, DEFECT, "line 1") + rows_of(good, GOOD, "line 2")
    noisy = label_noise.plant_noise(rows, Classes(), 0.1, seed)
    assert [row._replace(label="") for row in noisy] == [row._replace(label="") for row in rows]
    turned = {row.sha256 for row, original in zip(noisy, rows, strict=True) if row.label != original.label}
    predictions = [make_prediction(row.group, row.label, 0.5)._replace(sha256=row.sha256) for row in noisy]
    wrong = label_noise.as_noise(predictions, turned)
    sizes = Counter(row.group for row in rows)
    whole = {group for group in sizes if all(row.sha256 in turned for row in rows if row.group == group)}
    assert wrong.parts == whole
    assert len(wrong.parts) >= round(0.1 * len(sizes))
    assert len(turned) - sum(sizes[group] for group in wrong.parts) == len(wrong.images)


def test_suspects_are_counted_by_part_and_by_photograph():
    sure = {DEFECT: 0.98, GOOD: 0.02}
    truth, predictions = {}, []
    for number in range(20):
        for photograph in range(5):
            prediction = make_prediction(f"{number}", (DEFECT, GOOD)[number % 2], 0.0, number=photograph)
            truth[prediction.sha256] = prediction.label
            predictions.append(prediction._replace(defect_probability=sure[prediction.label]))
    turned = {"3-0", *(f"8-{photograph}" for photograph in range(5))}
    noisy = [
        image._replace(label={DEFECT: GOOD, GOOD: DEFECT}[image.label]) if image.sha256 in turned else image
        for image in predictions
    ]
    figures = label_noise.measure(noisy, truth, Classes())
    found = {"wrong": 1, "suspected": 1, "rightly": 1, "precision": 1.0, "recall": 1.0}
    assert {name: figures[name] for name in ("recast: parts", "recast: images")} == {
        "recast: parts": found, "recast: images": found
    }  # fmt: skip
    pooled = label_noise.pool([figures, label_noise.measure(predictions, truth, Classes())])
    assert pooled["recast: parts"] == found
    nothing = label_noise.measure(predictions, truth, Classes())["recast: parts"]
    assert nothing == {"wrong": 0, "suspected": 0, "rightly": 0, "precision": None, "recall": None}


def test_noise_is_planted_before_training_and_predictions_are_kept(run, tmp_path, monkeypatch):
    words = ["--model", "compact", "--epochs", 1, "--seeds", 1, "--folds", 2, "--noise", 0.1, "--predictions", tmp_path]
    figures = run(label_noise, *words)
    assert figures["pooled"] == figures["seed 0"]
    assert figures["pooled"]["recast: parts"]["wrong"] == 2
    monkeypatch.setattr(label_noise, "prepare_images", None)
    monkeypatch.setattr(label_noise, "cross_fit", None)
    assert run(label_noise, *words) == figures, "the second call reads what the first one stored"
