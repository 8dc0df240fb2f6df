"""Run JSON: `run.json` keeps its contract, and names the code that ran."""

import json
import subprocess
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import pytest

from tasks.records.results import Guarantee
from tasks.records.run import CodeState
from tasks.reporting.report import before_training
from tasks.reporting.run_json import PreTraining, checkout_state, fill_run_json, installed_version
from tasks.settings.settings import Config

SCORE = {
    "images", "loss", "accuracy", "defects", "missed_defects", "good", "false_rejects", "escape_rate",
    "escape_rate_interval", "false_reject_rate", "false_reject_rate_interval", "auc",
}  # fmt: skip
CONTRACT = {
    "": {
        "run_id", "started", "wall_seconds", "versions", "config", "steps", "dataset", "model", "training", "evaluation",
        "release",
    },
    "dataset": {
        "source", "digest", "splits_digest", "images", "left_alone", "by_split", "by_class", "by_origin", "quarantined",
        "exact_copies_across_splits", "near_copies_across_splits", "copies_of_two_labels", "held_back_from_training",
        "rings", "castings", "castings_of_two_labels", "castings_by_split", "test_images_of_trained_castings",
        "published_test_images_of_trained_castings", "copy_baseline_accuracy", "brightness_auc", "shortcuts", "origins",
        "corrections_unused",
    },
    "model": {"name", "parameters", "sha256", "weights_sha256", "image_size"},
    "training": {
        "epochs", "images", "wall_seconds", "cpu_seconds", "images_per_second", "device", "resumed_from_epoch",
    },
    "evaluation": {
        "test", "slices", "threshold", "review_band", "temperature", "review_reasons", "review_causes", "guarantee", "baselines",
    },
    "evaluation.baselines": {"evidence", "parts", "defective_parts", "good_parts", "majority", "lookup", "shortcuts"},
    "evaluation.test": SCORE,
    "evaluation.slices.base": SCORE,
    "evaluation.slices.line 2": SCORE,
    "release": {"verdict", "reason", "cause", "version", "champion_before", "decided_in"},
}  # fmt: skip


def facts(outcome) -> dict:
    """Return `run.json` of a run, as a reader gets it."""
    return json.loads(fill_run_json(outcome).model_dump_json())


@pytest.fixture
def places(outcome):
    return outcome.config.places


@pytest.fixture
def told(outcome):
    """As a reader of run.json gets it."""
    return facts(outcome)


@pytest.mark.parametrize("where", CONTRACT)
def test_every_key_of_the_contract_is_there(told, where):
    for name in where.split(".") if where else ():
        told = told[name]
    assert told.keys() >= CONTRACT[where]


def test_every_count_of_images_adds_up(told):
    data = told["dataset"]
    assert data["images"] == 24 + 24 + 6 + 6 + 1 + 3 + 3
    for name in ("by_split", "by_class", "by_origin"):
        assert sum(data[name].values()) == data["images"]
    assert set(data["by_split"]) == {"train", "validation", "test", "held_back"}
    assert data["by_split"]["held_back"] == data["held_back_from_training"] == 1
    assert data["by_origin"] == {"base": 61, "line 2": 6}
    assert (data["quarantined"], data["exact_copies_across_splits"]) == (1, 1)


def test_what_was_not_computed_is_null(told):
    data = told["dataset"]
    unknown = (
        "castings", "castings_of_two_labels", "castings_by_split", "test_images_of_trained_castings",
        "published_test_images_of_trained_castings",
    )  # fmt: skip
    assert [data[name] for name in unknown] == [None] * 5
    assert told["evaluation"]["review_band"] is told["evaluation"]["guarantee"] is None
    assert told["training"]["resumed_from_epoch"] is None


def test_a_guarantee_is_told_as_it_stands_in_the_record(outcome):
    promise = Guarantee(share=0.05, confidence=0.95, parts=73, may_pass=0, missing=0, by_part=True)
    promising = replace(outcome, evaluation=outcome.evaluation.model_copy(update={"guarantee": promise}))
    assert facts(promising)["evaluation"]["guarantee"] == promise.model_dump()


