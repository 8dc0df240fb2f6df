"""Attacks: what a foreign page, a forged or repeated request, a hostile text, a guesser or a link tries, and what comes of it."""

import csv
import hashlib
import io
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from markupsafe import escape
from review.conftest import SITE, draw, enter, paths_below, serve, token_of
from starlette.testclient import TestClient

from flows.review import promotion_calls
from tasks.inbox.arrivals import reviewed_folder
from tasks.labeling.label_log import LabelLog
from tasks.records.rows import Suspect
from tasks.review.desk import Desk
from tasks.review.page import create_app
from tasks.review.people import FREE_TRIES, Throttle, set_approver
from tasks.storage.tables import write_table
from tasks.tracking import registry

JSON = {"Accept": "application/json"}
LARGE = 10_000_000  # bytes


def digest(number: int) -> str:
    """Return the sha256 of the photograph that is drawn for this number."""
    return hashlib.sha256(draw(number)).hexdigest()


def form_of(client: TestClient, sha256: str, number: int = 1, label: str = "good", queue: str = "review") -> dict:
    """Return an answer to a card, with a decision of this number."""
    token = token_of(client)
    return {"token": token, "decision": f"{number:032x}", "queue": queue, "sha256": sha256, "label": label}


# ---- Requests of other pages


@pytest.fixture
def address(server, product, places):
    """The page behind a real server, which parses what a browser would never send."""
    with serve(Desk(places)) as opened:
        yield opened


def send_raw(address: str, *lines: str, body: str = "") -> str:
    """Send these lines as they stand, wait for the head of an answer, and return all that came until then."""
    parts, answer = urlsplit(address), b""
    with socket.create_connection((parts.hostname, parts.port), 60) as connection:
        connection.sendall("\r\n".join([*lines, "", body]).encode())
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65_536)):
            answer += piece
    return answer.decode()


@pytest.mark.parametrize("hosts", [["own", "evil.example"], ["evil.example", "own"], ["own", "own"], []])
def test_a_request_with_two_host_names_or_none_is_not_answered(address, open_page, hosts):
    lines = [f"Host: {urlsplit(address).netloc if host == 'own' else host}" for host in hosts]
    answer = send_raw(address, "GET /enter HTTP/1.1", *lines)
    assert answer.split()[1] in ("400", "421"), "refused by the server or by the page"
    named = [("Host", "127.0.0.1:8700" if host == "own" else host) for host in hosts or [""]]
    assert open_page().get("/enter", headers=named).status_code == 421, "the page does not rely on its server"


def test_a_large_form_is_refused_before_it_comes(address):
    head = "POST /answer HTTP/1.1", f"Host: {urlsplit(address).netloc}", f"Origin: {address}"
    assert send_raw(address, *head, f"Content-Length: {LARGE}", body="token=").split()[1] == "413"


@pytest.mark.parametrize("lengths", [[], ["Content-Length: 10"]])
def test_a_form_in_pieces_without_an_end_is_refused_before_it_comes(address, lengths):
    head = "POST /answer HTTP/1.1", f"Host: {urlsplit(address).netloc}", f"Origin: {address}"
    answer = send_raw(address, *head, *lengths, "Transfer-Encoding: chunked", body="6\r\ntoken=\r\n")
    assert answer.split()[1] == "411"


def test_a_web_socket_is_refused(address):
    head = "GET / HTTP/1.1", f"Host: {urlsplit(address).netloc}", "Connection: Upgrade", "Upgrade: websocket"
    key = "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert send_raw(address, *head, *key).split()[1] == "403"


def forms_of(sha256: str) -> dict[str, dict[str, str]]:
    """Return a form for each address that changes something, about this photograph, as it would be done."""
    return {
        "/enter": {"name": "eve"},
        "/leave": {},
        "/answer": {"decision": f"{2:032x}", "queue": "review", "sha256": sha256, "label": "defect"},
        "/withdraw": {"decision": f"{3:032x}", "withdraws": f"{1:032x}"},
        "/approval": {"what": "rollback", "number": "1", "name": "anna", "password": "correct horse"},
    }


PATHS = [*forms_of("")]


@pytest.fixture
def working(open_page, queued) -> tuple[TestClient, dict[str, dict[str, str]]]:
    """The page of anna, who answered one of two cards, and forms about the other one."""
    first, second = queued(10, 11)
    client = enter(open_page())
    assert client.post("/answer", data=form_of(client, first), headers=JSON).status_code == 200
    return client, forms_of(second)


