"""Prune: it removes and reports what nothing needs, and leaves what is in use, was in use before, waits, or belongs to a kept run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import copy_places, put_into_use, write_model_folder

from flows import prune as flow
from flows.promote import versions_table
from tasks.inference import model_folder
from tasks.pipeline import retention
from tasks.records.results import Release
from tasks.records.rows import Row, stored_name, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage import result_cache
from tasks.storage.files import store
from tasks.storage.locks import places_lock
from tasks.storage.tables import store_table
from tasks.tracking import connection, mlflow_location, registry, runs
from tasks.tracking.registry import Version

ROOT = Path(__file__).parents[1]


def write_run(name: str, places, *, keys=(), model: str = "00", mlflow_run_id: str | None = None) -> None:
    """A run's folder as far as pruning reads it, and its files in MLflow."""
    folder = places.artifacts / "runs" / name
    folder.mkdir(parents=True)
    steps = {f"step{number}": {"cached": False, "seconds": 1, "key": key} for number, key in enumerate(keys)}
    (folder / "run.json").write_text(json.dumps({"config": {}, "steps": steps, "model": {"folder": model}}))
    if mlflow_run_id:
        client = connection.client(places)
        client.log_text(mlflow_run_id, "a page", "report.html")
        client.log_text(mlflow_run_id, "a picture", "figures/found.txt")
        decided = Release(verdict="kept", reason="it is worse", version=None, champion_before=None, decided_in=name)
        runs.save_decision(mlflow_run_id, decided, places)
        runs.mark_applied(mlflow_run_id, decided, places)
        client.set_terminated(mlflow_run_id)


@pytest.fixture
def history(empty_registry, places, once, capsys):
    """Four versions in use one after the other, a run each: run-1 to run-4; then one that was decided and kept."""

    def make(top: Path) -> tuple[Places, list[Version]]:
        places = Places(data=top / "data", artifacts=top / "artifacts")
        places.artifacts.mkdir()
        shutil.copyfile(empty_registry, mlflow_location.path_of(places))
        made = []
        for number in range(1, 5):
            folder = write_model_folder(f"model {number}", places)
            version = put_into_use(folder, places, f"run-{number}")
            write_run(f"run-{number}", places, model=folder.name, mlflow_run_id=version.tracked)
            made.append(version)
        mlflow_run_id = runs.begin("another question", "run-5", places)
        write_run("run-5", places, model=write_model_folder("model 5", places).name, mlflow_run_id=mlflow_run_id)
        return places, made

    there, made = once("history", make)
    copy_places(there, places)
    connection.prepare(places)
    assert "was moved or copied" in capsys.readouterr().err
    return made


def file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_in_use_was_before_or_is_of_a_kept_run_stays(history, places):
    found = retention.prune(1, places)
    assert file_names(places.artifacts / "runs") == {"run-3", "run-4", "run-5"}, (
        "the newest, and those of champion and previous"
    )
    expected = {history[2].model, history[3].model, write_model_folder("model 5", places).name}
    assert file_names(places.artifacts / "models") == expected
    assert found["runs"][0] == found["models"][0] == found["files of versions in the registry"][0] == 2
    assert all(size > 0 for _, size in found.values())
    assert registry.champion(places).number == 4
    model_folder.read_back(registry.version(3, places), places)
    now, before = registry.rollback("was taken back", places)
    assert (now.number, before.number) == (3, 4)
    assert model_folder.ensure_local(now, places).is_dir()


def test_what_is_gone_is_told_and_its_story_stays(history, places):
    retention.prune(1, places)
    gone = registry.version(1, places)
    assert gone.removed
    with pytest.raises(BadInput, match="version 1 cannot be used: its files were removed on 20"):
        model_folder.ensure_local(gone, places)
    marks = list(versions_table(places).columns[1].cells)
    assert [str(one) for one in marks] == ["files removed", "files removed", "previous", "champion"]
    assert runs.decision_of_run(history[0].tracked, places).reason == "it is worse", (
        "the decision is no file of a report"
    )
    client = connection.client(places)
    assert [one.path for one in client.list_artifacts(history[0].tracked)] == ["release.json"]
    assert len(client.list_artifacts(history[3].tracked)) == 3


