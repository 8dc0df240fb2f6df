"""Serve model: MLflow gets a checked copy of a version, or nothing."""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import free_port, wait_until

from deployments import serve_model
from tasks.settings.cli import exit_status
from tasks.settings.errors import BadInput
from tasks.tracking import registry
from tasks.tracking.registry import Version

ROOT = Path(__file__).parents[1]
VERSION = Version(number=3, model="ab" * 32, run_id="", reason="", champion_before=None, tracked="")


@pytest.fixture
def ask(places, monkeypatch):
    """Run the command in this process with version 3 in use; return its exit status and what MLflow was given."""
    given: list[tuple[Path, int]] = []
    monkeypatch.setattr(registry, "champion", lambda places: VERSION)
    monkeypatch.setattr(serve_model, "exit_on_sigterm", lambda: None)
    monkeypatch.setattr(serve_model, "serve", lambda *asked: given.append(asked))

    def run(*words: str) -> tuple[int, list[tuple[Path, int]]]:
        monkeypatch.setattr(sys, "argv", ["serve_model.py", *words, "--artifacts", str(places.artifacts)])
        return exit_status(serve_model.main), given

    return run


def test_mlflow_gets_the_checked_copy_in_a_folder_of_this_user_alone(ask, monkeypatch):
    modes = []
    monkeypatch.setattr(
        serve_model.model_folder,
        "fetch_servable",
        lambda version, target, _: modes.append(target.parent.stat().st_mode & 0o777),
    )
    status, [(model, port)] = ask("--port", "5999")
    assert (status, port, modes) == (0, 5999, [0o700])
    assert not model.parent.exists(), "nothing is left of it"


def test_a_version_that_was_changed_is_not_served(ask, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise BadInput("the files of version 3 have changed since they were released, and are not used")

    monkeypatch.setattr(serve_model.model_folder, "fetch_servable", refuse)
    assert ask() == (2, [])
    assert capsys.readouterr().err.startswith("error: the files of version 3 have changed")


def test_without_a_model_in_use_it_says_what_to_do(ask, monkeypatch, capsys):
    monkeypatch.setattr(registry, "champion", lambda places: None)
    assert ask() == (2, [])
    assert " as recast: run flows/retrain.py first" in capsys.readouterr().err


def test_make_serves_by_it_alone():
    makefile = (ROOT / "Makefile").read_text()
    assert "deployments/serve_model.py" in makefile
    assert "models serve" not in makefile


@pytest.mark.long
def test_the_model_in_use_answers_by_mlflow_and_no_tampered_code_is_run(server, process, released, places, tmp_path):
    port, fired = free_port(), tmp_path / "fired"
    command = [
        sys.executable,
        ROOT / "deployments/serve_model.py",
        "--port",
        str(port),
        "--artifacts",
        places.artifacts,
    ]
    photograph = (tmp_path / "castings/test/def_front/cast_0.jpeg").read_bytes()
    body = json.dumps({"dataframe_records": [{"image": base64.b64encode(photograph).decode()}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as serving:
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/ping"), 120, "MLflow's server")
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer)["predictions"][0]["decision"] in ("pass", "review", "reject")
        finally:
            serving.terminate()
    for code in (places.artifacts / "mlflow").rglob("pyfunc.py"):
        code.write_text(f"open({str(fired)!r}, 'w')")
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2
    assert "have changed since they were released" in refused.stderr
    assert not fired.exists()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True
