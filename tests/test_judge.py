"""Judge: a growing folder is judged as it grows, each content once by a version, and the table is whole and only grows."""

import csv
import errno
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import mock

import pytest

from flows import judge
from tasks.images.decoding import SUFFIXES
from tasks.inference import model_folder
from tasks.inference.decision import DecisionRule
from tasks.inference.predictor import Answer, Measures
from tasks.monitoring import batch_scoring
from tasks.settings.cli import exit_status
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_utf8
from tasks.settings.settings import Classes
from tasks.storage.files import sha256_of
from tasks.storage.tables import write_rows
from tasks.tracking import registry, runs


@pytest.fixture
def station(released, tmp_path):
    """A folder with six photographs; more lie in `castings`."""
    shutil.copytree(tmp_path / "castings/test/ok_front", tmp_path / "station/monday")
    for number in (6, 7):
        (tmp_path / f"station/monday/cast_{number}.jpeg").unlink()
    return tmp_path / "station"


class Stub:
    """Judges without a network."""

    def __init__(self, *_: object) -> None:
        pass

    def judge_measured(self, images):
        for name, path in images:
            answer = Answer(
                path=for_utf8(name), sha256=sha256_of(path), label="ok_front", defect_probability=0.1, decision="pass", reason="",
                model_version=1, cause="below_limit",
            )  # fmt: skip
            yield answer, Measures(128.0, 0.5)


@pytest.fixture
def judge_files(places, tmp_path, monkeypatch, photograph):
    """Judges these files, {name in bytes: content or None for a photograph}, of a folder by a model that passes all."""
    version = mock.Mock(number=1, model="0" * 64)
    monkeypatch.setattr(batch_scoring, "Predictor", Stub)
    monkeypatch.setattr(batch_scoring.model_folder, "ensure_local", lambda *_: tmp_path)

    def run(files: dict[bytes, bytes | None], folder: str = "line 1", stamp: str | None = None):
        for seed, (name, content) in enumerate(files.items()):
            path = tmp_path / folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photograph(seed) if content is None else content)
        return batch_scoring.judge_folder(tmp_path / folder, tmp_path / "results", 0, version, places, stamp)

    return run


@pytest.mark.parametrize("name", [b"a\xff.jpeg", b"a\n.jpeg", b"x\xfe/a.jpeg", b"a\x1b[2J.jpeg"])
def test_a_photograph_of_an_odd_name_is_judged_once_as_all_others(judge_files, name):
    done = judge_files({b"1.jpeg": None, name: None})
    shown = os.fsdecode(name).encode(errors="backslashreplace").decode()
    assert {row["path"] for row in done.rows} == {"1.jpeg", shown}
    assert {row["path"] for row in rows_of(done.table)} == {"1.jpeg", shown}
    assert judge_files({}).rows == []
    assert judge.summary_line(done).isprintable()


def test_paths_tell_station_part_and_time_in_every_block(process, judge_files, monkeypatch):
    monkeypatch.setattr(batch_scoring, "BLOCK", 2)
    files = {f"s{number % 2}/p{number}_20261201T06550{number}.jpeg".encode(): None for number in range(5)}
    files[b"s\xff/p5.jpeg"] = None
    done = judge_files(files, stamp="(?P<station>[^/]+)/(?P<part>p[0-9])(_(?P<time>[0-9T]+))?")
    stamps = {(row["station"], row["part"], row["taken"]) for row in rows_of(done.table)}
    told = {(f"s{number % 2}", f"p{number}", f"2026-12-01T06:55:0{number}") for number in range(5)}
    assert stamps == told | {("s\\udcff", "p5", "")}


def test_a_folder_of_an_odd_name_is_judged(judge_files):
    done = judge_files({b"1.jpeg": None}, os.fsdecode(b"line\xff"))
    assert len(done.rows) == 1
    assert judge.summary_line(done).isprintable()