def test_what_a_model_of_another_name_needs_stays_and_what_it_needs_no_longer_goes(history, places):
    """Versions of two names bear equal numbers."""
    toys = places.with_model("recast-sample")
    for number in range(1, 5):
        folder = write_model_folder(f"toy {number}", places)
        version = put_into_use(folder, toys, f"run-0{number}")
        write_run(f"run-0{number}", places, model=folder.name, mlflow_run_id=version.tracked)
    retention.prune(1, places)
    for of in (places, toys):
        assert [bool(one.removed) for one in registry.versions(of)] == [True, True, False, False]
        assert model_folder.path(registry.champion(of).model, places).is_dir()
    assert file_names(places.artifacts / "runs") == {"run-03", "run-04", "run-3", "run-4", "run-5"}
    assert retention.prune(1, toys) == {}


def test_a_version_that_waits_stays(history, places):
    waiting = write_model_folder("waits", places)
    mlflow_run_id = runs.begin("it waits", "run-0", places)
    version = registry.register(waiting, "compact", mlflow_run_id, "run-0", "it is better", 4, places)
    registry.challenge(version.number, places)
    write_run("run-0", places, model=waiting.name, mlflow_run_id=mlflow_run_id)
    retention.prune(1, places)
    assert waiting.is_dir()
    assert "run-0" in file_names(places.artifacts / "runs")


def test_what_others_put_into_the_same_registry_stays(history, places):
    """A server is shared: runs whose folders lie on another machine are not this one's to prune."""
    folder = write_model_folder("of another machine", places)
    version = put_into_use(folder, places, "run-of-another")
    connection.client(places).log_text(version.tracked, "a page", "report.html")
    connection.client(places).set_terminated(version.tracked)
    for number in (1, 2):  # so that it is neither in use nor was before
        registry.promote(number, registry.champion(places).number, places)
    retention.prune(1, places)
    assert registry.version(version.number, places).removed is None
    model_folder.read_back(registry.version(version.number, places), places)
    assert [one.path for one in connection.client(places).list_artifacts(version.tracked)] == ["report.html"]


def test_the_last_run_stays_though_the_clock_was_set_back_before_it(history, places):
    write_run("run-0", places, model=write_model_folder("model 0", places).name)
    (places.artifacts / "runs/latest").symlink_to("run-0")
    retention.prune(1, places)
    assert {"run-0", "run-5", "latest"} <= file_names(places.artifacts / "runs")
    assert model_folder.path(write_model_folder("model 0", places).name, places).is_dir()


def test_a_second_call_finds_nothing(history, places):
    assert retention.prune(2, places)
    assert retention.prune(2, places) == {}


def test_a_dry_run_tells_the_same_and_leaves_all(history, places):
    before = sorted(places.artifacts.rglob("*.html")), sorted((places.artifacts / "models").rglob("*"))
    told = retention.prune(1, places, dry=True)
    assert before == (sorted(places.artifacts.rglob("*.html")), sorted((places.artifacts / "models").rglob("*")))
    assert told == retention.prune(1, places)


@pytest.mark.parametrize("after", range(1, 7))
def test_who_is_interrupted_leaves_nothing_that_lacks_a_part_and_the_next_call_ends_it(
    history, places, monkeypatch, after
):
    done = []

    def dies(self):
        done.append(self.what)
        if len(done) == after:
            raise KeyboardInterrupt
        self.remove()

    items = list(retention.find_garbage(retention.find_needed(1, places), places))
    assert len(items) > after
    with pytest.raises(KeyboardInterrupt):
        for one in items:
            dies(one)
    assert model_folder.ensure_local(registry.champion(places), places).is_dir()
    for folder in (places.artifacts / "models").iterdir():
        assert model_folder.identity(folder) == folder.name
    retention.prune(1, places)
    assert retention.prune(1, places) == {}


def write_step_record(key: str, places, *files) -> str:
    """A step's record as Prefect keeps it."""
    folder = places.data / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    record = {"__class__": "x", "data": {"files": [file.model_dump() for file in files]}}
    (folder / key).write_text(json.dumps({"metadata": {}, "result": json.dumps(record)}))
    return key


@pytest.mark.parametrize(
    "content", ["null", "[]", '{"result": null}', '{"result": "null"}', '{"result": [1]}', "[" * 100_000]
)
def test_a_record_that_is_none_names_no_file(tmp_path, content):
    (tmp_path / "fetch-1").write_text(content)
    assert list(retention.recorded_names(tmp_path / "fetch-1")) == []


@pytest.mark.parametrize("name", ["/etc/passwd", "tables/../../x.csv", "", 3, None, ["a"]])
def test_a_record_names_no_file_outside_data(tmp_path, name):
    files = [{"place": "data", "name": one, "sha256": "ab"} for one in (name, "tables/a.csv")]
    (tmp_path / "split-1").write_text(json.dumps({"result": json.dumps({"data": {"files": files}})}))
    assert list(retention.recorded_names(tmp_path / "split-1")) == ["tables/a.csv"]


