"""Label log: nothing that a person said is lost or doubled, whoever writes at once and whatever dies in between."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.labeling.label_log import LabelLog, labeled_contents, latest_labels, valid_rows
from tasks.records.rows import LabelRow
from tasks.settings.errors import BadInput

SHA = "ab" * 32
ROOT = Path(__file__).parents[2]


def answer(number: int, sha256: str = SHA, label: str = "good", **values: object) -> LabelRow:
    row = LabelRow(
        decision=f"{number:032x}", sha256=sha256, label=label, kind="", person="anna", time="2026-12-01T06:00:00+00:00",
        queue="review", model_version="1", model_answer="review", seconds=1.5, comment="", origin="line-3",
    )  # fmt: skip
    return row._replace(**values)


@pytest.fixture
def log(places) -> LabelLog:
    return LabelLog(places)


def test_what_was_said_is_read_back(log, places):
    rows = [answer(1), answer(2, label="defect", kind="crack", comment='a "scratch", left; no?', person="Zoë")]
    assert [log.append(row) for row in rows] == [True, True]
    assert log.rows() == LabelLog(places).rows() == rows


def test_before_the_first_answer_there_is_none_and_no_file(log, places):
    assert log.rows() == []
    assert not places.artifacts.exists()


def test_an_answer_that_comes_twice_is_stored_once(log, places):
    assert log.append(answer(1))
    assert not log.append(answer(1, label="defect"))
    assert not LabelLog(places).append(answer(1))
    assert log.rows() == [answer(1)]


def test_what_another_process_adds_is_seen(log, places):
    log.append(answer(1))
    LabelLog(places).append(answer(2))
    assert log.rows() == [answer(1), answer(2)]


def test_two_processes_at_once_lose_no_row(log, places):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from tasks.labeling.label_log import LabelLog\nfrom tasks.settings.settings import Places\n"
        "from labeling.test_label_log import answer\n"
        "log = LabelLog(Places(data=sys.argv[3], artifacts=sys.argv[4]))\n"
        "for number in range(100): log.append(answer(int(sys.argv[5]) + number))\n"
    )
    paths = [str(ROOT), str(ROOT / "tests"), str(places.data), str(places.artifacts)]
    both = [subprocess.Popen([sys.executable, "-c", code, *paths, str(first)]) for first in (0, 1_000)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert {row.decision for row in log.rows()} == {f"{first + n:032x}" for first in (0, 1_000) for n in range(100)}


def test_a_line_that_a_killed_process_left_costs_itself_alone(places):
    whole = LabelLog(places)
    whole.append(answer(1))
    before = whole.path.read_bytes()
    whole.append(answer(2))
    after = whole.path.read_bytes()
    for length in range(len(before), len(after)):
        whole.path.write_bytes(after[:length])
        log = LabelLog(places)
        assert log.rows() == [answer(1)], length
        assert log.append(answer(3))
        assert log.rows()[0] == answer(1) and log.rows()[-1] == answer(3), length
        assert LabelLog(places).rows() == log.rows(), length


def test_a_file_that_was_restored_is_read_anew(log):
    log.append(answer(1))
    before = log.path.read_bytes()
    log.append(answer(2))
    log.path.write_bytes(before)
    assert log.rows() == [answer(1)]


def test_a_damaged_line_is_passed_over_and_said(log, places, capsys):
    log.append(answer(1))
    with open(log.path, "ab") as opened:
        opened.write(b'"half a line\n' + b"a,b\n" + b"\xff\xfe\n")
    log.append(answer(2))
    capsys.readouterr()
    assert LabelLog(places).rows() == [answer(1), answer(2)]
    assert "3 damaged lines are passed over" in capsys.readouterr().out


def test_a_table_of_something_else_is_refused_and_left_alone(places):
    places.artifacts.mkdir(parents=True)
    path = places.artifacts / "labels.csv"
    path.write_text("path,label\na.png,good\n")
    for act in (LabelLog(places).rows, lambda: LabelLog(places).append(answer(1))):
        with pytest.raises(BadInput, match="is not a table of labels"):
            act()
    assert path.read_text() == "path,label\na.png,good\n"


def test_a_comment_stays_on_one_line_and_is_no_formula(log):
    log.append(answer(1, comment="=HYPERLINK(1)\nsecond\u2028third", person="a\tb"))
    assert log.rows()[0].comment == "=HYPERLINK(1) second third"
    assert log.rows()[0].person == "a b"
    assert log.path.read_text(encoding="utf-8").count("\n") == 2
    assert ",'=HYPERLINK(1)" in log.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"decision": "1"}, "its identity is '1'"),
        ({"sha256": "../../etc/passwd"}, "its photograph is '../../etc/passwd'"),
        ({"label": "perhaps"}, "its label is 'perhaps'"),
        ({"person": " "}, "it names no person"),
        ({"comment": "a\x1b[2Jb"}, "a character that cannot be printed"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(log, values, fault):
    with pytest.raises(BadInput) as refused:
        log.append(answer(1, **values))
    assert fault in str(refused.value)
    assert not log.path.exists()


def test_the_last_answer_that_nobody_took_back_counts():
    good, defect = answer(1), answer(2, label="defect")
    back = answer(3, label="withdrawn", withdraws=defect.decision)
    assert latest_labels([good, defect]) == {SHA: defect}
    assert latest_labels([good, defect, back]) == {SHA: good}
    assert valid_rows([good, defect, back]) == [good]
    assert latest_labels([good, back._replace(withdraws=good.decision)]) == {}


def test_who_cannot_tell_has_not_decided():
    assert labeled_contents([answer(1, label="cannot_tell")]) == set()
    assert labeled_contents([answer(1, label="exclude")]) == {SHA}