def test_what_is_not_judged_is_counted_and_named_each_time(judge_files):
    files = {b"1.gif": b"x", b"2.GIF": b"x", b"3.heic": b"x", b"@eaDir/1.jpeg": b"x", b"Thumbs.db": b"x"}
    left = f"left out: 3 files of other formats: 2 .gif (1.gif, 2.GIF), 1 .heic (3.heic); read are {SUFFIXES}"
    for _ in range(2):
        assert judge.summary_line(judge_files(files)) == f"nothing new; {left}"
    done = judge_files({b"1.jfif": None, b"2.jpe": None})
    assert judge.summary_line(done) == f"new images: 2; 2 pass, 0 review, 0 reject; {left}; {done.table}"


def test_a_folder_or_a_photograph_that_may_not_be_read_is_told_and_stops_no_other(judge_files, tmp_path, monkeypatch):
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("/shut"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refusing)
        patched.setattr(os, "access", lambda path, how: not str(path).endswith("2.jpeg"))
        done = judge_files({b"1.jpeg": None, b"2.jpeg": None, b"shut/3.jpeg": None})
    assert [row["path"] for row in done.rows] == ["1.jpeg"]
    said = judge.summary_line(done)
    assert f"left out: {tmp_path}/line 1/shut cannot be read (Permission denied)" in said
    assert f"left out: {tmp_path}/line 1/2.jpeg cannot be read by this user" in said
    assert [row["path"] for row in judge_files({}).rows] == ["2.jpeg", "shut/3.jpeg"]