def test_data_is_swept_by_what_kept_runs_were_made_of(registered, places, store_images, photograph):
    def network(text):
        return store(lambda path: path.write_text(text), places, "data", "networks/compact.keras")

    rows = store_images(photograph(1), photograph(2), photograph(3))
    old_mask, new_mask = store_images(photograph(4), photograph(5))
    rows[0], rows[2] = rows[0]._replace(mask=stored_name(old_mask)), rows[2]._replace(mask=stored_name(new_mask))
    first, second = (store_table("manifest", some, Row, places) for some in (rows[:2], rows[1:]))
    old, new, archive = (
        network("old"),
        network("new"),
        store(lambda path: path.write_text("z"), places, "data", "archives/a.zip"),
    )
    (places.data / (archive.name.removesuffix(".zip") + "-truth")).mkdir()
    (places.data / "archives/b-truth").mkdir()
    for row in rows:
        list(result_cache.cached_map("strip", "1", [stored_name(row)], lambda keys: [b"x"] * len(keys), places))
    list(result_cache.cached_map(f"judged by {'ab' * 32}", "1", ["cd" * 32], lambda keys: [b"y"], places))
    (places.data / "inbox/ok_front").mkdir(parents=True)
    (places.data / "inbox/ok_front/a.jpeg").write_bytes(b"mine")
    (places.data / "corrections.csv").write_text("mine")
    write_run(
        "run-1",
        places,
        keys=[write_step_record("validate-1", places, first), write_step_record("train-1", places, old)],
    )
    write_run(
        "run-2",
        places,
        keys=[write_step_record("validate-2", places, second, archive), write_step_record("train-2", places, new)],
    )
    found = retention.prune(1, places)
    assert file_names(places.data / "cache") == {"validate-2", "train-2"}
    assert file_names(places.data / "networks") == {Path(new.name).name}
    assert file_names(places.data / "archives") == {Path(archive.name).name, Path(archive.name).stem + "-truth"}
    assert [stored_path(row, places).exists() for row in (*rows, old_mask, new_mask)] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert found["images"][0] == 2
    assert found["results by content"][1] == 2, "one strip of an image, and one answer of a model"
    asked = []
    for row in rows:
        list(
            result_cache.cached_map(
                "strip", "1", [stored_name(row)], lambda keys: asked.extend(keys) or [b"x"] * len(keys), places
            )
        )
    assert asked == [stored_name(rows[0])]
    assert (places.data / "inbox/ok_front/a.jpeg").read_bytes() == b"mine"
    assert (places.data / "corrections.csv").read_text() == "mine"


def test_while_a_run_is_under_way_nothing_goes(history, places):
    code = "import sys; from tasks.settings.settings import Places; from tasks.storage.locks import places_lock\n"
    code += "with places_lock(Places(data=sys.argv[1])): print('on', flush=True); sys.stdin.read()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, places.data], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with running:
        assert running.stdout.readline() == "on\n"
        with places_lock(places):
            pass  # runs do not wait for each other
        with pytest.raises(BadInput, match="a run is using"):
            retention.prune(1, places)
        running.kill()
        running.communicate()
    assert (places.artifacts / "runs/run-1").is_dir()
    assert retention.prune(1, places), "the dead keep nobody waiting"


def test_every_folder_of_data_that_a_record_names_is_looked_into(places):
    texts = [path.read_text() for path in (ROOT / "tasks").rglob("*.py")]
    stored = {name for text in texts for name in re.findall(r'"data",\s*(?:name=)?f?"(\w+)/', text)}
    assert stored == {folder.name for folder in places.recorded_folders()}


def test_an_older_run_without_keys_of_its_steps_can_be_read(places):
    write_run("run-1", places, keys=["train-1"])
    path = places.artifacts / "runs/run-1/run.json"
    facts = json.loads(path.read_text())
    facts["steps"]["fetch"] = {"cached": True, "seconds": 0.1}
    path.write_text(json.dumps({**facts, "evaluation": {"a shape": "of an older run"}}))
    assert retention.references_of(path.parent) == ("00", {"train-1"})


def test_an_empty_place_has_nothing_to_remove(places, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prune.py", "--data", str(places.data), "--artifacts", str(places.artifacts)])
    flow.main()
    assert capsys.readouterr().out == "nothing to remove: all that is there is needed\n"
    assert not places.artifacts.exists() or not (places.artifacts / "mlflow.db").exists()


def test_the_command_says_what_and_how_much(history, places, monkeypatch, capsys):
    words = ["--keep-runs", "1", "--data", str(places.data), "--artifacts", str(places.artifacts)]
    monkeypatch.setattr(sys, "argv", ["prune.py", *words, "--dry-run"])
    flow.main()
    would = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["prune.py", *words])
    flow.main()
    did = capsys.readouterr().out
    assert "2 runs" in did
    assert would.replace("would be removed", "removed") == did


