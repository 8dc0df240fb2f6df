"""Active learning: unusual and diverse images come first, then doubtful ones, last unreadable ones; an outdated list is made anew."""

import hashlib
import os
import shutil

import numpy as np
import pytest

from tasks.images.appearance import STATISTICS
from tasks.inference import model_folder
from tasks.inference.decision import DecisionRule, Evidence, ImageDecision
from tasks.inference.out_of_distribution import fit_limits
from tasks.inference.predictor import Predictor
from tasks.labeling.label_log import LabelLog
from tasks.monitoring.active_learning import TABLE, ToLabel, order, to_label, unlabeled_images
from tasks.monitoring.drift import JudgedImage
from tasks.records.rows import LabelRow
from tasks.settings.settings import Classes
from tasks.sources import settling
from tasks.storage.tables import read_table
from tasks.tracking import registry


@pytest.fixture
def rule():
    """A model that knows a cloud around 0."""
    points = np.random.default_rng(0).normal(size=(200, 4))
    known = fit_limits(list(points), [f"casting {number // 4}" for number in range(200)], 0.01)
    return DecisionRule(
        classes=Classes(),
        model="compact",
        network_sha256="00",
        view="raw",
        image_size=75,
        features=known,
        threshold=0.3,
    )


def judge_image(point: float, chance: float | None, *, axis: int = 0) -> JudgedImage:
    features = np.zeros(4)
    features[axis] = point
    seen = Evidence(0.0, features, np.zeros(len(STATISTICS)), 0.0)
    return JudgedImage(
        ImageDecision("review", "between_limits", "a reason", chance), seen if chance is not None else None, (300, 300)
    )


def test_the_most_unlike_come_first_and_one_of_each_kind(rule):
    near, far, other = (
        judge_image(0.1, 0.9),
        [judge_image(50 + 0.1 * n, 0.9) for n in range(5)],
        [judge_image(-30, 0.9, axis=1)] * 3,
    )
    found = order([near, *far, *other], rule)
    assert found[0] == 5, "the farthest"
    assert found[1] in (6, 7, 8), "of the other kind, not of the one that is chosen already"
    assert set(found) == set(range(9))


def test_then_the_doubtful(rule):
    chances = [0.99, 0.31, 0.05, 0.5]
    assert order([judge_image(0.0, chance) for chance in chances], rule) == [1, 3, 2, 0]


def test_what_cannot_be_seen_comes_last(rule):
    assert order([judge_image(0, None), judge_image(0, 0.9), judge_image(90, 0.9)], rule) == [2, 1, 0]


def test_without_a_cloud_doubt_alone_decides(rule):
    nothing = rule.model_copy(update={"features": None})
    assert order([judge_image(90, 0.9), judge_image(0, 0.4)], nothing) == [1, 0]
    assert order([], rule) == []


@pytest.fixture
def model(released, places):
    return Predictor(model_folder.ensure_local(registry.champion(places), places), 1)


def test_the_inbox_is_listed_once_and_anew_when_it_changed(model, places, tmp_path):
    there = places.data / "inbox/line 2/unlabelled"
    shutil.copytree(tmp_path / "castings/test/ok_front", there)
    shutil.copyfile(there / "cast_0.jpeg", there / "twice.jpeg")
    (places.data / "inbox/line 2/ok_front").mkdir()
    shutil.copyfile(
        tmp_path / "castings/test/def_front/cast_0.jpeg", places.data / "inbox/line 2/ok_front/labelled.jpeg"
    )
    found = to_label(model, 0, places)
    assert sorted(one.path for one in found) == [f"line 2/unlabelled/cast_{number}.jpeg" for number in range(8)]
    assert read_table(places.artifacts / TABLE, ToLabel) == found
    assert to_label(model, 0, places) is None
    (there / "cast_3.jpeg").unlink()
    assert len(to_label(model, 0, places)) == 7
    shutil.rmtree(there)
    assert to_label(model, 0, places) == [], "said once, so that a list that was shown goes"
    assert to_label(model, 0, places) is None


def say(content: bytes, label: str, places, number: int, withdraws: str = "") -> str:
    row = LabelRow(
        decision=f"{number:032x}", sha256=hashlib.sha256(content).hexdigest(), label=label, kind="", person="Ada",
        time="2026-12-01T07:00:00+00:00", queue="to_label", model_version="", model_answer="", seconds=1.0, comment="",
        origin="inbox", withdraws=withdraws,
    )  # fmt: skip
    assert LabelLog(places).append(row)
    return row.decision


