"""Run folder: it is whole or not there, and `latest` leads to the newest one."""

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.reporting.run_folder import new_run_id, write_run
from tasks.reporting.run_json import fill_run_json
from tasks.settings.settings import Config, TrainingSettings
from tasks.storage.files import store


@pytest.fixture
def places(outcome):
    return outcome.config.places


def test_run_ids_sort_by_time_and_differ():
    config = Config(training=TrainingSettings(model="tutorial"))
    early, late = datetime(2026, 9, 30, 8, 5, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
    assert new_run_id(early, config).startswith("20260930-080500-tutorial-")
    assert new_run_id(early, config) < new_run_id(late, config)
    assert len({new_run_id(early, config) for _ in range(20)}) > 15


def test_the_folder_of_a_run_holds_all_there_is_to_know(outcome, places):
    folder = write_run(outcome, "<!doctype html>")
    assert folder == places.artifacts.absolute() / "runs" / outcome.run_id
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [
        "audit.csv", "castings.csv", "corrections.csv", "figures/confusion.png", "figures/learning.png",
        "figures/mistakes.png", "figures/samples.png", "model.txt", "predictions.csv", "quarantine.csv",
        "report.html", "run.json", "splits.csv",
    ]  # fmt: skip
    assert json.loads((folder / "run.json").read_text()) == json.loads(fill_run_json(outcome).model_dump_json())
    with open(folder / "predictions.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 40
    assert rows[0].keys() == {
        "path",
        "sha256",
        "split",
        "origin",
        "label",
        "group",
        "defect_probability",
        "decision",
        "reason",
        "cause",
        "kind",
    }


def test_the_tables_of_a_run_are_those_of_its_records(outcome, places):
    folder = write_run(outcome, "")
    tables = {
        "audit.csv": outcome.audit.pairs,
        "splits.csv": outcome.splits.table,
        "castings.csv": outcome.audit.groups,
        "corrections.csv": outcome.manifest.corrected,
        "quarantine.csv": outcome.manifest.refused,
        "predictions.csv": outcome.evaluation.predictions,
    }
    for name, file in tables.items():
        assert (folder / name).read_bytes() == file.path(places).read_bytes()
    assert len((folder / "castings.csv").read_text().splitlines()) == 1 + 66, "a line for each content"


def test_a_picture_keeps_its_kind(outcome, places):
    first, *rest = outcome.figures.figures
    photographs = store(lambda path: path.write_bytes(b"jpeg"), places, "data", "figures/leak.jpeg")
    leak = first.model_copy(update={"name": "leak", "file": photographs})
    folder = write_run(replace(outcome, figures=outcome.figures.model_copy(update={"figures": (leak, *rest)})), "")
    assert (folder / "figures/leak.jpeg").read_bytes() == b"jpeg"


def test_latest_names_the_newest_run(outcome, places):
    latest = places.artifacts / "runs" / "latest"
    write_run(outcome, "")
    assert latest.is_symlink()
    assert latest.readlink().as_posix() == outcome.run_id
    write_run(replace(outcome, run_id="20261123-000000-compact-aaaa"), "")
    assert json.loads((latest / "run.json").read_text())["run_id"] == "20261123-000000-compact-aaaa"
    assert sorted(path.name for path in latest.parent.iterdir()) == [
        outcome.run_id,
        "20261123-000000-compact-aaaa",
        "latest",
    ]


def test_when_writing_fails_there_is_no_folder_and_latest_stays(outcome, places, monkeypatch):
    write_run(outcome, "")
    later = replace(outcome, run_id="20261123-000000-compact-aaaa")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(shutil, "copyfile", full)
        write_run(later, "")
    runs = places.artifacts / "runs"
    assert sorted(path.name for path in runs.iterdir()) == [outcome.run_id, "latest"]
    assert (runs / "latest").readlink().as_posix() == outcome.run_id


@pytest.mark.parametrize(
    ("run_id", "beginning"),
    [("20261122-161500-compact-1f3a", "20261122-161500-compact-1f3a-"), ("../../elsewhere", ""), (None, "")],
)
def test_a_folder_in_the_place_of_latest_makes_way_and_is_kept(outcome, places, run_id, beginning):
    """As a copy of `artifacts` leaves it that follows links. It sorts beside its original, and never counts as the newest run."""
    copy = places.artifacts / "runs/latest"
    copy.mkdir(parents=True)
    content = json.dumps({"run_id": run_id})
    (copy / "run.json").write_text(content)
    folder = write_run(outcome, "")
    assert copy.is_symlink()
    assert copy.resolve() == folder
    assert (places.artifacts / f"runs/{beginning}copy-before-{outcome.run_id}/run.json").read_text() == content


def test_where_labels_changed_the_lines_that_take_them_lie_in_the_folder_of_the_run(outcome, places):
    changed = outcome.manifest.model_copy(update={"label_changes": outcome.manifest.refused})
    folder = write_run(replace(outcome, manifest=changed), "")
    assert (folder / "label_changes.csv").read_bytes() == outcome.manifest.refused.path(places).read_bytes()
