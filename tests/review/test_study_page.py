"""Study page: second looks are blind and change no label, and the page shows agreement without ranking anybody."""

import hashlib
import re
import sys
from datetime import timedelta

import pytest
from starlette.testclient import TestClient
from study_places import LONG_AGO, JudgedPhotograph, clear_parts, look, write_run

from flows import review
from tasks.labeling.label_log import LabelLog
from tasks.labeling.product import load_product
from tasks.labeling.study import NAME, StudyPhotograph, draw_study
from tasks.review.approval import PromotionCalls
from tasks.review.desk import Desk
from tasks.review.page import create_app
from tasks.review.texts import STUDY
from tasks.settings.cli import exit_status
from tasks.storage.tables import write_rows

SITE = "http://127.0.0.1:8700"


def refuse(*_: object) -> str:
    raise AssertionError("nobody approves here")


def write_study(places, drawn=LONG_AGO) -> list[StudyPhotograph]:
    """Draw a study, and date it back, so that answers of long ago belong to it."""
    study = [
        row._replace(drawn=drawn.isoformat()) for row in draw_study(load_product(places), places, parts=12, seed=1)
    ]
    write_rows(places.artifacts / NAME, [row._asdict() for row in study], StudyPhotograph._fields)
    return study


@pytest.fixture
def study(places) -> list[StudyPhotograph]:
    changing = JudgedPhotograph("good00", "ok_front", 0.95, "reject", 9)
    write_run([*clear_parts(20), changing], places)
    return write_study(places)


@pytest.fixture
def enter(places):
    """Open the page as this person, after what was answered."""

    def open_page(person: str) -> TestClient:
        desk = Desk(places)
        app = create_app(desk, PromotionCalls(refuse, refuse, refuse), [SITE], "key")
        client = TestClient(app, base_url=SITE, headers={"origin": SITE})
        client.post(
            "/enter", data={"token": token_of(client.get("/enter").text), "name": person}, follow_redirects=False
        )
        return client

    return open_page


def token_of(page: str) -> str:
    return re.search('name="token" value="([^"]+)"', page)[1]


def rows_of(page: str) -> dict[str, list[str]]:
    """Return the cells of each line of the page's tables, by its heading; of equal headings the first."""
    rows: dict[str, list[str]] = {}
    for line in re.findall('<tr[^>]*><th scope="row">(.*?)</th>(.*?)</tr>', page, re.DOTALL):
        rows.setdefault(line[0].replace("&#39;", "'"), re.findall("<td.*?>(.*?)</td>", line[1], re.DOTALL))
    return rows


def say(places, study, person, answers, days=1.0):
    log = LabelLog(places)
    for photograph, label in zip(study, answers, strict=True):
        assert log.append(look(photograph.sha256, person, label, days))


def labels_of(study) -> list[str]:
    return ["good" if photograph.label == "ok_front" else "defect" for photograph in study]


def test_without_a_study_the_page_says_how_to_draw_one(places, registered, enter):
    write_run(clear_parts(4), places)
    client = enter("anna")
    assert "--draw-study" in client.get("/study").text
    assert 'href="/study"' in client.get("/").text


def test_only_who_entered_sees_the_study(study, enter):
    client = enter("anna")
    client.cookies.clear()
    assert client.get("/study", follow_redirects=False).status_code == 303


def test_a_second_look_shows_neither_path_nor_answer(study, enter):
    page = enter("anna").get("/queue/second_look").text
    assert page.count('class="card"') == 4
    for telling in ("def_front/", "ok_front/", "near the limits", "The model says", "/heat/"):
        assert telling not in page


def test_a_second_look_is_stored_and_places_nothing(study, enter, places):
    client = enter("anna")
    page = client.get("/queue/second_look").text
    sha256 = re.search('name="sha256" value="([0-9a-f]+)"', page)[1]
    given = {
        "token": token_of(page),
        "decision": "1" * 32,
        "queue": "second_look",
        "sha256": sha256,
        "label": "exclude",
    }
    assert client.post("/answer", data=given, headers={"accept": "application/json"}).json()["faults"] == []
    (row,) = LabelLog(places).rows()
    assert (row.queue, row.person, row.sha256, row.label) == ("second_look", "anna", sha256, "exclude")
    assert not (places.artifacts / "corrections.csv").exists()
    assert not places.inbox.exists()
    assert sha256 not in client.get("/queue/second_look").text
    assert rows_of(client.get("/study").text)["anna"] == [str(len(study) - 1), str(len(study))]


def test_people_who_look_at_once_do_not_wait_for_each_other(study, places):
    desk = Desk(places)
    first, second = (desk.take("second_look", person, len(study)) for person in ("anna", "ben"))
    assert {card.sha256 for card in first} == {card.sha256 for card in second} == {row.sha256 for row in study}


def test_answers_of_the_study_answer_no_other_queue(study, places):
    from tasks.review.queues import answers_by_content

    label = look(study[0].sha256, "anna", "good", queue="review")
    assert answers_by_content([label, look(study[0].sha256, "ben", "good")]) == {study[0].sha256: [label]}


def test_photographs_that_are_gone_are_not_asked_and_said(study, enter, places):
    for path in (places.data / "images").rglob(f"{study[0].sha256}*"):
        path.unlink()
    assert STUDY["gone"].format(gone=1) in enter("anna").get("/study").text
    assert study[0].sha256 not in {card.sha256 for card in Desk(places).open_cards("second_look", "anna")}


