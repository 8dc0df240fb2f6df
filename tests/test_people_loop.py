"""People in the loop, all of it real: new photographs labeled in a browser, a run that learns from them, an approval, a station, spot
checks, and a bad model that the alarm finds and a person takes back.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
from chromium import enter, open_chromium
from conftest import put_into_use, wait_until
from review.conftest import serve

from flows import judge
from flows import retrain as flow
from flows.review import promotion_calls
from tasks.inference import model_folder
from tasks.inference.decision import DecisionRule
from tasks.labeling.label_log import LabelLog
from tasks.labeling.queue_store import read_queue
from tasks.monitoring.checked_parts import production_facts
from tasks.monitoring.production import judged_photographs
from tasks.pipeline.last_run import resolve_model, sections_of
from tasks.records.results import Exports, Release
from tasks.review.desk import Desk
from tasks.review.people import set_approver
from tasks.settings.settings import Config, Places
from tasks.sources.synthetic.plan import TruthRow
from tasks.sources.synthetic.sample import CASTINGS, take_part
from tasks.storage.files import scratch_beside
from tasks.tracking import connection, registry

LAX = {"max_escape_rate": 0.5, "max_false_reject_rate": 0.5, "max_review_rate": 1.0, "beyond_baselines": False}
PASSWORD = "correct horse"  # of anna
KEYS = {"ok_front": "g", "def_front": "d"}


def photographs(first_part: int, count: int) -> dict[str, tuple[bytes, str]]:
    """As many photographs of parts by another camera, half of them defective: {name: (content, label)}."""
    taken = {}
    for number in range(first_part, first_part + count):
        label = "def_front" if number % 2 else "ok_front"
        row = TruthRow(
            f"{number}.jpeg", number, label, *(("blow_hole", "easy") if number % 2 else ("", "")), "new_camera"
        )
        taken[row.path] = take_part([row], 77, CASTINGS)[row.path].content, label
    return taken


class Line(NamedTuple):
    """Places, what the photographs that came there really show, and a browser in which people look at them."""

    places: Places
    truth: dict[str, str]
    """Label by sha256."""
    browser: object

    def put(self, folder: Path, first_part: int, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (content, label) in photographs(first_part, count).items():
            (folder / name).write_bytes(content)
            self.truth[hashlib.sha256(content).hexdigest()] = label

    def retrain(self, epochs: int, require_approval: bool = False) -> Release:
        settings = {
            "fetch": {"sample": {"parts": 60, "train_images": 200, "test_images": 80}, "settle_seconds": 0},
            "training": {"model": "ring", "epochs": epochs},
            "acceptance": {**LAX, "require_approval": require_approval},
            "places": self.places,
        }
        return flow.retrain(Config.model_validate(settings))

    def judge(self, station: Path) -> judge.Judged:
        return judge.judge_by_champion(station, None, 0.0, self.places)

    def rows(self) -> list:
        return LabelLog(self.places).rows()

    def answer_all(self, site: str, person: str, queue: str) -> int:
        """Answer a whole queue by keys, as somebody who sees what each photograph shows, and return how many there were."""
        page = enter(self.browser, site, person)
        page.goto(f"{site}/queue/{queue}")
        before, answered = len(self.rows()), 0
        while sha256 := page.evaluate("document.querySelector('.card:not([hidden])')?.dataset.sha256"):
            page.keyboard.press(KEYS[self.truth[sha256]])
            page.wait_for_function(
                "before => { const card = document.querySelector('.card:not([hidden])'); "
                "return card ? card.dataset.sha256 !== before : !document.getElementById('done').hidden; }",
                arg=sha256,
            )
            answered += 1
        wait_until(lambda: len(self.rows()) == before + answered, 120, "the answers to be saved")
        page.context.close()
        return answered

    def decide(self, site: str, name: str, password: str, button: str) -> str:
        """Fill in the form of the approval page, press the button, and return what the page says."""
        page = enter(self.browser, site, name)
        page.goto(f"{site}/approval")
        if button == "rollback":
            page.locator("summary").click()
        form = page.locator(f"form:has(button[value={button}])").first
        form.locator("[name=name]").fill(name)
        form.locator("[name=password]").fill(password)
        form.locator("[name=reason]").fill("looked at it")
        form.locator(f"button[value={button}]").click()
        page.wait_for_load_state()
        text = page.locator("main").inner_text()
        page.context.close()
        return text


def open_site(places: Places) -> AbstractContextManager[str]:
    """The page, on which versions are put into use as flows/review.py does."""
    return serve(Desk(resolve_model(places)), promotion_calls())


@pytest.fixture
def line(prefect_server, tensorflow, registered, places) -> Iterator[Line]:
    with open_chromium() as browser:
        yield Line(places, {}, browser)


def make_passing_all(version: registry.Version, places: Places) -> Path:
    """The folder of a model like that of a version, whose rule passes whatever it sees."""
    source = model_folder.ensure_local(version, places)
    listed = Exports.model_validate_json((source / model_folder.EXPORTS).read_bytes())
    with scratch_beside(model_folder.path("model", places)) as scratch:
        shutil.copytree(source, scratch)
        rule = DecisionRule.model_validate_json((scratch / "decision.json").read_bytes())
        passing = {"threshold": 1.1, "review_band": None, "appearance": None, "appearances": (), "features": None}
        planted = rule.model_copy(update={**passing, "max_residual": None, "guarantee": None})
        (scratch / "decision.json").write_text(planted.model_dump_json())
        return model_folder.path(model_folder.store(scratch, listed.formats, places).digest, places)


def test_people_label_approve_and_check_and_a_bad_model_is_found_and_taken_back(line, places, tmp_path):
    first = line.retrain(1)  # it sends all to a person, so that the next one is better on any processor
    assert (first.verdict, first.version) == ("promoted", 1)
    set_approver("anna", PASSWORD, places)

    line.put(places.inbox / "camera-2/unlabeled", 500, 30)
    with open_site(places) as site:
        assert line.answer_all(site, "ben", "to_label") == 30
    assert len(list(places.inbox.glob("reviewed-*-camera-2/*/*/*.jpeg"))) == 30
    second = line.retrain(15, require_approval=True)
    assert (second.verdict, second.version) == ("waiting", 2)
    origins = {origin.name: origin for origin in sections_of(places.runs / "latest", "dataset").dataset.origins}
    assert sum(origins["camera-2"].by_class.values()) == 30

    own = resolve_model(places)
    with open_site(places) as site:
        assert (
            "password is wrong" in line.decide(site, "ben", PASSWORD, "promote") and registry.champion(own).number == 1
        )
        assert (
            "password is wrong" in line.decide(site, "anna", "a guess", "promote")
            and registry.champion(own).number == 1
        )
        assert "version 2 of recast-sample is in use" in line.decide(site, "anna", PASSWORD, "promote")
    assert (registry.champion(own).number, registry.champion(own).approved) == (2, "anna: looked at it")

    station = tmp_path / "station-3"
    line.put(station, 600, 40)
    assert len(line.judge(station).result.rows) == 40
    queues = [photograph.queue for photograph in read_queue(own)]
    with open_site(places) as site:
        assert line.answer_all(site, "ben", "review") == queues.count("review")
        assert line.answer_all(site, "cleo", "spot_check") == queues.count("spot_check") > 0
    facts = production_facts(judged_photographs(own), line.rows(), own)[0]
    assert facts.passed.checked + facts.rejected.checked == queues.count("spot_check")
    assert facts.passed.waiting == facts.rejected.waiting == 0

    bad = put_into_use(make_passing_all(registry.version(2, own), own), own, "planted")
    other = tmp_path / "station-4"
    line.put(other, 700, 40)
    judged = line.judge(other)
    assert {row["decision"] for row in judged.result.rows} == {"pass"}
    with open_site(places) as site:
        assert line.answer_all(site, "cleo", "spot_check") >= 20
        line.put(other, 800, 1)
        alarmed = line.judge(other)
        assert alarmed.alarm.is_suspect and any(text.startswith("SUSPECT: ") for text in alarmed.lines())
        page = enter(line.browser, site, "anna")
        page.goto(f"{site}/history")
        assert "SUSPECT" in page.locator("main").inner_text()
        assert "Version 2" in line.decide(site, "anna", PASSWORD, "rollback")
    assert registry.champion(own).number == 2
    assert registry.version(bad.number, own).withdrawn == "was taken back by anna: looked at it"
    metrics = connection.client(own).get_run(bad.tracked).data.metrics
    assert metrics["production.passed.wrong_share"] > 0.2
    assert metrics["production.passed.checked"] >= 19, "the part that came last may have taken the place of another one"
