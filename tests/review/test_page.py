"""Page: a person labels by keys or forms, and nothing but the page itself, asked by its own name, is answered."""

import re
import uuid

import pytest
from conftest import wait_until
from review.conftest import SITE, draw, enter, paths_below, token_of

from tasks.labeling.label_log import LabelLog
from tasks.review.access import HEADERS, MAX_FORM
from tasks.review.desk import Desk
from tasks.review.people import Throttle


def decision() -> str:
    return uuid.uuid4().hex


def reply(client, sha256: str, label: str = "good", queue: str = "review", **fields: object):
    form = {
        "token": token_of(client),
        "decision": decision(),
        "queue": queue,
        "sha256": sha256,
        "label": label,
        **fields,
    }
    return client.post("/answer", data=form, headers={"Accept": "application/json"})


def test_who_has_not_entered_sees_nothing(open_page, queued, places):
    (sha256,) = queued(10)
    client = open_page()
    for page in ("/", "/queue/review", "/approval", "/history"):
        answer = client.get(page, follow_redirects=False)
        assert answer.status_code == 303 and sha256 not in answer.text
    for page in (f"/photograph/{sha256}", f"/heat/{sha256}", f"/labeled/{sha256}", f"/neighbors/{sha256}"):
        assert client.get(page, follow_redirects=False).status_code == 303
    assert reply(client, sha256).status_code == 401
    assert LabelLog(places).rows() == []


def test_a_card_is_answered_and_the_next_comes(open_page, queued, places):
    first, second = queued(10, 11)
    client = enter(open_page())
    page = client.get("/queue/review").text
    assert page.index(first) < page.index(second)
    assert "43.2%" in page and "the network is not sure" in page
    assert reply(client, first, "defect", seconds=2.25, comment="a <b>scratch</b>").json()["faults"] == []
    (row,) = LabelLog(places).rows()
    assert (row.label, row.person, row.queue, row.model_version, row.model_answer) == (
        "defect",
        "anna",
        "review",
        "1",
        "review",
    )
    assert (row.seconds, row.comment, row.origin, row.sha256) == (2.2, "a <b>scratch</b>", "station-3", first)
    page = client.get("/queue/review").text
    assert first not in page and second in page
    assert Desk(places).faults == []
    assert paths_below(places.inbox)[0].endswith(f"-station-3/crack/{first[:16]}/{first}.png")


