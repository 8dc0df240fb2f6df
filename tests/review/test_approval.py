"""Approval: the right person puts a version into use on the page, by the same road as the command line; nobody else does."""

import pytest
from review.conftest import SITE, enter, token_of
from starlette.testclient import TestClient

from flows.review import promotion_calls
from tasks.review.desk import Desk
from tasks.review.page import create_app
from tasks.tracking import registry


@pytest.fixture
def client(waiting, places) -> TestClient:
    """The page while version 1 is in use and version 2 waits; ben looks, and may not approve."""
    app = create_app(Desk(places), promotion_calls(), [SITE], "a key")
    return enter(TestClient(app, base_url=SITE, headers={"Origin": SITE}, raise_server_exceptions=False), "ben")


def decide(client: TestClient, what: str, name: str = "anna", password: str = "correct horse", number: int = 2):
    form = {
        "token": token_of(client),
        "what": what,
        "number": number,
        "name": name,
        "password": password,
        "reason": "looked at it",
    }
    return client.post("/approval", data=form)


def test_the_page_shows_what_waits(client):
    page = client.get("/approval").text
    assert "Version 2" in page and "cannot be shown" in page and "Version 1" in page
    assert ">1<" in client.get("/").text
    assert client.get("/history").status_code == 200


def test_the_right_person_puts_it_into_use_and_the_registry_knows_who(client, places):
    answer = decide(client, "promote")
    assert answer.status_code == 200 and "version 2 is in use" in answer.text
    champion = registry.champion(places)
    assert (champion.number, champion.approved) == (2, "anna: looked at it")
    answer = decide(client, "rollback")
    assert registry.champion(places).number == 1
    assert registry.version(2, places).withdrawn == "was taken back by anna: looked at it"


def test_a_refusal_is_kept_with_the_name(client, places):
    assert "is refused" in decide(client, "refuse").text
    assert registry.version(2, places).withdrawn == "was refused by anna: looked at it"
    assert registry.champion(places).number == 1
    assert "No version waits" in client.get("/approval").text
    assert decide(client, "promote").status_code == 404


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"password": "wrong"}, 403), ({"name": "ben"}, 403), ({"name": ""}, 422), ({"what": "delete"}, 422), ({"number": 1}, 404),
        ({"number": 7}, 404),
    ],
)  # fmt: skip
def test_nobody_else_and_nothing_else_comes_into_use(client, places, values, status):
    assert decide(client, **{"what": "promote", **values}).status_code == status
    assert registry.champion(places).number == 1
    assert registry.version(2, places).withdrawn is None


def test_a_report_opens_in_a_sandbox(client):
    answer = client.get("/approval/2/report")
    assert "the report" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert client.get("/approval/1/report").status_code == 404
