"""Browser: the page in Chromium, by keys, with and without a connection, and for people who need more than a mouse."""

import pytest
from chromium import enter, open_chromium
from conftest import wait_until
from review.conftest import serve

from tasks.labeling.label_log import LabelLog
from tasks.review.desk import Desk


@pytest.fixture
def site(server, process, registered, product, queued, places):
    """The page on a free port, with eight photographs to review."""
    queued(*range(10, 18))
    with serve(Desk(places)) as address:
        yield address


@pytest.fixture
def browser():
    with open_chromium() as opened:
        yield opened


def press(page, key: str) -> None:
    """Press a key when a card is shown, and wait until another one is, or none is left."""
    shown = "document.querySelector('.card:not([hidden])')?.dataset.sha256"
    page.wait_for_function(shown)
    before = page.evaluate(shown)
    page.keyboard.press(key)
    page.wait_for_function(f"before => {shown} !== before", arg=before)


def test_cards_are_answered_by_keys_and_nothing_is_lost_without_a_connection(browser, site, places):
    log, complaints = LabelLog(places), []
    page = enter(browser, site)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    page.get_by_role("link", name="To review").click()
    page.locator(".card:not([hidden])").wait_for()
    page.keyboard.press("m")
    page.keyboard.type("gdx is text here")
    page.keyboard.press("Escape")
    for key in "gdcx":
        press(page, key)
    press(page, "u")
    press(page, "d")
    wait_until(lambda: len(log.rows()) == 6, 60, "six answers")
    assert [row.label for row in log.rows()] == ["good", "defect", "cannot_tell", "exclude", "withdrawn", "defect"]
    assert log.rows()[0].comment == "gdx is text here"
    page.wait_for_function("document.querySelectorAll('.card').length >= 2")  # ready for the time without a connection
    page.context.set_offline(True)
    press(page, "g")
    press(page, "g")
    page.get_by_text("2 answers are not saved yet").wait_for()
    assert len(log.rows()) == 6
    page.context.set_offline(False)
    wait_until(lambda: len(log.rows()) == 8, 60, "the answers of the time without a connection")
    assert len({row.decision for row in log.rows()}) == 8
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_keeps_people_out(browser, site, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = enter(browser, site, bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in ("/enter", "/", "/queue/review", "/queue/suspects"):
        page.goto(site + path)
        violations = Axe().run(page).response["violations"]
        assert [found["id"] for found in violations if found["impact"] in ("serious", "critical")] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
            f"{path} is wider than the screen"
        )


def test_each_answer_can_be_reached_by_the_tab_key(browser, site):
    page = enter(browser, site)
    page.goto(f"{site}/queue/review")
    reached = set()
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.value || document.activeElement.textContent.trim()"))
    assert {"good", "defect", "cannot_tell", "exclude"} <= reached
