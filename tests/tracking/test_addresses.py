"""Addresses: a server is asked with user and password, and shown without them."""

import base64
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import doctor
from tasks.settings.errors import BadInput
from tasks.tracking import connection, registry
from tasks.tracking.addresses import split_address, status_of


def basic(user_and_password: str) -> str:
    return f"Basic {base64.b64encode(user_and_password.encode()).decode()}"


BASIC = basic("me:p@ss")


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
    assert split_address(address) == expected


@pytest.fixture
def listening(server):
    """A server that lets in `me` with `p@ss` and whoever has the token `key`, and notes what it is asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers["Authorization"]
            asked.append((self.path, given))
            known = given in (BASIC, "Bearer key") or self.path == "/api/admin/version"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write((b"{}" if "mlflow" in self.path else b'"3.4"') if known else b"You are not authenticated.")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as opened:
        threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{opened.server_port}", asked
        opened.shutdown()


@pytest.fixture
def credentials(monkeypatch):
    """Sets the variables from which MLflow takes credentials; others are empty."""

    def given(**variables: str) -> None:
        for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", variables.get(name, ""))

    given()
    return given


@pytest.mark.usefixtures("mlflow")
@pytest.mark.parametrize(
    ("user", "variables", "sent"),
    [
        ("me:p%40ss@", {}, BASIC),
        ("", {"USERNAME": "me", "PASSWORD": "p@ss"}, BASIC),
        ("", {"TOKEN": "key"}, "Bearer key"),
    ],
)
def test_a_server_is_asked_with_the_credentials_of_its_address_or_of_a_variable(
    listening, credentials, places, user, variables, sent
):
    host, asked = listening
    credentials(URI=f"http://{user}{host}/", **variables)
    connection.require_usable(places)
    assert asked == [("/health", None), ("/api/2.0/mlflow/experiments/search", sent)]


@pytest.mark.usefixtures("mlflow")
@pytest.mark.parametrize("variables", [{}, {"USERNAME": "me", "PASSWORD": "hunter2"}, {"TOKEN": "hunter2"}])
def test_credentials_that_a_server_refuses_are_told_before_any_work(listening, credentials, places, variables):
    host, _ = listening
    credentials(URI=f"http://{host}", **variables)
    for ask in (connection.require_usable, registry.champion):
        with pytest.raises(BadInput, match=f"{host} lets nobody in .* MLFLOW_TRACKING_USERNAME") as error:
            ask(places)
        assert "hunter2" not in str(error.value)


def test_doctor_asks_with_the_password_and_does_not_tell_it(listening):
    host, asked = listening
    with temporary_settings({PREFECT_API_URL: f"http://me:hunter2@{host}/api"}):
        assert doctor.server() == f"http://{host}/api answers, version 3.4"
    assert asked[0] == ("/api/admin/version", basic("me:hunter2"))


@pytest.mark.parametrize("address", ["http://me:hunter2#77@host", "http://me:hunter2/77@host"])
def test_an_address_that_cannot_be_asked_is_told_without_its_password(monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(BadInput, match="is no address of a server") as error:
        status_of(address, "/health", seconds=1)
    assert "hunter2" not in str(error.value)


def test_a_tracking_server_that_does_not_answer_is_told_without_its_password(monkeypatch, credentials, places):
    def refuse(*_: object) -> int:
        raise OSError("refused by http://me:hunter2@host, with hunter2")

    credentials(URI="http://me:hunter2@127.0.0.1:9")
    for answer in (refuse, lambda *_: 503):
        monkeypatch.setattr(connection, "status_of", answer)
        for ask in (connection.require_usable, registry.champion):
            with pytest.raises(ConnectionError) as error:
                ask(places)
            assert str(error.value).startswith("no MLflow server answers at http://127.0.0.1:9 (MLFLOW_TRACKING_URI)")
            assert "hunter2" not in str(error.value)


def test_mlflow_gets_user_and_password_in_variables_and_the_address_without(credentials, places):
    credentials(URI="http://me:p%40ss@127.0.0.1:9")
    assert connection.address(places) == "http://127.0.0.1:9"
    assert connection.server() == "http://127.0.0.1:9"
    assert [os.environ[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD")] == ["me", "p@ss"]