@pytest.fixture
def unused_registry(monkeypatch):
    """A registry in which nothing is, without MLflow."""
    monkeypatch.setattr(registry, "versions", lambda places: [])
    monkeypatch.setattr(registry, "previous", lambda places: None)


@pytest.mark.parametrize("content", ["", '{"steps": {"a"', "null", "[]", "{}", '{"model": {"folder": 5}, "steps": {}}'])
def test_a_run_that_is_damaged_stays_and_stops_no_other(places, unused_registry, capsys, content):
    for number in (1, 2, 3, 4):
        write_run(f"run-{number}", places, keys=[f"train-{number}"], model=f"{number}")
    (places.artifacts / "runs/run-4/run.json").write_text(content)
    stays = retention.find_needed(2, places)
    assert (stays.runs, stays.going) == ({"run-2", "run-3", "run-4"}, {"run-1"})
    assert (stays.models, stays.steps) == ({"2", "3"}, {"train-2", "train-3"})
    said = capsys.readouterr().out
    assert said.startswith("prune: run-4 and its versions stay, for nobody knows what it needs: ")
    assert said.count("\n") == 1


def test_the_versions_of_a_damaged_run_stay(places, unused_registry, monkeypatch):
    write_run("run-1", places)
    (places.artifacts / "runs/run-1/run.json").write_text("{")
    version = registry.Version(number=1, model="ab", run_id="run-1", reason="", champion_before=None, tracked="")
    monkeypatch.setattr(registry, "versions", lambda places: [version])
    stays = retention.find_needed(1, places)
    assert ({number for _, number in stays.versions}, stays.models) == ({1}, {"ab"})


def test_while_a_table_is_damaged_no_image_goes(places, store_images, photograph, capsys):
    (row,) = store_images(photograph(1))
    table = places.data / "tables/splits.csv"
    table.parent.mkdir()
    table.write_bytes(b"sha256\n\xff\n")
    nothing = retention.Needed(*[frozenset()] * 5)
    assert list(retention.content_garbage(nothing, {table}, places)) == []
    assert capsys.readouterr().out.startswith(f"prune: all images stay: {table} is damaged")
    assert stored_path(row, places).exists()


@pytest.mark.parametrize(
    "content",
    ["null", "[]", '{"result": 5}', '{"result": "{\\"place\\": \\"data\\", \\"sha256\\": 1}"}', "[" * 100_000],
)
def test_a_damaged_record_of_a_step_names_no_files(tmp_path, content):
    (tmp_path / "record").write_text(content)
    assert list(retention.recorded_names(tmp_path / "record")) == []


def test_pruning_a_copy_leaves_the_original_as_it_is(history, places, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in places.artifacts.rglob("*")}
    copy = places.model_copy(update={"data": tmp_path / "copy/data", "artifacts": tmp_path / "copy/artifacts"})
    shutil.copytree(places.artifacts, copy.artifacts, symlinks=True)
    found = retention.prune(1, copy)
    assert found["runs"][0] == found["models"][0] == found["files of versions in the registry"][0] == 2
    assert file_names(copy.artifacts / "runs") == {"run-3", "run-4", "run-5"}
    assert {path: path.stat().st_mtime_ns for path in places.artifacts.rglob("*")} == before


def test_what_a_link_leads_to_is_left_alone_and_said(history, places, tmp_path, capsys):
    for name in ("models", "runs"):
        shutil.move(places.artifacts / name, tmp_path / f"outside {name}")
        (places.artifacts / name).symlink_to(tmp_path / f"outside {name}")
    before = file_names(tmp_path / "outside models"), file_names(tmp_path / "outside runs")
    found = retention.prune(1, places)
    assert set(found) == {"files of versions in the registry", "files of runs in MLflow"}
    assert (file_names(tmp_path / "outside models"), file_names(tmp_path / "outside runs")) == before
    assert f"{places.artifacts / 'models'} is a link out of the two places" in capsys.readouterr().out


def test_the_flow_removes_and_says_what_the_command_does(history, places, capsys):
    removed = flow.prune.fn(keep_runs=1, places=places)
    assert removed > 0
    assert capsys.readouterr().out.endswith(f"{removed / 1e6:,.1f} MB removed\n")
    assert flow.prune.fn(keep_runs=1, places=places) == 0