def test_a_form_without_the_script_leads_to_the_next_card(open_page, queued):
    (sha256,) = queued(10)
    client = enter(open_page())
    form = {
        "token": token_of(client, "/queue/review"),
        "decision": decision(),
        "queue": "review",
        "sha256": sha256,
        "label": "good",
    }
    answer = client.post("/answer", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/queue/review")


def test_an_answer_that_comes_twice_is_stored_once(open_page, queued, places):
    (sha256,) = queued(10)
    client = enter(open_page())
    one = decision()
    form = {"token": token_of(client), "decision": one, "queue": "review", "sha256": sha256, "label": "good"}
    for _ in range(3):
        assert client.post("/answer", data=form, headers={"Accept": "application/json"}).json()["saved"] == one
    assert len(LabelLog(places).rows()) == 1


def test_undo_brings_the_card_back_and_is_for_one_s_own_answers(open_page, queued, places):
    (sha256,) = queued(10)
    desk = Desk(places)
    anna, ben = enter(open_page(desk)), enter(open_page(desk), "ben")
    reply(anna, sha256)
    (row,) = LabelLog(places).rows()
    form = {"decision": decision(), "withdraws": row.decision}
    assert ben.post("/withdraw", data={**form, "token": token_of(ben)}).status_code == 404
    assert sha256 not in anna.get("/queue/review").text
    anna.post("/withdraw", data={**form, "token": token_of(anna)})
    assert sha256 in anna.get("/queue/review").text
    assert [row.label for row in LabelLog(places).rows()] == ["good", "withdrawn"]


def test_two_people_see_different_cards(open_page, queued, places):
    contents = queued(*range(10, 30))
    desk = Desk(places)
    pages = [enter(open_page(desk), name).get("/queue/review").text for name in ("anna", "ben")]
    seen = [{sha256 for sha256 in contents if sha256 in page} for page in pages]
    assert len(seen[0]) == len(seen[1]) == 4 and not seen[0] & seen[1]


def test_who_cannot_tell_is_not_asked_again_and_after_two_nobody_is(open_page, queued, places):
    (sha256,) = queued(10)
    desk = Desk(places)
    clients = [enter(open_page(desk), name) for name in ("anna", "ben", "cleo")]
    for number, client in enumerate(clients[:2]):
        desk._leases.clear()
        assert sha256 in client.get("/queue/review").text, number
        reply(client, sha256, "cannot_tell")
        assert sha256 not in client.get("/queue/review").text
    desk._leases.clear()
    assert sha256 not in clients[2].get("/queue/review").text


@pytest.mark.parametrize("queue", ["spot_check", "differences"])
def test_a_blind_queue_never_shows_what_the_model_said_nor_where_the_station_put_it(open_page, queued, queue):
    (sha256,) = queued(10, queue=queue, decision="pass", reason="a defect is unlikely")
    page = enter(open_page()).get(f"/queue/{queue}").text
    assert sha256 in page
    assert not re.search(r"a defect is unlikely|43\.2%|0\.4321|<strong>pass|10\.png", page)


def test_labels_are_placed_while_the_page_is_open_and_once_more_when_it_closes(open_page, queued, places):
    first, second = queued(10, 11)
    with enter(open_page()) as client:
        reply(client, first)
        wait_until(lambda: len(paths_below(places.inbox)) == 1, 60, "the first label to be placed")
        reply(client, second)
    assert len(paths_below(places.inbox)) == 2


def test_an_unlabeled_photograph_is_labeled_and_no_longer_listed(open_page, product, places):
    path = places.inbox / "line-7/unlabeled/a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(draw(50))
    client = enter(open_page())
    page = client.get("/queue/to_label").text
    sha256 = re.search('data-sha256="([0-9a-f]{64})"', page)[1]
    reply(client, sha256, queue="to_label")
    assert sha256 not in client.get("/queue/to_label").text
    assert path.read_bytes() == draw(50)
    Desk(places)
    assert any("-line-7/sound/" in name for name in paths_below(places.inbox))


def test_a_photograph_is_encoded_anew_and_the_labeled_ones_beside_it_too(open_page, queued, product):
    (sha256,) = queued(10)
    client = enter(open_page())
    picture = client.get(f"/photograph/{sha256}")
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    neighbors = client.get(f"/neighbors/{sha256}").json()
    assert [neighbor["label"] for neighbor in neighbors] == ["crack", "sound"]
    assert client.get(f"/labeled/{neighbors[0]['sha256']}").content[:2] == b"\xff\xd8"
    assert client.get(f"/photograph/{product[0].sha256}").status_code == 404, "it waits in no queue"


def test_a_photograph_that_changed_or_is_no_image_is_not_shown(open_page, queued, places):
    changed, gone = queued(10, 11)
    client = enter(open_page())
    (places.artifacts / f"queue/{changed}.png").write_bytes(b"another")
    (places.artifacts / f"queue/{gone}.png").unlink()
    assert client.get(f"/photograph/{changed}").status_code == 404
    assert client.get(f"/photograph/{gone}").status_code == 404


def test_markup_in_names_and_answers_stays_text(open_page, queued, places):
    evil = "<script>alert(1)</script>"
    (sha256,) = queued(10, origin=evil, reason=evil)
    client = enter(open_page(), evil[:60])
    page = client.get("/queue/review").text
    assert evil not in page and "&lt;script&gt;" in page
    reply(client, sha256, comment=evil)
    for address in ("/", "/history", "/approval", "/queue/review"):
        assert evil not in client.get(address).text


@pytest.mark.parametrize(
    "path",
    [
        "/photograph/..%2f..%2fetc%2fpasswd", "/photograph/" + "0" * 64, "/labeled/../labels.csv", "/static/../routes.py",
        "/static/%2e%2e/routes.py", "/queue/nothing",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(open_page, path):
    answer = enter(open_page()).get(path)
    assert answer.status_code == 404 and "import" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": SITE + ".evil.example"},
        {"Origin": "https://127.0.0.1:8700"}, {"Origin": "http://127.0.0.1:8701"},
    ],
)  # fmt: skip
def test_a_form_of_another_page_does_nothing(open_page, queued, places, headers):
    (sha256,) = queued(10)
    client = enter(open_page())
    form = {"token": token_of(client), "decision": decision(), "queue": "review", "sha256": sha256, "label": "good"}
    assert client.post("/answer", data=form, headers=headers).status_code == 403
    assert LabelLog(places).rows() == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8700", "127.0.0.1", "127.0.0.1:8701", ""])
def test_another_host_name_is_not_answered(open_page, host):
    answer = open_page().get("/enter", headers={"Host": host})
    assert answer.status_code == 421 and "token" not in answer.text


def test_a_token_is_needed_and_is_that_of_the_session(open_page, queued, places):
    (sha256,) = queued(10)
    desk = Desk(places)
    anna, ben = enter(open_page(desk)), enter(open_page(desk), "ben")
    form = {"decision": decision(), "queue": "review", "sha256": sha256, "label": "good"}
    assert anna.post("/answer", data=form).status_code == 422
    for token in ("x" * 43, token_of(ben)):
        assert anna.post("/answer", data={**form, "token": token}).status_code == 403
    before = token_of(open_page(desk))
    assert anna.post("/answer", data={**form, "token": before}).status_code == 403
    assert LabelLog(places).rows() == []


def test_a_forged_session_counts_for_nothing(open_page, queued):
    (sha256,) = queued(10)
    client = enter(open_page())
    cookie = client.cookies["recast_review"]
    for forged in (cookie[:-2] + "xx", "e30=." + cookie.partition(".")[2], "nonsense"):
        client.cookies.set("recast_review", forged, domain="127.0.0.1")
        other = open_page()
        other.cookies.set("recast_review", forged)
        assert other.get(f"/photograph/{sha256}", follow_redirects=False).status_code == 303


def test_the_cookie_is_for_this_page_alone(open_page, places):
    answer = open_page().get("/enter")
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert "secure" not in answer.headers["set-cookie"].lower()


def test_a_large_form_and_one_without_a_length_are_not_read(open_page, queued):
    client = enter(open_page())
    assert client.post("/answer", data={"comment": "x" * 10_000_000}).status_code == 413
    assert client.post("/answer", content=iter([b"token=x"])).status_code == 411
    assert (
        client.post(
            "/answer", content=b"x" * MAX_FORM, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ).status_code
        == 422
    )
    assert client.post(
        "/answer", content=b"a=&" * 10_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
    ).status_code in (400, 422)


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "withdrawn"}, {"label": "perhaps"}, {"kind": "hole"}, {"decision": "1"}, {"sha256": "../../x"}, {"seconds": "nan"},
        {"seconds": "-1"}, {"seconds": "inf"}, {"comment": "x" * 501}, {"queue": "to_label"},
    ],
)  # fmt: skip
def test_an_answer_that_the_page_does_not_offer_is_refused(open_page, queued, places, fields):
    (sha256,) = queued(10)
    client = enter(open_page())
    form = {
        "token": token_of(client),
        "decision": decision(),
        "queue": "review",
        "sha256": sha256,
        "label": "good",
    } | fields
    answer = client.post("/answer", data=form)
    assert answer.status_code in (404, 422) and "refused" in answer.json()
    assert LabelLog(places).rows() == []


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\x00b", " anna"])
def test_a_name_can_be_printed(open_page, name):
    client = open_page()
    answer = client.post("/enter", data={"token": token_of(client), "name": name}, follow_redirects=False)
    assert answer.status_code == 422


