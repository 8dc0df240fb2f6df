"""Label log: nobody's answer is lost, doubled or misread, whoever else writes and wherever a process is killed."""

import codecs
import csv
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from labeling.answers import answer

from tasks.labeling.label_log import (
    LabelLog,
    format_line,
    labeled_contents,
    labels_lock,
    latest_labels,
    valid_rows,
)
from tasks.records.rows import LabelRow
from tasks.settings.errors import BadInput

HEADER = ",".join(LabelRow._fields).encode() + b"\n"
ONE, TWO = "a1" * 32, "b2" * 32


def identity(number: int) -> str:
    return f"{number:032x}"


def label_row(number: int = 1, label: str = "good", sha256: str = ONE, **fields) -> LabelRow:
    return answer(number, sha256, label, **fields)


def withdrawal(number: int, withdrawn: int, **fields) -> LabelRow:
    return label_row(number, "withdrawn", withdraws=identity(withdrawn), **fields)


@pytest.fixture
def log(places):
    return LabelLog(places)


def test_before_the_first_answer_there_are_no_rows_and_no_file(log):
    assert log.rows() == []
    assert not log.path.parent.exists()


def test_rows_come_back_as_they_were_given_and_in_order(log, places):
    rows = [label_row(2, "defect", kind="crack"), label_row(1, "cannot_tell"), withdrawal(3, 2)]
    assert [log.append(row) for row in rows] == [True] * 3
    assert log.rows() == LabelLog(places).rows() == rows


def test_an_answer_that_comes_twice_is_stored_once(log, places):
    assert log.append(label_row())
    assert not log.append(label_row(person="Ben"))
    assert not LabelLog(places).append(label_row())
    assert LabelLog(places).rows() == [label_row()]


APPEND = """
import sys
import threading
from pathlib import Path
from tasks.labeling.label_log import LabelLog
from tasks.records.rows import LabelRow
from tasks.settings.settings import Places
log = LabelLog(Places(data=Path(sys.argv[1], "data"), artifacts=Path(sys.argv[1], "artifacts")))
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    decision = f"{int(sys.argv[2]) * 1000 + number:032x}"
    log.append(LabelRow(decision, "a1" * 32, "good", "", sys.argv[2], "2026-12-01T07:00:00+00:00", "review", "", "", 1.0, "", "line-3"))
"""


