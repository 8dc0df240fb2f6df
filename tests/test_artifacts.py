"""Artifacts: what the flows show in the Prefect UI holds no markup that came from a name, and what they print no secret."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from nasty import NASTY
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import doctor, judge, promote, retrain, watch
from tasks.monitoring.batch_scoring import BatchResult
from tasks.records.results import Release, Rule
from tasks.settings.settings import Config, FetchSettings
from tasks.tracking import runs
from tasks.tracking.registry import Version


def shape(markdown: str) -> list[str]:
    """Return what a reader of Markdown makes of it, without the words."""
    markdown.encode()
    blocks = MarkdownIt("js-default").parse(markdown)
    found = [kind for block in blocks for kind in (block.type, *(child.type for child in block.children or ()))]
    return [kind for kind in found if kind not in ("text", "text_special")]


def judge_report(name: str) -> str:
    rows = [{"path": f"{name}x", "decision": "review", "reason": f"{name}x"}]
    return judge.report(BatchResult(Path(f"/tmp/{name}"), rows, 0, []))


def watch_report(name: str) -> str:
    return watch.report(None, f"{name}x", ())


def promotion_question(name: str) -> str:
    version = Version(number=2, model="ab", run_id=f"{name}x", reason=f"{name}x", champion_before=1, tracked="")
    return promote.question(version, None)


@pytest.mark.parametrize("shown", [judge_report, watch_report, promotion_question])
def test_no_name_is_markup_in_an_artifact(monkeypatch, shown):
    def decided(name: str) -> Release:
        rules = (Rule(name=name, figure=name, limit=name, kept=True),)
        return Release(verdict="waiting", reason="", version=2, champion_before=1, decided_in="", rules=rules)

    monkeypatch.setattr(runs, "decision_of_run", lambda *_: decided("harmless"))
    harmless = shape(shown("harmless"))
    for name in NASTY:
        monkeypatch.setattr(runs, "decision_of_run", lambda *_, name=name: decided(name))
        assert shape(shown(name)) == harmless, name


@pytest.mark.parametrize("name", [*NASTY[1:], "https://me:hunter2@host/castings.zip"])
def test_the_name_of_a_run_is_one_line_without_a_secret(name):
    config = Config(fetch=FetchSettings.model_construct(source=f"x{name}"))
    called = retrain.name_of_run("ring", config, datetime(2026, 11, 30, tzinfo=UTC))
    assert called.isprintable()
    assert "hunter2" not in called


def test_doctor_tells_why_a_server_does_not_answer_without_its_password(monkeypatch):
    with temporary_settings({PREFECT_API_URL: "http://me:hunter2/7@127.0.0.1:9/api"}):
        assert "hunter2" not in doctor.cell(doctor.server()).plain
