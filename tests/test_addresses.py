"""Addresses: asked with user and password, shown without."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import doctor
from tasks.runs import tracker
from tasks.runs.addresses import parted, status_of
from tasks.runs.errors import BadInput


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://host:5000", ("http://host:5000", "", "")),
        ("http://me:p%40ss@host:5000/a", ("http://host:5000/a", "me", "p@ss")),
        ("https://token@host", ("https://host", "token", "")),
        ("postgresql://me:pass@db/mlflow", ("postgresql://me:pass@db/mlflow", "", "")),
        ("sqlite:////data/a@b.db", ("sqlite:////data/a@b.db", "", "")),
        ("", ("", "", "")),
    ],
)
def test_user_and_password_are_taken_out_of_an_address_of_the_web(address, expected):
    assert parted(address) == expected


@pytest.fixture
def listening(server):
    """A server that notes the credentials it is asked with."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'"3.4"')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as opened:
        threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{opened.server_port}", asked
        opened.shutdown()


def test_a_server_is_asked_with_the_password_of_its_address(listening, monkeypatch, places):
    host, asked = listening
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:p%40ss@{host}/")
    tracker.require_usable(places)
    assert asked == [("/health", f"Basic {base64.b64encode(b'me:p@ss').decode()}")]


def test_a_password_that_mlflow_reads_from_a_variable_is_sent_too(monkeypatch, places):
    asked = []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "p@ss")
    monkeypatch.setattr(tracker, "status_of", lambda *question: asked.append(question))
    tracker.require_usable(places)
    assert asked == [("http://host", "/health", 10, "me", "p@ss")]


def test_doctor_asks_with_the_password_and_does_not_tell_it(listening):
    host, asked = listening
    with temporary_settings({PREFECT_API_URL: f"http://me:hunter2@{host}/api"}):
        assert doctor.server() == f"http://{host}/api answers, version 3.4"
    assert asked[-1] == ("/api/admin/version", f"Basic {base64.b64encode(b'me:hunter2').decode()}")


@pytest.mark.parametrize("address", ["http://me:hunter2#77@host", "http://me:hunter2/77@host"])
def test_an_address_that_cannot_be_asked_is_told_without_its_password(monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(BadInput, match="is no address of a server") as error:
        status_of(address, "/health", seconds=1)
    assert "hunter2" not in str(error.value)


def test_a_tracking_server_that_does_not_answer_is_told_without_its_password(monkeypatch, places):
    def refuse(*_: object, **__: object) -> int:
        raise OSError("refused by http://me:hunter2@host, with hunter2")

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:9")
    monkeypatch.setattr(tracker, "status_of", refuse)
    with pytest.raises(ConnectionError) as error:
        tracker.require_usable(places)
    assert str(error.value).startswith("no MLflow server answers at http://127.0.0.1:9 (MLFLOW_TRACKING_URI)")
    assert "hunter2" not in str(error.value)


def test_mlflow_gets_user_and_password_in_variables_and_the_address_without(monkeypatch, places):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:p%40ss@127.0.0.1:9")
    assert tracker.address(places) == "http://127.0.0.1:9"
    assert tracker.server() == "http://127.0.0.1:9"
    assert [tracker.os.environ[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD")] == ["me", "p@ss"]