def test_two_processes_that_write_at_once_lose_no_row(places, tmp_path, process):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, str(tmp_path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for name in ("1", "2")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    rows = LabelLog(places).rows()
    for name in ("1", "2"):
        own = [row.decision for row in rows if row.person == name]
        assert own == [identity(int(name) * 1000 + number) for number in range(200)]
    assert (places.artifacts / "labels.csv").read_bytes().count(b"\n") == 401


@pytest.mark.parametrize(
    "last",
    [label_row(2, "defect", TWO, kind="Riß", comment='Ä "crack", deep'), withdrawal(2, 1)],
    ids=["an answer", "a withdrawal"],
)
def test_wherever_a_writer_is_killed_nothing_whole_is_lost_and_nothing_is_doubled(places, last):
    path = places.artifacts / "labels.csv"
    path.parent.mkdir()
    before = HEADER + format_line(label_row(1))
    line = format_line(last)
    for cut in range(len(line) + 1):
        path.write_bytes(before + line[:cut])
        whole = [label_row(1), last] if cut == len(line) else [label_row(1)]
        assert LabelLog(places).rows() == whole
        assert LabelLog(places).append(label_row(3, sha256=TWO))
        again = LabelLog(places)
        is_there = cut >= len(line) - 1  # the line end alone is missing
        assert again.append(last) != is_there
        assert {row.decision: row for row in again.rows()} == {
            identity(1): label_row(1), identity(2): last, identity(3): label_row(3, sha256=TWO)
        }  # fmt: skip
        assert again.rows() == LabelLog(places).rows()
        assert path.read_bytes().startswith(before + line[:cut]), "what stood there stays"


def test_a_request_that_is_repeated_after_a_kill_takes_the_answer_back(places):
    path = places.artifacts / "labels.csv"
    path.parent.mkdir()
    line = format_line(withdrawal(2, 1))
    for cut in range(len(line)):
        path.write_bytes(HEADER + format_line(label_row(1)) + line[:cut])
        log = LabelLog(places)
        log.append(withdrawal(2, 1))
        assert valid_rows(log.rows()) == []


def test_a_writer_that_is_killed_within_the_header_keeps_nobody_from_writing(places):
    path = places.artifacts / "labels.csv"
    path.parent.mkdir()
    for cut in range(len(HEADER)):
        path.write_bytes(HEADER[:cut])
        log = LabelLog(places)
        assert log.rows() == []
        assert log.append(label_row())
        assert path.read_bytes() == HEADER + format_line(label_row())


def test_another_table_is_refused_and_left_as_it_is(log):
    log.path.parent.mkdir()
    for content in (b"sha256,correction,why\n", HEADER.replace(b",", b";")):
        log.path.write_bytes(content)
        for ask in (log.rows, lambda: log.append(label_row())):
            with pytest.raises(
                BadInput, match=r"labels\.csv is not a table of labels: its header is 'sha256|decision;"
            ):
                ask()
        assert log.path.read_bytes() == content


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["no mark", "Excel's mark"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["few quotes", "all in quotes"])
def test_a_table_that_a_spreadsheet_stored_is_read_and_added_to(places, mark, quoting, capsys):
    rows = [label_row(1, comment="a, b"), label_row(2, "defect", TWO, comment="=1+1"), withdrawal(3, 1)]
    for row in rows:
        LabelLog(places).append(row)
    path = places.artifacts / "labels.csv"
    with open(path, newline="", encoding="utf-8") as opened:
        header, *cells = csv.reader(opened)
    with open(path, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerow(header)
        csv.writer(opened, quoting=quoting).writerows(cells)
    path.write_bytes(mark + path.read_bytes())
    assert LabelLog(places).rows() == rows
    assert LabelLog(places).append(label_row(4))
    assert LabelLog(places).rows() == [*rows, label_row(4)]
    assert capsys.readouterr().out == ""


def test_lines_that_an_editor_damaged_are_counted_and_the_others_stay(places, capsys):
    lines = [format_line(row) for row in (label_row(1), label_row(2, "defect", TWO))]
    bad = [
        b"\xff\xfe\n",
        b"a,b\n",
        b'"never closed\n',
        format_line(label_row(5)).replace(b"2.5", b"2;5"),
        format_line(label_row(6)).replace(b",good,", b",nice,"),
        format_line(label_row(7)).replace(b"2026-12-01T07:00:00+00:00", b"01.12.2026 07:00"),
        format_line(label_row(8)).replace(b"+00:00", b""),
        format_line(label_row(9)).replace(ONE.encode(), b"a1"),
        format_line(label_row(10)).replace(b",Ada,", b",,"),
        format_line(label_row(11)).replace(b"line-3,\n", b"line-3,xyz\n"),
    ]
    path = places.artifacts / "labels.csv"
    path.parent.mkdir()
    path.write_bytes(HEADER + lines[0] + b"".join(bad) + b"\n" + lines[1])
    assert LabelLog(places).rows() == [label_row(1), label_row(2, "defect", TWO)]
    assert capsys.readouterr().out == f"{path}: 10 damaged lines are passed over\n"


def test_a_formula_in_a_comment_or_a_name_is_none_for_a_spreadsheet(log):
    texts = {"comment": '=HYPERLINK("http://x")', "person": "@Ada", "origin": "-line", "kind": "+1"}
    log.append(label_row(1, "defect", **texts))
    assert log.rows() == [label_row(1, "defect", **texts)]
    with open(log.path, newline="", encoding="utf-8") as opened:
        cells = list(csv.reader(opened))[1]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "-", "+"))]


def test_line_breaks_in_what_people_write_become_spaces(log):
    log.append(label_row(person="Ada\nL.", comment="a\r\n\tb\u2028c", origin="line\n3", kind="a\nb"))
    assert log.rows() == [label_row(person="Ada L.", comment="a b c", origin="line 3", kind="a b")]


