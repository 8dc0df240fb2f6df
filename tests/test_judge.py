"""Judge: a folder that fills is judged as it grows, each content once by a version; the table is whole and only grows."""

import csv
import os
import shutil
import sys

import pytest

from flows import judge
from tasks.models import bundle, inspection
from tasks.runs import registry, tracker
from tasks.runs.commandline import exit_status
from tasks.runs.errors import BadInput


@pytest.fixture
def station(released, tmp_path):
    """A folder with six photographs; more lie in `castings`."""
    shutil.copytree(tmp_path / "castings/test/ok_front", tmp_path / "station/monday")
    for number in (6, 7):
        (tmp_path / f"station/monday/cast_{number}.jpeg").unlink()
    return tmp_path / "station"


@pytest.fixture
def inspect(station, places):
    return lambda: judge.inspected(station, None, 0, places)


def rows_of(table):
    with open(table, newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_folder_is_judged_as_predict_judges_it(inspect, station, released, places):
    done = inspect()
    _, judged = released
    model = registry.champion(places).model
    assert done.table == places.artifacts / f"judged/{station.relative_to('/')}/version-1-{model[:12]}.csv"
    rows = rows_of(done.table)
    assert [row["path"] for row in rows] == [f"monday/cast_{number}.jpeg" for number in range(6)]
    for row in rows:
        said = judged[row["sha256"]]
        assert row["decision"] == said.decision
        assert row["model_version"] == "1"
        assert float(row["defect_probability"]) == pytest.approx(said.defect_probability, abs=1e-5)


def test_an_image_is_judged_once_though_it_is_moved_copied_or_taken_away(inspect, station, tmp_path, monkeypatch):
    asked, judge_all = [], inspection.Predictor.judge
    monkeypatch.setattr(inspection.Predictor, "judge", lambda self, some: asked.extend(some) or judge_all(self, some))
    inspect()
    assert len(asked) == 6
    assert inspect().rows == []
    shutil.copyfile(station / "monday/cast_0.jpeg", station / "again.jpeg")
    (station / "monday/cast_1.jpeg").rename(station / "moved.jpeg")
    (station / "monday/cast_2.jpeg").unlink()
    shutil.copyfile(tmp_path / "castings/test/def_front/cast_3.jpeg", station / "new.jpeg")
    done = inspect()
    assert sorted(row["path"] for row in done.rows) == ["again.jpeg", "moved.jpeg", "new.jpeg"]
    assert [name for name, _ in asked[6:]] == ["new.jpeg"]
    rows = {row["path"]: row for row in rows_of(done.table)}
    assert len(rows) == 9, "what was said of images that are gone stays"
    for name in ("defect_probability", "decision", "sha256"):
        assert rows["again.jpeg"][name] == rows["monday/cast_0.jpeg"][name]


def test_two_names_of_one_new_image_are_one_question(inspect, station):
    shutil.copyfile(station / "monday/cast_0.jpeg", station / "twin.jpeg")
    rows = {row["path"]: row for row in inspect().rows}
    assert len(rows) == 7
    assert rows["twin.jpeg"]["sha256"] == rows["monday/cast_0.jpeg"]["sha256"]


def test_another_version_has_a_table_of_its_own(inspect, released, places, tmp_path):
    first = inspect()
    before = first.table.read_bytes()
    folder = bundle.of(released[0].digest, places)
    tracked = tracker.begin("of another decision", "second-run", places)
    made = registry.register(folder, "compact", tracked, "second-run", "it is better", 1, places)
    registry.promote(made.number, 1, places)
    second = inspect()
    assert second.table.name == f"version-2-{registry.champion(places).model[:12]}.csv"
    assert len(second.rows) == 6
    assert first.table.read_bytes() == before


def test_a_killed_inspection_loses_a_block_at_most_and_the_next_goes_on(inspect, monkeypatch):
    monkeypatch.setattr(inspection, "BLOCK", 4)
    write, written = inspection.write_rows, []

    def dies(target, rows, columns):
        if written:
            raise KeyboardInterrupt
        written.append(write(target, rows, columns))

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(inspection, "write_rows", dies)
        inspect()
    assert len(inspect().rows) == 2


def test_an_image_that_cannot_be_read_goes_to_a_person_and_stops_no_other(inspect, station):
    (station / "torn.jpeg").write_bytes((station / "monday/cast_0.jpeg").read_bytes()[:300])
    (station / "notes.txt").write_text("no image")
    rows = {row["path"]: row for row in rows_of(inspect().table)}
    assert len(rows) == 7
    assert rows["torn.jpeg"]["decision"] == "review"
    assert rows["torn.jpeg"]["defect_probability"] == ""


def test_a_photograph_that_is_being_written_waits(station, places, monkeypatch):
    monkeypatch.setattr(inspection, "settled", lambda paths, seconds: {path for path in paths if "cast_5" not in path})
    done = judge.inspected(station, None, 1, places)
    assert (len(done.rows), done.waiting) == (5, 1)
    assert "1 are still being written" in judge.told(done)


def test_a_photograph_that_may_not_be_read_is_told_and_stops_no_other(station, places, monkeypatch):
    may = os.access
    monkeypatch.setattr(inspection.os, "access", lambda path, how: path.name != "cast_5.jpeg" and may(path, how))
    done = judge.inspected(station, None, 0, places)
    assert (len(done.rows), done.waiting, done.closed) == (5, 0, 1)
    assert "1 cannot be read by this user" in judge.told(done)
    monkeypatch.undo()
    assert [row["path"] for row in judge.inspected(station, None, 0, places).rows] == ["monday/cast_5.jpeg"]


def test_a_table_of_something_else_is_left_alone(inspect):
    table = inspect().table
    table.write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="is not a table of judged images"):
        inspect()
    assert table.read_text() == "a,b\n1,2\n"


def test_the_command_says_what_it_did(station, places, monkeypatch, capsys):
    words = [station, "--results", places.artifacts / "here", "--data", places.data, "--artifacts", places.artifacts]
    monkeypatch.setattr(sys, "argv", ["judge.py", "--settle_seconds", "0", *map(str, words)])
    assert exit_status(judge.main) == 0
    assert capsys.readouterr().out.startswith("new images: 6; ")
    assert exit_status(judge.main) == 0
    assert capsys.readouterr().out == "nothing new\n"
    (made,) = (places.artifacts / "here").glob("version-1-*.csv")
    assert len(rows_of(made)) == 6


def test_without_a_model_or_a_folder_it_says_so(places, released, tmp_path):
    with pytest.raises(BadInput, match="there is no folder"):
        judge.inspected(tmp_path / "nowhere", None, 0, places)
    none = places.model_copy(update={"artifacts": tmp_path / "none"})
    with pytest.raises(BadInput, match="no model is in use"):
        judge.inspected(tmp_path, None, 0, none)


def test_the_flow_shows_what_a_person_should_look_at(prefect_server, station, places):
    assert judge.judge(station, None, 0, places) == 6
    assert judge.judge(station, None, 0, places) == 0
    done = inspection.Inspected(
        places.artifacts / "x.csv", [{"path": "a|b`.jpeg", "decision": "review", "reason": "torn"}], 0, 0
    )
    assert "| `a\\|b'.jpeg` | `torn` |" in judge.report(done)
