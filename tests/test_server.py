"""Server: without the password nobody can read or start anything, from this machine or from a page in its browser."""

import base64
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import httpx
import pytest
from chromium import PATIENCE, open_chromium
from loopback import RunningServer, run_server
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tasks.pipeline.local_auth import local_auth

FOREIGN = {"Origin": "http://evil.example", "Host": "evil.example"}
OPEN = {"/api/health", "/api/ready"}
SOCKETS = (
    "/api/events/in",
    "/api/events/out",
    "/api/logs/out",
    "/api/task_runs/subscriptions/scheduled",
    "/api/work_pools/x/workers/connect",
)
PULL_STEPS = [{"prefect.deployments.steps.run_shell_script": {"script": "env"}}]


@pytest.fixture(scope="module")
def prefect(server, process, migrated_database, tmp_path_factory) -> Iterator[RunningServer]:
    """`make serve`."""
    home = tmp_path_factory.mktemp("prefect")
    shutil.copyfile(migrated_database, home / "prefect.db")
    with run_server("deployments/server.py", "/api/ready", home, PREFECT_HOME=str(home)) as served:
        yield served


@pytest.fixture
def client(prefect) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=prefect.site, headers=FOREIGN, timeout=30) as asking:
        yield asking


def test_no_address_of_the_server_answers_without_the_password(client):
    """Foreign or not, and with a wrong password: 401 or 403 from every operation that the server names."""
    operations = [
        (method.upper(), "/api" + re.sub(r"\{[^}]*\}", "x", path))
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method in methods
    ]
    assert len(operations) > 150
    wrong = {"Authorization": "Basic " + base64.b64encode(b"recast:wrong").decode()}
    answered = {
        path
        for method, path in operations
        for headers in ({}, wrong)
        if client.request(method, path, json={}, headers=headers).status_code not in (401, 403)
    }
    assert answered == OPEN


@pytest.mark.parametrize(
    "spelled", ["//api/flows/filter", "/api//flows/filter", "/API/flows/filter", "/api/health/../flows/filter"]
)
def test_no_other_spelling_of_an_address_leads_past_the_password(client, prefect, spelled):
    with connect_raw(prefect.site) as asked:
        asked.request("POST", spelled, body=b"{}", headers={"Content-Type": "application/json"})
        assert asked.getresponse().status in (401, 403, 404, 405)


def connect_raw(site: str) -> closing[HTTPConnection]:
    """Return a connection that sends an address as it is written."""
    return closing(HTTPConnection(site.removeprefix("http://"), timeout=30))


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("subprotocols", [None, ["prefect"]])
def test_no_socket_answers_without_the_password(prefect, path, subprotocols):
    """A page may open a socket to any address: no rule of the browser's is in its way."""
    address = prefect.site.replace("http", "ws") + path
    with (
        pytest.raises(WebSocketException),
        connect(address, subprotocols=subprotocols, origin="http://evil.example", proxy=None) as socket,
    ):
        socket.send(json.dumps({"type": "auth", "token": "recast:wrong"}))
        while True:
            assert json.loads(socket.recv(timeout=30)).get("type") != "auth_success"


def test_a_script_is_deployed_by_nobody_else(client, prefect):
    """The attack: a deployment whose pull steps run a shell script as the worker."""

    def attack(name: str, **headers: str) -> list[int]:
        """Statuses of its two requests, which succeed for whom the server trusts."""
        flow = client.post("/api/flows/", json={"name": name}, headers=headers)
        wanted = {"name": name, "flow_id": flow.json().get("id", str(UUID(int=0))), "pull_steps": PULL_STEPS}
        return [flow.status_code, client.post("/api/deployments/", json=wanted, headers=headers).status_code]

    password = {"Authorization": "Basic " + base64.b64encode(local_auth().encode()).decode()}
    asked = client.get("/api/csrf-token", params={"client": "test"}, headers=password).json()
    token = {"Prefect-Csrf-Token": asked["token"], "Prefect-Csrf-Client": "test"}
    assert set(attack("without")) <= {401, 403}
    assert set(attack("token", **token)) <= {401, 403}, "a token, but no password"
    assert set(attack("password", **password)) <= {401, 403}, "as a browser sends a password that it knows"
    assert attack("both", **password, **token) == [201, 201]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_no_page_of_another_address_may_ask(client, prefect, method):
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
    for origin in ("http://evil.example", "null", prefect.site + "1", prefect.site.replace("http", "https")):
        answer = client.options("/api/flows/filter", headers=asking | {"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    answer = client.options("/api/flows/filter", headers=asking | {"Origin": prefect.site})
    assert answer.headers["access-control-allow-origin"] == prefect.site


def test_the_server_calls_nobody(prefect):
    assert prefect.called == []


@pytest.fixture(scope="module")
def browser(server, process):
    with open_chromium() as opened:
        context = opened.new_context()
        context.set_default_timeout(PATIENCE)
        yield context


ATTACK = """async (site) => {
    const json = JSON.stringify({name: "attack"})
    const tries = {
        read: () => fetch(site + "/api/admin/version").then(answer => answer.text()),
        settings: () => fetch(site + "/ui-settings").then(answer => answer.text()),
        write: () => fetch(site + "/api/flows/", {method: "POST", body: json, headers: {"Content-Type": "application/json"}}),
        simple: () => fetch(site + "/api/flows/", {method: "POST", body: json, credentials: "include"}),
        events: () => new Promise((done, failed) => {
            const socket = new WebSocket(site.replace("http", "ws") + "/api/events/in")
            socket.onopen = () => done("open")
            socket.onerror = () => failed("refused")
        }),
    }
    const told = {}
    for (const [name, attempt] of Object.entries(tries))
        told[name] = await attempt().then(() => "it worked", () => "refused")
    // The browser sends this without asking; the page sees no answer, so the server is asked afterwards.
    await fetch(site + "/api/flows/", {method: "POST", body: json, mode: "no-cors", credentials: "include"}).catch(() => 0)
    return told
}"""


def test_a_page_from_another_port_can_do_nothing(prefect, browser, tmp_path):
    (tmp_path / "index.html").write_text("<h1>A page of somebody else's</h1>")
    handler = partial(type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}), directory=tmp_path)
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    try:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
        told = page.evaluate(ATTACK, prefect.site)
        page.close()
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()
    assert told == dict.fromkeys(told, "refused") and len(told) == 5
    with httpx.Client(base_url=prefect.site, auth=httpx.BasicAuth(*local_auth().split(":"))) as own:
        assert own.get("/api/flows/name/attack").status_code == 404


def test_the_pages_work_with_the_password(prefect, browser):
    page = browser.new_page()
    page.goto(prefect.site)
    page.wait_for_url("**/login**")
    page.locator("input").fill(local_auth())
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard**")
    page.get_by_text("Run a task or flow to get started").wait_for()
    page.close()