def test_an_origin_keeps_its_spaces(log):
    log.append(label_row(origin=" line  3 "))
    assert log.rows()[0].origin == " line  3 "


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"decision": "x"}, "its identity is 'x'"),
        ({"sha256": ONE.upper()}, "its photograph is"),
        ({"label": "nice"}, "its label is 'nice', expected one of good, defect"),
        ({"person": " \n"}, "it names no person"),
        ({"time": "yesterday"}, "its time is 'yesterday'"),
        ({"time": "2026-12-01"}, "its time is '2026-12-01'"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "its time is"),
        ({"comment": "\x1b[2J"}, "a character that cannot be printed"),
        ({"comment": "\udcff"}, "a character that cannot be printed"),
        ({"withdraws": identity(9)}, "it takes back"),
        ({"label": "withdrawn"}, "it takes back ''"),
    ],
)
def test_what_is_no_answer_is_refused_and_writes_nothing(log, fields, fault):
    with pytest.raises(BadInput, match="the answer is not stored: ") as told:
        log.append(label_row()._replace(**fields))
    assert fault in str(told.value)
    assert not log.path.exists()


def test_what_another_process_added_is_read_and_a_restored_table_is_read_anew(log, places):
    log.append(label_row(1))
    backup = log.path.read_bytes()
    LabelLog(places).append(label_row(2))
    assert log.rows() == [label_row(1), label_row(2)]
    log.path.write_bytes(backup)
    assert log.rows() == [label_row(1)]
    log.path.unlink()
    assert log.rows() == []
    assert log.append(label_row(3))
    assert LabelLog(places).rows() == [label_row(3)]


def test_a_folder_in_place_of_the_table_is_named(log):
    log.path.mkdir(parents=True)
    with pytest.raises(BadInput, match=r"labels\.csv cannot be read \(Is a directory\)"):
        log.rows()


def test_a_full_disk_is_told_and_the_answer_can_be_sent_again(log, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("tasks.labeling.label_log.os.fsync", fail)
        with pytest.raises(BadInput, match="No space left on device.*the answer is not stored"):
            log.append(label_row())
    log.append(label_row())
    assert log.rows() == [label_row()]


def test_the_last_answer_counts_unless_it_was_taken_back():
    rows = [label_row(1, "good"), label_row(2, "defect"), label_row(3, "exclude", TWO)]
    assert {sha256: row.label for sha256, row in latest_labels(rows).items()} == {ONE: "defect", TWO: "exclude"}
    rows += [withdrawal(4, 2), withdrawal(5, 3, sha256=TWO)]
    assert {sha256: row.label for sha256, row in latest_labels(rows).items()} == {ONE: "good"}
    assert valid_rows(rows) == [rows[0]]


def test_who_cannot_tell_has_not_decided_and_takes_nobodys_answer_away():
    assert labeled_contents([label_row(1, "cannot_tell")]) == set()
    rows = [label_row(1, "defect"), label_row(2, "cannot_tell", person="Ben")]
    assert latest_labels(rows)[ONE].label == "defect"
    assert labeled_contents(rows) == {ONE}
    assert latest_labels([*rows, withdrawal(3, 1)])[ONE].label == "cannot_tell"


def test_a_longer_table_that_takes_its_place_is_read_from_its_beginning(log, places, tmp_path):
    log.append(label_row(1))
    backup = tmp_path / "backup.csv"
    backup.write_bytes(HEADER + format_line(label_row(2)) + format_line(label_row(3)))
    backup.replace(log.path)
    assert log.rows() == [label_row(2), label_row(3)]


def test_one_who_adds_and_one_who_places_never_wait_for_each_other(log, places):
    for number in range(1, 21):
        adding = threading.Thread(target=log.append, args=[label_row(number)], daemon=True)
        with labels_lock(places):  # as the placement has it while it reads rows
            adding.start()
            adding.join(0.02)  # so that it stands before the lock
            placing = threading.Thread(target=log.rows, daemon=True)
            placing.start()
            placing.join(60)
            assert not placing.is_alive(), "both wait for each other"
        adding.join(60)
    assert len(log.rows()) == 20