def test_each_kind_of_answer_has_the_headers_that_protect_it(open_page, queued):
    (sha256,) = queued(10)
    client = enter(open_page())
    for path in ("/", "/static/review.js", "/static/gone.js", f"/photograph/{sha256}", "/photograph/x", "/queue/x"):
        headers = client.get(path).headers
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"):
            assert headers[name] == HEADERS[name], path
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.fixture
def still_clock(monkeypatch):
    """A clock that stands: who waits does not wait long enough."""
    monkeypatch.setattr("tasks.review.page.Throttle", lambda: Throttle(clock=lambda: 0.0))


def test_on_another_address_everybody_needs_the_password_and_guessing_is_slow(open_page, still_clock):
    client = open_page(shared_password="correct horse")
    assert 'type="password"' in client.get("/enter").text
    form = {"token": token_of(client), "name": "eve"}
    statuses = [client.post("/enter", data={**form, "password": str(number)}).status_code for number in range(50)]
    assert statuses == [403] * 5 + [429] * 45
    assert client.post("/enter", data={**form, "password": "correct horse"}).status_code == 429


def test_the_right_password_lets_in(open_page):
    client = enter(open_page(shared_password="correct horse"), password="correct horse")
    assert client.get("/queue/review").status_code == 200


def test_a_refusal_is_a_page_for_people(open_page):
    client = enter(open_page())
    answer = client.get("/queue/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404 and "That was not done" in answer.text