def test_a_folder_that_may_not_be_looked_at_is_bad_input(judge_files, monkeypatch):
    look = os.stat

    def refusing(path, *args, **named):
        if str(path).endswith("line 1"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return look(path, *args, **named)

    monkeypatch.setattr(os, "stat", refusing)
    with pytest.raises(BadInput, match="there is no folder"):
        judge_files({})


def test_a_photograph_that_breaks_off_while_it_is_read_is_told_and_stops_no_other(judge_files, monkeypatch):
    monkeypatch.setattr(batch_scoring, "file_digests", lambda *_: [None, "00" * 32])
    done = judge_files({b"1.jpeg": None, b"2.jpeg": None})
    assert [row["path"] for row in done.rows] == ["2.jpeg"]
    assert "left out: 1.jpeg could not be read, or was taken away" in judge.summary_line(done)


@pytest.fixture
def inspect(station, places):
    return lambda **settings: judge.judge_by_champion(station, None, 0, places, **settings).result


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
    asked, judge_all = [], batch_scoring.Predictor.judge_measured
    monkeypatch.setattr(
        batch_scoring.Predictor, "judge_measured", lambda self, some: asked.extend(some) or judge_all(self, some)
    )
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
    folder = model_folder.path(released[0].digest, places)
    mlflow_run_id = runs.begin("of another decision", "second-run", places)
    made = registry.register(folder, "compact", mlflow_run_id, "second-run", "it is better", 1, places)
    registry.promote(made.number, 1, places)
    second = inspect()
    assert second.table.name == f"version-2-{registry.champion(places).model[:12]}.csv"
    assert len(second.rows) == 6
    assert first.table.read_bytes() == before


def test_a_killed_inspection_loses_a_block_at_most_and_the_next_goes_on(inspect, monkeypatch):
    monkeypatch.setattr(batch_scoring, "BLOCK", 4)
    write, written = batch_scoring.write_rows, []

    def dies(target, rows, columns):
        if written:
            raise KeyboardInterrupt
        written.append(write(target, rows, columns))

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(batch_scoring, "write_rows", dies)
        inspect()
    assert len(inspect().rows) == 2


def test_an_image_that_cannot_be_read_goes_to_a_person_and_stops_no_other(inspect, station):
    (station / "torn.jpeg").write_bytes((station / "monday/cast_0.jpeg").read_bytes()[:300])
    (station / "notes.txt").write_text("no image")
    rows = {row["path"]: row for row in rows_of(inspect().table)}
    assert len(rows) == 7
    assert rows["torn.jpeg"]["decision"] == "review"
    assert rows["torn.jpeg"]["defect_probability"] == ""


def test_a_file_that_is_too_large_goes_to_a_person_once_and_is_not_read(places, tmp_path, monkeypatch):
    folder, version = tmp_path / "station", SimpleNamespace(number=1, model="ab" * 32)
    folder.mkdir()
    for name in ("film.jpeg", "twin.png", "torn.jpeg"):
        (folder / name).write_bytes(b"no picture")
    for name, size in (("film.jpeg", 2**40), ("twin.png", 2**41)):
        os.truncate(folder / name, size)  # hours to read, without a byte on the disk
    model = object.__new__(batch_scoring.Predictor)  # without a network, which these files do not need
    model.version = 1
    model.rule = DecisionRule(classes=Classes(), model="compact", network_sha256="", view="raw", image_size=75)
    monkeypatch.setattr(batch_scoring, "Predictor", lambda *_: model)
    monkeypatch.setattr(batch_scoring.model_folder, "ensure_local", lambda *_: folder)
    done = batch_scoring.judge_folder(folder, tmp_path / "judged", 0, version, places)
    rows = {row["path"]: row for row in rows_of(done.table)}
    assert {name: row["decision"] for name, row in rows.items()} == dict.fromkeys(
        ("film.jpeg", "torn.jpeg", "twin.png"), "review"
    )
    assert rows["film.jpeg"]["reason"].startswith("the image cannot be read: the file has 1,099,511,627,776 bytes")
    assert rows["twin.png"]["reason"].startswith("the image cannot be read: the file has 2,199,023,255,552 bytes")
    assert [bool(row["sha256"]) for row in rows.values()] == [False, True, False]
    assert batch_scoring.judge_folder(folder, tmp_path / "judged", 0, version, places).rows == []
    os.truncate(folder / "film.jpeg", 3)
    (row,) = batch_scoring.judge_folder(folder, tmp_path / "judged", 0, version, places).rows
    assert row["path"] == "film.jpeg"


def test_a_photograph_that_is_being_written_waits(station, places, monkeypatch):
    monkeypatch.setattr(
        batch_scoring, "settled_files", lambda paths, seconds, places: {path for path in paths if "cast_5" not in path}
    )
    done = judge.judge_by_champion(station, None, 1, places).result
    assert (len(done.rows), done.waiting) == (5, 1)
    assert "1 are still being written" in judge.summary_line(done)


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
        judge.judge_by_champion(tmp_path / "nowhere", None, 0, places)
    none = places.model_copy(update={"artifacts": tmp_path / "none"})
    with pytest.raises(BadInput, match="no model is in use"):
        judge.judge_by_champion(tmp_path, None, 0, none)


def test_the_flow_shows_what_a_person_should_look_at(prefect_server, station, places):
    assert judge.judge(station, None, 0, places) == 6
    assert judge.judge(station, None, 0, places) == 0
    done = batch_scoring.BatchResult(
        places.artifacts / "x.csv", [{"path": "a|b`.jpeg", "decision": "review", "reason": "torn"}], 0, []
    )
    assert "| `a\\|b'.jpeg` | `torn` |" in judge.report(done)


def table_of(*names: str, columns: Sequence[str] = batch_scoring.COLUMNS) -> bytes:
    row = {"label": "ok_front", "defect_probability": 0.1, "decision": "pass", "reason": "sure", "model_version": 1}
    row["cause"] = "below_limit"
    rows = [
        {**row, "path": name, "sha256": f"{number:064}", "judged": "2026-11-30T12:00:00+00:00"}
        for number, name in enumerate(names)
    ]
    with TemporaryDirectory() as folder:
        write_rows(Path(folder, "table.csv"), rows, columns)
        return Path(folder, "table.csv").read_bytes()


WHOLE = table_of("a.jpeg", 'b, "c".jpeg', "d.jpeg")


@pytest.mark.parametrize("cut", [0, 10, 130, len(WHOLE) - 40, len(WHOLE) - 10, len(WHOLE) - 1])
def test_of_a_table_that_was_cut_the_whole_rows_stay_and_nothing_is_lost(tmp_path, capsys, cut):
    table = tmp_path / "version-1-ab.csv"
    table.write_bytes(WHOLE[:cut])
    rows = batch_scoring.read(table)
    assert [row["path"] for row in rows] == ["a.jpeg", 'b, "c".jpeg', "d.jpeg"][: max(0, WHOLE[:cut].count(b"\n") - 1)]
    (copy,) = tmp_path.glob("version-1-ab-damaged-*.csv")
    assert copy.read_bytes() == WHOLE[:cut]
    said = capsys.readouterr().out
    assert (
        f"{table} is damaged: the {len(rows)} whole rows stay, other images are judged again; a copy is {copy.name}"
        in said
    )
    assert batch_scoring.read(table) == rows
    assert capsys.readouterr().out == "", "it was mended"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"pass", b"perhaps"),
        (b"0" * 64, b"0" * 63),
        (b"a.jpeg", b""),
        (b"a.jpeg", b"\xff.jpeg"),
        (b"a.jpeg", b"a,b,c"),
        (b"a.jpeg", b"\0"),
    ],
)
def test_a_row_that_no_judge_wrote_is_judged_again(tmp_path, old, new):
    (tmp_path / "t.csv").write_bytes(WHOLE.replace(old, new, 1))
    assert [row["path"] for row in batch_scoring.read(tmp_path / "t.csv")] == ['b, "c".jpeg', "d.jpeg"]


