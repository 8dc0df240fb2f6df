"""Runs: MLflow shows them as its users look for them, and cached answers hold until the database changes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import put_into_use, write_model_folder

from tasks.records.results import Release
from tasks.reporting.run_folder import write_run
from tasks.reporting.run_json import fill_run_json
from tasks.settings.settings import Places
from tasks.tracking import connection, mlflow_location, queries, registry, run_log, runs, stored_files

ROOT = Path(__file__).parents[2]
KEPT = Release(verdict="kept", reason="no better", version=1, champion_before=1, decided_in="run 1")


@pytest.fixture
def tracked_run(registered) -> str:
    return runs.begin("is it better", "run 1", registered)


def run_of(tracked_run: str, places: Places):
    return connection.client(places).get_run(tracked_run)


def test_a_decision_is_found_again_by_its_question(registered, tracked_run):
    assert runs.decision("is it better", registered) is None
    runs.save_decision(tracked_run, KEPT, registered)
    assert runs.decision("is it better", registered) is None, "it is not carried out yet"
    runs.mark_applied(tracked_run, KEPT, registered)
    assert runs.decision("is it better", registered) == KEPT
    assert runs.decision("is another better", registered) is None
    assert run_of(tracked_run, registered).data.tags["recast.verdict"] == "kept"


def test_an_open_run_is_taken_up_again_and_a_finished_one_is_not(registered, tracked_run):
    assert runs.begin("is it better", "run 2", registered) == tracked_run
    assert runs.is_open(tracked_run, registered)
    connection.client(registered).set_terminated(tracked_run)
    assert not runs.is_open(tracked_run, registered)
    assert runs.begin("is it better", "run 2", registered) != tracked_run


def test_the_page_of_a_run_is_where_it_is_shown(registered, tracked_run, monkeypatch):
    where = f"/#/experiments/{run_of(tracked_run, registered).info.experiment_id}/runs/{tracked_run}"
    assert runs.page_of(tracked_run, registered) == "http://127.0.0.1:5000" + where
    monkeypatch.setattr(connection, "server", lambda: "https://mlflow.example/")
    monkeypatch.setattr(
        connection,
        "client",
        lambda places, known=connection.client_of(f"sqlite:///{mlflow_location.path_of(registered)}"): known,
    )
    assert runs.page_of(tracked_run, registered) == "https://mlflow.example" + where


def test_a_finished_run_says_what_the_folder_of_the_run_says(finished, registered, tracked_run, tmp_path):
    run_json = fill_run_json(finished)
    told = run_json.model_dump(mode="json")
    folder = write_run(finished, "<html></html>")
    for _ in range(2):  # again after a crash it writes the same
        run_log.finish(
            tracked_run, run_json, finished.model.history, "**Kept**", {"prefect.flow_run_id": "77"}, folder, registered
        )
    run, client = run_of(tracked_run, registered), connection.client(registered)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run 1"
    assert run.data.metrics["evaluation.test.accuracy"] == told["evaluation"]["test"]["accuracy"]
    assert run.data.metrics["evaluation.slices.line 2.images"] == 10
    assert run.data.params["training.model"] == "auto"
    assert run.data.tags["prefect.flow_run_id"] == "77"
    assert run.data.tags["mlflow.note.content"] == "**Kept**"
    assert run.data.tags["version.tensorflow"] == told["versions"]["tensorflow"]
    assert run.data.tags["code.commit"] == told["code"]["commit"]
    losses = client.get_metric_history(tracked_run, "epoch.validation_loss")
    assert [(one.step, one.value) for one in losses] == [
        (one.epoch, one.validation_loss) for one in finished.model.history
    ]
    assert [one.dataset.digest for one in run.inputs.dataset_inputs] == [told["dataset"]["digest"][:32]]
    assert {"report.html", "run.json", "predictions.csv", "figures"} <= {
        one.path for one in client.list_artifacts(tracked_run)
    }


def test_a_run_that_a_crash_left_half_written_is_finished_by_other_settings(outcome, registered, tracked_run):
    connection.client(registered).log_param(tracked_run, "training.model", "another")
    run_log.finish(
        tracked_run, fill_run_json(outcome), outcome.model.history, "", {}, write_run(outcome, ""), registered
    )
    assert run_of(tracked_run, registered).info.status == "FINISHED"


def test_where_artifacts_were_moved_the_old_files_are_found_and_new_ones_lie_beside_them(
    registered, tracked_run, tmp_path
):
    runs.save_decision(tracked_run, KEPT, registered)
    before = runs.experiment(registered)
    registered.artifacts.rename(tmp_path / "moved 100%41")
    moved = Places(artifacts=tmp_path / "moved 100%41")
    assert runs.decision_of_run(tracked_run, moved) == KEPT
    assert runs.experiment(moved) == before
    for again in (tracked_run, runs.begin("two", "run 2", moved)):
        assert run_of(again, moved).info.artifact_uri == (moved.artifacts / f"mlflow/{again}/artifacts").as_uri()
    assert not registered.artifacts.exists()


def test_a_copy_reads_and_removes_its_own_files_alone(registered, tmp_path):
    folder = write_model_folder("one", registered)
    version = put_into_use(folder, registered)
    for name in ("release.json", "report.html"):
        connection.client(registered).log_text(version.tracked, "mine", name)
    before = {path: path.read_bytes() for path in registered.artifacts.rglob("*") if path.is_file()}
    copy = Places(artifacts=tmp_path / "copy/100%41")
    shutil.copytree(registered.artifacts, copy.artifacts)
    for kept in (registered.artifacts / "mlflow").rglob("decision.json"):
        kept.write_text("the original's")
    stored_files.fetch_model(1, f"data/{folder.name}", tmp_path / "read", copy)
    assert (tmp_path / "read/decision.json").read_text() == "one"
    assert stored_files.bytes_of_version(1, copy) > 0
    stored_files.delete_version_files(1, copy)
    stored_files.delete_run_files(version.tracked, copy)
    assert stored_files.bytes_of_version(1, copy) == 0
    assert [one.name for one in (copy.artifacts / f"mlflow/{version.tracked}/artifacts").iterdir()] == ["release.json"]
    assert before.keys() == {path for path in registered.artifacts.rglob("*") if path.is_file()}
    assert registry.version(1, registered).removed is None


def test_a_link_in_a_folder_goes_and_what_it_leads_to_stays(registered, tracked_run, tmp_path):
    (tmp_path / "another's").mkdir()
    (tmp_path / "another's/file").write_text("mine")
    folder = registered.artifacts / f"mlflow/{tracked_run}/artifacts"
    folder.mkdir(parents=True)
    (folder / "linked").symlink_to(tmp_path / "another's")
    assert stored_files.bytes_of_run(tracked_run, registered) == 0
    stored_files.delete_run_files(tracked_run, registered)
    assert list(folder.iterdir()) == []
    assert (tmp_path / "another's/file").read_text() == "mine"


def test_a_database_is_made_whole_or_not_at_all(places, monkeypatch):
    def killed(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"SQLite format 3")
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "client_of", killed)
    with pytest.raises(KeyboardInterrupt):
        connection.prepare(places)
    assert [path.name for path in places.artifacts.iterdir()] == []


def test_what_a_server_keeps_is_neither_looked_at_nor_changed(registered, tracked_run, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{mlflow_location.path_of(registered)}")
    before = mlflow_location.path_of(registered).read_bytes()
    elsewhere = Places(artifacts=tmp_path / "elsewhere")
    (elsewhere.artifacts / "models/aa").mkdir(parents=True)
    connection.require_usable(elsewhere)
    assert runs.experiment(elsewhere) == runs.experiment(registered)
    assert run_of(tracked_run, elsewhere).info.run_id == tracked_run
    assert mlflow_location.path_of(registered).read_bytes() == before


def test_what_was_answered_is_told_without_mlflow_until_something_changes(registered, tmp_path):
    put_into_use(write_model_folder("one", registered), registered)
    code = (
        "import sys; from pathlib import Path; from tasks.tracking import registry; from tasks.settings.settings import Places\n"
        "print(registry.champion(Places(artifacts=Path(sys.argv[1]))).number, 'mlflow' in sys.modules)"
    )

    def ask() -> str:
        words = [sys.executable, "-c", code, str(registered.artifacts)]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    assert registry.champion(registered).number == 1
    assert ask() == "1 False"
    put_into_use(write_model_folder("two", registered), registered)
    assert ask() == "2 True"
    assert ask() == "2 False"


@pytest.mark.parametrize("damage", ["not JSON", '{"state": [1], "answers": {}}'])
def test_a_damaged_or_old_memory_is_no_memory(registered, damage):
    put_into_use(write_model_folder("one", registered), registered)
    registry.champion(registered)
    (registered.artifacts / "mlflow.answers.json").write_text(damage)
    assert registry.champion(registered).number == 1
    assert json.loads((registered.artifacts / "mlflow.answers.json").read_text())["answers"]


@pytest.mark.parametrize(
    "content",
    ["null", "[]", "3", '"text"', "{}", '{"state": [1]}', '{"state": [1], "answers": []}', "[" * 100_000, "\xff"],
)
def test_a_memory_of_another_shape_is_no_memory(tmp_path, content):
    memo = tmp_path / "mlflow.answers.json"
    memo.write_bytes(content.encode("latin-1"))
    assert queries.read_answers(memo, [1]) == {}
    memo.write_text(json.dumps({"state": [1], "answers": {"a": 1}, "sha256": queries.answers_digest({"a": 1})}))
    assert queries.read_answers(memo, [1]) == {"a": 1}


def test_a_registry_that_may_only_be_read_answers(registered, monkeypatch):
    put_into_use(write_model_folder("one", registered), registered)

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(queries, "write_whole", refuse)
    assert registry.champion(registered).number == 1


def test_a_server_that_does_not_answer_is_told_before_any_work(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="no MLflow server answers at http://127.0.0.1:9 .MLFLOW_TRACKING_URI.: "):
        connection.require_usable(Places())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'{"state": [1]}', b'{"state": [1], "answers": null}', b'{"state": [1], "answers": {"champion": 5}}',
     b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_damaged_answers_are_none_and_one_line_says_so(tmp_path, capsys, content):
    (tmp_path / "answers.json").write_bytes(content)
    assert queries.read_answers(tmp_path / "answers.json", [1]) == {}
    told = capsys.readouterr()
    assert told.out == "", "it may be JSON for a program"
    assert told.err.startswith(f"{tmp_path / 'answers.json'} ")
    assert told.err.endswith(": begun anew\n")
    assert told.err.count("\n") == 1


def test_answers_hold_for_the_state_in_which_they_were_given(tmp_path, capsys):
    answers = {"champion of recast": {"number": 1}, "versions": [1, 2]}
    memo = {"state": [1], "answers": answers, "sha256": queries.answers_digest(answers)}
    (tmp_path / "answers.json").write_text(json.dumps(memo))
    assert queries.read_answers(tmp_path / "answers.json", [1]) == answers
    assert (
        queries.read_answers(tmp_path / "answers.json", [2]) == queries.read_answers(tmp_path / "none.json", [1]) == {}
    )
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["{", "null", "[]", '{"verdict": "perhaps"}'])
def test_a_damaged_decision_counts_as_none_and_that_is_told_in_one_line(places, monkeypatch, capsys, content):
    monkeypatch.setattr(runs, "cached_query", lambda *_: content)
    assert runs.decision_of_run("77", places) is None
    said = capsys.readouterr().err
    assert said.startswith("the release.json of MLflow's run 77 is damaged, and counts as none: ")
    assert said.count("\n") == 1


def test_a_restored_database_answers_in_a_process_that_knew_the_lost_one(registered, tmp_path):
    put_into_use(write_model_folder("one", registered), registered)
    shutil.copyfile(mlflow_location.path_of(registered), tmp_path / "backup.db")
    put_into_use(write_model_folder("two", registered), registered)
    assert registry.champion(registered).number == 2
    (tmp_path / "backup.db").rename(mlflow_location.path_of(registered))
    assert registry.champion(registered).number == 1