def test_castings_are_told_where_they_are_known(outcome):
    castings = {"castings": 40, "castings_of_two_labels": 2, "published_test_images_of_trained_castings": 7}
    by_split = {"train": 30, "validation": 6, "test": 9, "held_back": 0}
    splits = {"castings_by_split": by_split, "test_images_of_trained_castings": 5}
    found = replace(
        outcome,
        audit=outcome.audit.model_copy(update=castings),
        splits=outcome.splits.model_copy(update=splits),
    )
    data = facts(found)["dataset"]
    assert {name: data[name] for name in (*castings, *splits)} == castings | splits


def test_what_it_takes_to_score_without_a_model_is_told(told, outcome):
    data = told["dataset"]
    assert data["copy_baseline_accuracy"] == outcome.splits.lookup_accuracy
    assert set(data["shortcuts"]) == {"brightness", "border", "sharpness", "together"}
    assert data["shortcuts"]["border"].keys() == {"accuracy", "auc"}
    assert (
        data["brightness_auc"] == data["shortcuts"]["brightness"]["auc"] == outcome.splits.shortcuts["brightness"].auc
    )


def test_every_origin_is_told_with_what_is_still_being_written(outcome):
    (arrival,) = outcome.arrivals
    waiting = replace(outcome, arrivals=(arrival.model_copy(update={"unsettled": 4}),))
    first, second = facts(waiting)["dataset"]["origins"]
    assert [one["name"] for one in (first, second)] == ["base", "line 2"]
    assert [one["unsettled"] for one in (first, second)] == [0, 4]
    assert (first["files_found"], first["quarantined"], sum(first["by_class"].values())) == (62, 1, 61)
    assert second["sizes"] == {"48 x 48": 6}
    assert second["brightness"].keys() == {"low", "median", "high"}


def test_the_numbers_are_those_of_the_records(told, outcome):
    assert told["run_id"] == outcome.run_id
    assert told["dataset"]["digest"] == outcome.manifest.table.sha256
    assert told["dataset"]["splits_digest"] == outcome.splits.table.sha256
    assert (told["dataset"]["rings"], told["dataset"]["copies_of_two_labels"]) == (0, 0)
    assert told["started"] == "2026-11-22T16:15:00+00:00"
    assert told["wall_seconds"] == pytest.approx(12.345, abs=0.006)
    assert told["steps"] == {name: {"key": None, **time} for name, time in outcome.times.items()}
    assert told["model"]["sha256"] == outcome.model.file.sha256
    assert told["training"]["epochs"] == 3
    assert told["training"]["images"] == 48
    test = told["evaluation"]["test"]
    assert (test["images"], test["missed_defects"], test["false_rejects"]) == (20, 1, 2)
    low, high = test["escape_rate_interval"]
    assert 0 < low < test["escape_rate"] < high < 1
    assert sum(part["images"] for part in told["evaluation"]["slices"].values()) == 20
    assert told["release"]["verdict"] == "kept"


def test_the_run_can_be_repeated_from_its_own_words(told, outcome):
    assert Config.model_validate(told["config"]) == outcome.config


def test_the_start_is_told_in_universal_time(outcome):
    local = datetime(2026, 11, 22, 17, 15, tzinfo=timezone(timedelta(hours=1)))
    assert facts(replace(outcome, started=local))["started"] == "2026-11-22T16:15:00+00:00"


def test_a_library_that_is_not_there_has_no_version():
    assert installed_version("numpy")
    assert installed_version("no-such-distribution") is None


def test_what_is_known_before_training_is_a_part_of_the_outcome(outcome):
    found = PreTraining(**{field.name: getattr(outcome, field.name) for field in fields(PreTraining)})
    assert isinstance(outcome, PreTraining)
    assert [one.title for one in before_training(found)] == [one.title for one in before_training(outcome)]


def test_the_code_that_runs_is_named_by_its_commit(process, monkeypatch, tmp_path):
    monkeypatch.setattr("tasks.reporting.run_json.__file__", str(tmp_path / "outcome.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout_state() == CodeState(commit=None, changed=None), "no checkout"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert checkout_state() == CodeState(commit=commit, changed=False)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "file"], check=True)
    assert checkout_state() == CodeState(commit=commit, changed=True)