def test_a_damaged_study_leaves_the_other_queues_open(study, registered, enter, places, capsys):
    (places.artifacts / NAME).write_text("nothing\n")
    client = enter("anna")
    assert "study.csv is damaged" in capsys.readouterr().out
    assert client.get("/").status_code == client.get("/queue/suspects").status_code == 200
    assert "study.csv is damaged" in client.get("/study").json()["refused"]


def test_the_page_shows_agreement_by_hand(study, enter, places):
    truth = labels_of(study)
    turned = ["defect" if label == "good" else "good" for label in truth]
    say(places, study, "anna", truth)
    say(places, study, "ben", [*turned[:9], *truth[9:]])
    say(places, study, "anna", [*turned[:3], *truth[3:]], days=5)
    rows = rows_of(enter("anna").get("/study").text)
    number = len(study)
    assert number == 36
    assert rows[STUDY["people_share"]][0].startswith("75.0%")
    assert rows[STUDY["people_share"]][1] == "36 photographs of 12 parts, 2 people"
    assert STUDY["people_fleiss"] in rows
    assert STUDY["people_cohen"] in rows
    assert rows[STUDY["self_share"]][:2] == [rows[STUDY["own_share"]][0], "36 pairs of looks at 12 parts"]
    assert rows[STUDY["self_share"]][0].startswith("91.7%")
    assert rows["anna"] == ["0", "0"]
    assert rows["ben"] == ["0", "36"]


def test_nobody_sees_how_another_person_agrees_with_herself(study, enter, places):
    say(places, study, "anna", labels_of(study))
    say(places, study, "anna", labels_of(study), days=5)
    rows = rows_of(enter("ben").get("/study").text)
    assert rows[STUDY["self_share"]][0].startswith("100.0%")
    assert rows[STUDY["own_share"]][0] == "–"
    assert rows[STUDY["self_kappa"]][0] == "1.00"
    assert rows["anna"] == ["0", "0"], "of each person, only what is missing"


def test_misses_and_false_alarms_are_counted_where_people_agree(study, enter, places):
    for person in ("anna", "ben", "cara"):
        say(places, study, person, ["defect"] * len(study))
    rows = rows_of(enter("anna").get("/study").text)
    passed = sum(photograph.model_answer == "pass" for photograph in study)
    assert rows[STUDY["misses"]][1] == f"{passed} of {len(study)} photographs on which most people see a defect"
    assert rows[STUDY["misses"]][0].startswith(f"{passed / len(study):.1%}")
    assert rows[STUDY["false_alarms"]][0] == "–"
    assert rows[STUDY["people_fleiss"]][0] == "–", "all answers are one class"
    assert STUDY["people_cohen"] not in rows, "Cohen's kappa is of two people"
    assert rows[STUDY["people_share"]][1].endswith("3 people")


def test_the_model_repeats_itself_without_any_person(study, enter):
    cells = rows_of(enter("anna").get("/study").text)[STUDY["repeatability"]]
    assert cells[0].startswith("95.0% (75.1 to 99.9%)")  # Clopper and Pearson for 19 of 20
    assert cells[1].startswith("19 of 20 parts")
    assert "1 with one passed and another one rejected" in cells[1]


def test_where_parts_are_not_known_the_model_repeats_nothing(places, enter):
    write_run(clear_parts(8), places, with_parts=False)
    write_study(places)
    assert rows_of(enter("anna").get("/study").text)[STUDY["repeatability"]] == ["–", "", STUDY["no_repeats"]]


def test_the_command_line_draws_a_study_and_another_one_only_when_asked(places, registered, monkeypatch, capsys):
    write_run(clear_parts(20), places)

    def command(option: str) -> tuple[int, str, str]:
        arguments = ["review.py", option, "--data", str(places.data), "--artifacts", str(places.artifacts)]
        monkeypatch.setattr(sys, "argv", arguments)
        return exit_status(review.main), *capsys.readouterr()

    status, out, _ = command("--draw-study")
    assert (status, out.partition(";")[0]) == (0, "study: 60 photographs of 20 parts are drawn, 10 of them hard ones")
    first = (places.artifacts / NAME).read_text()
    status, _, error = command("--draw-study")
    assert status == 2
    assert "--replace-study draws another one" in error
    assert (places.artifacts / NAME).read_text() == first
    assert command("--replace-study")[0] == 0
    assert len([*places.artifacts.glob("study-*.csv")]) == 1


def test_names_are_no_markup(study, enter, places):
    assert LabelLog(places).append(look(study[0].sha256, "<b>anna</b>", "good", 1))
    page = enter("ben").get("/study").text
    assert "<b>anna" not in page
    assert "&lt;b&gt;anna" in page


def test_second_looks_wait_for_days(study, places):
    number, row = len(study), study[0]
    log = LabelLog(places)
    for person, days in (("anna", 0.0), ("ben", 1.0)):
        assert log.append(look(row.sha256, person, "good", days))
    desk = Desk(places)
    assert len(desk.open_cards("second_look", "anna")) == number, "the answer is months old"
    recent = look(row.sha256, "dora", "good")._replace(
        decision=hashlib.md5(b"recent").hexdigest(), time=(LONG_AGO + timedelta(days=36_500)).isoformat()
    )
    assert log.append(recent)
    assert len(desk.open_cards("second_look", "dora")) == number - 1