def test_a_quote_that_never_closes_costs_what_follows_it(tmp_path):
    (tmp_path / "t.csv").write_bytes(WHOLE.replace(b"d.jpeg", b'"d.jpeg') + b"x" * 200_000)
    assert [row["path"] for row in batch_scoring.read(tmp_path / "t.csv")][:1] == ["a.jpeg"]


def test_a_whole_table_is_read_as_it_is(tmp_path, capsys):
    (tmp_path / "t.csv").write_bytes(WHOLE)
    assert len(batch_scoring.read(tmp_path / "t.csv")) == 3
    assert batch_scoring.read(tmp_path / "none.csv") == []
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert capsys.readouterr().out == ""


def test_a_table_from_before_a_column_came_stays_and_is_written_with_it(tmp_path, capsys):
    """Version 0.2.0 wrote no cause."""
    table = tmp_path / "t.csv"
    table.write_bytes(table_of("a.jpeg", "b.jpeg", columns=batch_scoring.FIRST_COLUMNS))
    rows = batch_scoring.read(table)
    assert [(row["path"], row["decision"], row["cause"]) for row in rows] == [
        ("a.jpeg", "pass", ""),
        ("b.jpeg", "pass", ""),
    ]
    write_rows(table, rows, batch_scoring.COLUMNS)
    assert batch_scoring.read(table) == rows
    assert capsys.readouterr().out == ""
    table.write_bytes(table_of("a.jpeg", columns=batch_scoring.COLUMNS[:5]))
    with pytest.raises(BadInput, match="is not a table of judged images"):
        batch_scoring.read(table)


def test_what_cannot_be_the_table_or_its_folder_is_told(tmp_path):
    with pytest.raises(BadInput, match="cannot be read .*move it away"):
        batch_scoring.read(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="--results .*file cannot be used"):
        batch_scoring.make_writable(tmp_path / "file")


def test_answers_of_people_that_cannot_be_read_stop_no_judging(station, places):
    labels = places.artifacts / "labels.csv"
    labels.write_text("path,label\n")
    judged = judge.judge_by_champion(station, None, 0.0, places)
    assert len(judged.result.rows) == len(rows_of(judged.result.table)) == 6
    assert any("spot checks: " in note and "is not a table of labels" in note for note in judged.notes)
    assert not judged.alarm.is_suspect
    assert labels.read_text() == "path,label\n"