def require_unchanged(client: TestClient, places) -> None:
    assert [(row.label, row.person) for row in LabelLog(places).rows()] == [("good", "anna")]
    assert ">anna<" in client.get("/queue/review").text


def test_these_forms_are_all_that_change_something(open_page):
    routes = [(route.path, getattr(route, "methods", None) or set()) for route in open_page().app.routes]
    assert {path for path, methods in routes if methods - {"GET", "HEAD"}} == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origins", [[], ["http://evil.example"], [SITE, "http://evil.example"], ["http://evil.example", SITE]]
)
def test_no_form_of_another_page_does_anything(working, places, path, origins):
    client, forms = working
    form = forms[path] | {"token": token_of(client)}
    del client.headers["Origin"]
    headers = [("Origin", origin) for origin in origins]
    assert client.post(path, data=form, headers=headers, follow_redirects=False).status_code == 403
    require_unchanged(client, places)


@pytest.mark.parametrize("path", PATHS)
def test_no_form_without_the_token_of_its_session_does_anything(working, open_page, places, path):
    client, forms = working
    foreign = token_of(enter(open_page(), "ben"))
    for given, statuses in [
        ({}, {422}),
        ({"token": ""}, {403, 422}),
        ({"token": foreign}, {403}),
        ({"token": "é"}, {403}),
    ]:
        assert client.post(path, data=forms[path] | given, follow_redirects=False).status_code in statuses, given
        require_unchanged(client, places)


@pytest.mark.parametrize("route", ["photograph", "heat", "labeled", "neighbors", "static"])
@pytest.mark.parametrize(
    "name",
    ["..%2f{}", "..%2f..%2f{}", "%2e%2e/{}", "..%5c{}", "{absolute}", "/{absolute}", "{}%00", "%00", "%ff%fe", "x" * 5_000],
)  # fmt: skip
def test_the_name_of_a_picture_is_no_path(open_page, queued, places, route, name):
    (sha256,) = queued(10)
    file = places.artifacts / f"queue/{sha256}.png"
    path = name.format(file.name, absolute=str(file).replace("/", "%2f"))
    answer = enter(open_page()).get(f"/{route}/{path}")
    assert answer.status_code == 404 and file.read_bytes() not in answer.content


# ---- Texts of people


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror="alert(2)">', "{{ 7*7 }}", "=cmd|' /C calc'!A0", "@SUM(A1)", "+1", "-1"],
)  # fmt: skip
def test_markup_and_formulas_in_names_and_comments_stay_text(open_page, product, registered, places, text):
    image = product[0]
    suspect = Suspect(image.path, image.sha256, "base", "", image.label, "crack", 0.9, "image", 1, 1, 1, 0.9)
    write_table(places.runs / "latest/suspects.csv", [suspect], Suspect)
    client = enter(open_page(), text)
    form = form_of(client, image.sha256, label="defect", queue="suspects")
    assert client.post("/answer", data=form | {"comment": text}, headers=JSON).status_code == 200
    assert Desk(places).faults == []
    (row,) = LabelLog(places).rows()
    assert (row.person, row.comment) == (text, text)
    for page in ("/", "/queue/suspects", "/history", "/approval", "/study"):
        shown = client.get(page).text
        assert f'<span class="person">{escape(text)}</span>' in shown, page
        assert text not in shown or text == escape(text), page
    for table in ("labels.csv", "corrections.csv"):
        _, *cells = csv.reader(io.StringIO((places.artifacts / table).read_text()))
        assert not [cell for line in cells for cell in line if cell.startswith(tuple("=+-@"))], table


# ---- Requests that come twice


def test_an_answer_that_was_taken_back_does_not_come_back_when_its_request_does(open_page, queued, places):
    (sha256,) = queued(10)
    client = enter(open_page())
    form = form_of(client, sha256)
    undo = {"token": form["token"], "decision": f"{2:032x}", "withdraws": form["decision"]}
    for _ in range(3):
        assert client.post("/answer", data=form, headers=JSON).status_code == 200
        assert client.post("/withdraw", data=undo, headers=JSON).status_code == 200
    assert [row.label for row in LabelLog(places).rows()] == ["good", "withdrawn"]
    assert sha256 in client.get("/queue/review").text


def test_the_first_of_two_answers_under_one_identity_counts(open_page, queued, places):
    (sha256,) = queued(10)
    client = enter(open_page())
    for label in ("good", "defect"):
        client.post("/answer", data=form_of(client, sha256, label=label), headers=JSON)
    assert [row.label for row in LabelLog(places).rows()] == ["good"]
    assert Desk(places).faults == []
    assert [name.split("/")[1] for name in paths_below(places.inbox)] == ["sound"]


