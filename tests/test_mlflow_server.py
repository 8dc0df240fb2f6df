"""MLflow server: the registry's pages are for those who know the password."""

import base64

import httpx
import pytest
from loopback import RunningServer, run_server

from deployments import mlflow_server
from deployments.mlflow_server import serve
from tasks.pipeline.local_auth import local_auth
from tasks.settings.errors import BadInput

PATHS = ("/", "/version", "/graphql", "/ajax-api/2.0/mlflow/experiments/search?max_results=1", "/signup", "/docs")
PATHS += (
    "/api/2.0/mlflow/registered-models/search",
    "/get-artifact?path=x&run_uuid=x",
    "/ajax-api/3.0/mlflow/ui-telemetry",
)
ALIAS = "/api/2.0/mlflow/registered-models/alias"


@pytest.fixture(scope="module")
def pages(server, process, mlflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with run_server(
        "deployments/mlflow_server.py", "/health", folder, MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db"
    ) as served:
        yield served


@pytest.mark.long
def test_nobody_is_answered_without_the_password(pages: RunningServer):
    wrong = {"Authorization": "Basic " + base64.b64encode(b"recast:wrong").decode()}
    with httpx.Client(base_url=pages.site, timeout=60) as client:
        for headers in ({}, wrong):
            assert {path: client.get(path, headers=headers).status_code for path in PATHS} == dict.fromkeys(PATHS, 401)
            assert client.post(ALIAS, json={}, headers=headers).status_code == 401
        client.auth = httpx.BasicAuth(*local_auth().split(":"))
        assert client.get(PATHS[3]).json()["experiments"]
        foreign = {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}
        for headers in foreign:  # as a browser sends a password that it knows
            assert client.post(ALIAS, json={}, headers=headers).status_code == 403
    assert pages.called == [], "no telemetry"


def test_a_server_elsewhere_has_pages_of_its_own(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@mlflow.example")
    monkeypatch.setattr("sys.argv", ["mlflow_server.py"])
    with pytest.raises(BadInput, match="pages of its own") as raised:
        serve()
    assert "secret" not in str(raised.value)


def test_what_is_out_of_use_is_said_of_the_model_of_the_last_run(places, monkeypatch):
    asked = []
    monkeypatch.setattr("sys.argv", ["mlflow_server.py", "--artifacts", str(places.artifacts)])
    monkeypatch.setattr(mlflow_server.connection, "prepare", lambda _: None)
    monkeypatch.setattr(mlflow_server, "resolve_model", lambda places: places.with_model("gears"))
    monkeypatch.setattr(
        mlflow_server.registry, "missing_champion_message", lambda places: asked.append(places.registered_name)
    )
    monkeypatch.setattr(mlflow_server, "exit_on_sigterm", lambda: None)
    monkeypatch.setattr(mlflow_server, "run_mlflow", lambda *_: None)
    serve()
    assert asked == ["gears"]


def test_a_lost_registry_is_told_and_not_made_anew(places, monkeypatch):
    (places.artifacts / "models/aa").mkdir(parents=True)
    monkeypatch.setattr("sys.argv", ["mlflow_server.py", "--places.artifacts", str(places.artifacts)])
    with pytest.raises(BadInput, match=r"mlflow\.db is missing"):
        serve()
    assert not (places.artifacts / "mlflow.db").exists()


def test_a_password_that_mlflow_would_not_take_is_told(tmp_path, monkeypatch):
    file = tmp_path / "auth"
    file.write_text("me:short")
    monkeypatch.setenv("RECAST_AUTH_FILE", str(file))
    with pytest.raises(BadInput, match=rf"the password in {file} has 5 characters, and MLflow takes 12 or more"):
        mlflow_server.protected_environment("sqlite://", 5000, tmp_path)
