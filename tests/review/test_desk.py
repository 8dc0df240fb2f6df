"""Desk: who sees which card, for how long, and what a second server on the same places does."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from review.conftest import enter, paths_below, token_of

from flows import review
from tasks.labeling.label_log import LabelLog
from tasks.review.desk import LEASE_SECONDS, Answer, Desk
from tasks.settings.cli import exit_status


def answer(sha256: str, number: int = 1, label: str = "good") -> Answer:
    return Answer(f"{number:032x}", "review", sha256, label, "", 1.0, "")


def contents(desk: Desk, person: str, number: int = 4) -> set[str]:
    """Return the photographs that this person is offered now."""
    return {card.sha256 for card in desk.take("review", person, number)}


@pytest.fixture
def now() -> list[float]:
    return [1_000.0]


@pytest.fixture
def desk(queued, places, now) -> Desk:
    """A desk with three cards, whose clock says what `now` does."""
    queued(10, 11, 12)
    return Desk(places, clock=lambda: now[0])


def test_a_card_is_offered_to_another_person_when_its_time_is_over(desk, now):
    first = contents(desk, "anna", 2)
    assert len(first) == 2 and not first & contents(desk, "ben")
    now[0] += LEASE_SECONDS - 1
    assert not first & contents(desk, "ben")
    now[0] += 1
    assert first <= contents(desk, "ben")
    assert not first & contents(desk, "anna"), "now ben has them"


def test_who_looks_again_keeps_a_card(desk, now):
    cards = contents(desk, "anna")
    for _ in range(3):
        now[0] += LEASE_SECONDS - 1
        assert contents(desk, "anna") == cards
        assert contents(desk, "ben") == set()


def test_an_answer_after_its_time_is_stored_all_the_same(desk, now, places):
    (sha256,) = contents(desk, "anna", 1)
    now[0] += LEASE_SECONDS
    assert sha256 in contents(desk, "ben")
    desk.answer(answer(sha256), "anna")
    assert sha256 not in contents(desk, "ben"), "it is answered"
    desk.answer(answer(sha256, 2, "defect"), "ben")
    assert [(row.person, row.label) for row in LabelLog(places).rows()] == [("anna", "good"), ("ben", "defect")]
    assert desk.place() == []
    assert len(paths_below(places.inbox)) == 1


def test_a_card_that_was_taken_back_is_offered_again(desk, now):
    (sha256,) = contents(desk, "anna", 1)
    desk.answer(answer(sha256), "anna")
    desk.withdraw(f"{2:032x}", f"{1:032x}", "anna")
    assert sha256 not in contents(desk, "ben"), "anna sees it"
    now[0] += LEASE_SECONDS
    assert sha256 in contents(desk, "ben")


def test_a_second_server_sees_the_answers_of_the_first_at_once(open_page, desk, places):
    second = Desk(places)
    anna, ben = enter(open_page(desk)), enter(open_page(second), "ben")
    (sha256,) = contents(desk, "anna", 1)
    assert sha256 in ben.get("/queue/review").text
    form = {"token": token_of(anna), **answer(sha256)._asdict()}
    for client in (anna, ben, anna):
        form["token"] = token_of(client)
        assert client.post("/answer", data=form, headers={"Accept": "application/json"}).json()["faults"] == []
    assert [row.person for row in LabelLog(places).rows()] == ["anna"], "the request came to both servers"
    assert sha256 not in ben.get("/queue/review").text


def test_two_servers_at_once_lose_no_answer_and_store_none_twice(desk, places):
    desks = desk, Desk(places)
    cards = sorted(contents(desk, "anna"))
    given = [(server, answer(sha256, number)) for number in range(12) for server in desks for sha256 in cards[:1]]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda pair: pair[0].answer(pair[1], "anna"), given)
        placings = [pool.submit(server.place) for server in desks * 4]
        assert all(answer is None for answer in answers)
        assert [placing.result() for placing in placings] == [[]] * len(placings)
    assert desk.place() == []
    assert sorted(row.decision for row in LabelLog(places).rows()) == [f"{number:032x}" for number in range(12)]
    assert len(paths_below(places.inbox)) == 1


def test_a_second_server_on_the_same_port_says_so(server, places, monkeypatch, capsys):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        arguments = ["--port", str(port), "--data", str(places.data), "--artifacts", str(places.artifacts)]
        monkeypatch.setattr(sys, "argv", ["review.py", *arguments])
        assert exit_status(review.main) == 2
    assert f"something answers on port {port} already" in capsys.readouterr().err