def test_what_a_person_labeled_is_listed_no_longer_until_the_answer_is_taken_back(model, places, photograph):
    there = places.data / "inbox/unlabeled"
    there.mkdir(parents=True)
    for number in range(4):
        (there / f"{number}.jpeg").write_bytes(photograph(number))
    good = say(photograph(0), "good", places, 1)
    say(photograph(1), "exclude", places, 2)
    say(photograph(2), "cannot_tell", places, 3)
    listed = ["unlabeled/2.jpeg", "unlabeled/3.jpeg"]
    assert sorted(image.path for image in to_label(model, 0, places)) == listed
    assert to_label(model, 0, places) is None
    say(photograph(0), "withdrawn", places, 4, good)
    assert sorted(image.path for image in to_label(model, 0, places)) == ["unlabeled/0.jpeg", *listed]
    assert len(list(there.iterdir())) == 4, "nothing is moved"


def test_an_image_that_is_being_written_waits_for_the_next_look(model, places, photograph, monkeypatch):
    there = places.data / "inbox/unlabelled"
    there.mkdir(parents=True)
    (there / "whole.jpeg").write_bytes(photograph(1))
    (there / "half.jpeg").write_bytes(photograph(2)[:-2])
    monkeypatch.setattr(settling.time, "sleep", lambda _: (there / "half.jpeg").write_bytes(photograph(2)))
    assert [one.path for one in to_label(model, 60, places)] == ["unlabelled/whole.jpeg"]
    assert len(to_label(model, 0, places)) == 2


def test_a_file_that_is_too_large_is_not_read_and_is_listed_once(places, monkeypatch):
    waiting = places.data / "inbox/unlabelled"
    waiting.mkdir(parents=True)
    for name in ("a.jpeg", "b.jpeg", "torn.jpeg"):
        (waiting / name).write_bytes(b"no picture")
    for name in ("a.jpeg", "b.jpeg"):
        os.truncate(waiting / name, 2**40)  # hours to read, without a byte on the disk
    model = object.__new__(Predictor)  # without a network, which these files do not need
    model.digest, model.version = "ab" * 32, 1
    model.rule = DecisionRule(classes=Classes(), model="compact", network_sha256="", view="raw", image_size=75)
    found = to_label(model, 0, places)
    assert {one.path: bool(one.sha256) for one in found} == {
        "unlabelled/a.jpeg": False,
        "unlabelled/b.jpeg": False,
        "unlabelled/torn.jpeg": True,
    }
    assert sum("the file has 1,099,511,627,776 bytes, at most" in one.reason for one in found) == 2
    assert to_label(model, 0, places) is None


def test_either_spelling_of_the_folder_is_read(places):
    names = ["line 1/unlabeled/1.jpeg", "unlabeled/1.jpeg", "unlabelled/monday/1.jpeg"]
    for name in [*names, "line 1/unlabeled.jpeg", "line 1/Unlabeled/1.jpeg"]:
        path = places.data / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert unlabeled_images(places.data / "inbox", 0, places) == names


def test_an_odd_name_is_listed_and_what_may_not_be_read_is_told(places, capsys, monkeypatch):
    folder = places.data / "inbox/unlabeled"
    folder.mkdir(parents=True)
    for name in ("1.jpeg", "\udcff.jpeg", "shut.jpeg"):
        (folder / name).touch()
    monkeypatch.setattr(os, "access", lambda path, how: not str(path).endswith("shut.jpeg"))
    assert unlabeled_images(places.data / "inbox", 0, places) == ["unlabeled/1.jpeg", "unlabeled/\udcff.jpeg"]
    assert capsys.readouterr().out == (
        f"to label: left out: {folder}/shut.jpeg cannot be read by this user: see that it may\n"
    )


def test_a_photograph_of_an_odd_name_is_in_the_table(model, places, tmp_path):
    folder = places.data / "inbox/unlabelled"
    folder.mkdir(parents=True)
    shutil.copyfile(tmp_path / "castings/test/ok_front/cast_0.jpeg", folder / "\udcff.jpeg")
    assert [one.path for one in to_label(model, 0, places)] == ["unlabelled/\\udcff.jpeg"]
    assert to_label(model, 0, places) is None


def test_no_inbox_has_nothing_to_label(model, places):
    assert not to_label(model, 0, places)
    assert not (places.artifacts / TABLE).exists()