def test_a_version_is_taken_back_once_however_often_the_form_comes(waiting, places):
    app = create_app(Desk(places), promotion_calls(), [SITE], "a key")
    client = enter(TestClient(app, base_url=SITE, headers={"Origin": SITE}), "ben")
    form = {"token": token_of(client), "name": "anna", "password": "correct horse", "reason": "again", "number": 2}
    assert [client.post("/approval", data=form | {"what": "promote"}).status_code for _ in range(2)] == [200, 404]
    assert registry.champion(places).number == 2
    assert [client.post("/approval", data=form | {"what": "rollback"}).status_code for _ in range(2)] == [200, 404]
    assert registry.champion(places).number == 1


# ---- Passwords


def test_of_a_thousand_wrong_passwords_few_are_looked_at(open_page, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tasks.review.page.Throttle", lambda: Throttle(clock=lambda: now[0]))
    client = open_page(shared_password="correct horse")
    form = {"token": token_of(client), "name": "eve"}
    statuses = []
    for number in range(1_000):
        statuses.append(client.post("/enter", data={**form, "password": str(number)}).status_code)
        now[0] += 1.0  # a second between two tries
    assert set(statuses) == {403, 429}
    assert statuses.count(403) < 16
    now[0] += 1_000
    enter(client, password="correct horse")


def test_wrong_passwords_at_once_are_counted_each(open_page, places, monkeypatch):
    monkeypatch.setattr("tasks.review.page.Throttle", lambda: Throttle(clock=lambda: 0.0))
    set_approver("anna", "correct horse", places)
    client = enter(open_page(), "eve")
    form = {"token": token_of(client), "what": "promote", "number": 2, "name": "anna"}
    cookies = dict(client.cookies)

    def guess(number: int) -> int:
        guesser = TestClient(client.app, base_url=SITE, headers={"Origin": SITE}, cookies=cookies)
        return guesser.post("/approval", data=form | {"password": f"guess {number}"}).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = [*pool.map(guess, range(16))]
    assert (statuses.count(403), statuses.count(429)) == (FREE_TRIES, 16 - FREE_TRIES)


# ---- Links below the inbox


def test_a_link_that_leads_out_of_the_inbox_is_no_photograph_to_label(open_page, places, tmp_path):
    outside, folder = tmp_path / "outside/unlabeled", places.inbox / "line-7/unlabeled"
    outside.mkdir(parents=True)
    folder.mkdir(parents=True)
    (outside / "secret.png").write_bytes(draw(50))
    (folder / "own.png").write_bytes(draw(51))
    (folder / "link.png").symlink_to(outside / "secret.png")
    (places.inbox / "line-8").symlink_to(outside.parent)
    client = enter(open_page())
    page = client.get("/queue/to_label").text
    assert page.count('class="card"') == 1 and "own.png" in page
    assert client.get(f"/photograph/{digest(50)}").status_code == 404
    assert client.get(f"/photograph/{digest(51)}").status_code == 200


def test_a_photograph_that_became_a_link_is_not_shown(open_page, places, tmp_path):
    path = places.inbox / "line-7/unlabeled/a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(draw(50))
    (tmp_path / "secret.png").write_bytes(draw(51))
    desk = Desk(places)
    client = enter(open_page(desk))
    path.unlink()
    path.symlink_to(tmp_path / "secret.png")
    assert client.get(f"/photograph/{digest(50)}").status_code == 404
    assert client.post("/answer", data=form_of(client, digest(50), queue="to_label"), headers=JSON).status_code == 200
    assert "changed after it was labeled good by anna" in desk.place()[0]
    assert paths_below(places.inbox) == ["line-7/unlabeled/a.png"], "nothing is placed"


@pytest.mark.parametrize("below", ["", "sound"])
def test_no_label_is_placed_through_a_link_that_leads_out_of_the_inbox(open_page, queued, places, tmp_path, below):
    (sha256,) = queued(10)
    (tmp_path / "outside").mkdir()
    desk = Desk(places)
    client = enter(open_page(desk))
    link = places.inbox / reviewed_folder("station-3", datetime.now(UTC).date()) / below
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "outside")
    assert client.post("/answer", data=form_of(client, sha256), headers=JSON).status_code == 200
    (fault,) = desk.place()
    assert "leads through a link" in fault
    assert paths_below(tmp_path / "outside") == []
    link.unlink()
    assert desk.place() == []
    assert len(paths_below(places.inbox)) == 1, "the label waited"
