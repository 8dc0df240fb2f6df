"""Queue store: a copy stays when the station empties its folder, and a killed process leaves nothing half or doubled."""

import hashlib
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from labeling.answers import answer

from tasks.labeling import queue_store
from tasks.labeling.label_log import LabelLog
from tasks.labeling.queue_garbage import answered_photographs
from tasks.labeling.queue_store import QueuedPhotograph, enqueue, queue_folder, read_queue
from tasks.settings.errors import BadInput


@pytest.fixture
def station(tmp_path):
    folder = tmp_path / "station"
    folder.mkdir()
    return folder


@pytest.fixture
def judge(station):
    """The row of a judged photograph, which it writes into the station's folder."""

    def make(name: str, content: bytes, **fields) -> dict:
        path = station / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        row = {
            "path": name, "sha256": hashlib.sha256(content).hexdigest(), "model_version": 3, "decision": "review",
            "defect_probability": 0.5, "cause": "between_limits", "reason": "the network is not sure",
            "judged": "2026-12-01T07:00:00+00:00",
        }  # fmt: skip
        return row | fields

    return make


def test_before_the_first_photograph_the_queue_is_empty_and_no_folder_is_made(places, station):
    assert read_queue(places) == []
    assert enqueue([], "review", station, "line-3", 100, places) == 0
    assert not places.artifacts.exists()


def test_a_copy_stays_when_the_station_empties_its_folder(places, station, judge):
    judged = [judge("monday/1.JPEG", b"one"), judge("2.png", b"two", defect_probability=None, model_version=None)]
    assert enqueue(judged, "review", station, "line-3", 100, places) == 0
    shutil.rmtree(station)
    first, second = read_queue(places)
    assert first == QueuedPhotograph(
        judged[0]["sha256"], "review", "monday/1.JPEG", "line-3", "3", "review", "0.5", "between_limits",
        "the network is not sure", "2026-12-01T07:00:00+00:00",
    )  # fmt: skip
    assert first.name == f"{first.sha256}.jpeg"
    assert (queue_folder(places) / first.name).read_bytes() == b"one"
    assert (second.defect_probability, second.model_version) == ("", "")


def test_station_and_part_are_those_of_the_row_where_it_has_them(places, station, judge):
    enqueue([judge("1.png", b"one", station="press 7", part="A12")], "review", station, "line-3", 100, places)
    (photograph,) = read_queue(places)
    assert (photograph.origin, photograph.part) == ("press 7", "A12")


def test_one_content_is_queued_once_in_a_queue_under_any_name_and_has_one_copy(places, station, judge):
    same = [judge("1.png", b"one"), judge("again.png", b"one")]
    enqueue(same, "review", station, "line-3", 100, places)
    enqueue(same, "spot_check", station, "line-3", 100, places)
    assert [(photograph.queue, photograph.path) for photograph in read_queue(places)] == [
        ("review", "1.png"),
        ("spot_check", "1.png"),
    ]
    assert len(list(queue_folder(places).glob("*.png"))) == 1


def test_what_has_no_digest_or_is_gone_or_changed_is_left_out(places, station, judge, capsys):
    gone, changed, there = judge("gone.png", b"one"), judge("changed.png", b"two"), judge("there.png", b"three")
    unread = judge("unread.png", b"four", sha256=None)
    (station / "gone.png").unlink()
    (station / "changed.png").write_bytes(b"other")
    assert enqueue([unread, gone, changed, there], "review", station, "line-3", 100, places) == 0
    assert [photograph.path for photograph in read_queue(places)] == ["there.png"]
    assert sorted(path.name for path in queue_folder(places).iterdir()) == [f"{there['sha256']}.png", "queue.csv"]
    said = capsys.readouterr().out
    assert "changed.png is left out, and nobody can look at it: it was changed after it was judged" in said
    assert "gone.png is left out, and nobody can look at it: No such file" in said


def test_a_full_queue_takes_what_still_fits_and_counts_the_others(places, station, judge):
    large = b"x" * 600_000
    judged = [judge("1.png", large), judge("2.png", large + b"y"), judge("3.png", b"small")]
    assert enqueue(judged, "review", station, "line-3", 1, places) == 1
    assert [photograph.path for photograph in read_queue(places)] == ["1.png", "3.png"]
    assert enqueue(judged, "review", station, "line-3", 1, places) == 1, "what is there already needs no room"
    (queue_folder(places) / f"{judged[0]['sha256']}.png").unlink()
    assert enqueue(judged[1:], "review", station, "line-3", 1, places) == 0
    assert [photograph.path for photograph in read_queue(places)] == ["3.png", "2.png"]


def test_killed_between_the_copy_and_the_table_the_next_call_adds_it_once(places, station, judge, monkeypatch):
    judged = [judge("1.png", b"one")]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(queue_store, "write_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            enqueue(judged, "review", station, "line-3", 100, places)
    assert read_queue(places) == []
    enqueue(judged, "review", station, "line-3", 100, places)
    assert len(read_queue(places)) == 1
    assert len(list(queue_folder(places).glob("*.png"))) == 1


def test_a_copy_that_somebody_removed_no_longer_waits_and_can_be_queued_again(places, station, judge):
    judged = [judge("1.png", b"one"), judge("2.png", b"two")]
    enqueue(judged, "review", station, "line-3", 100, places)
    (queue_folder(places) / f"{judged[0]['sha256']}.png").unlink()
    assert [photograph.path for photograph in read_queue(places)] == ["2.png"]
    enqueue(judged, "review", station, "line-3", 100, places)
    assert [photograph.path for photograph in read_queue(places)] == ["2.png", "1.png"]


def test_odd_names_and_formulas_come_back_as_they_were(places, station, judge):
    judged = judge('=1+1, "x"\n.png', b"one", reason="-a\nb")
    enqueue([judged], "review", station, "@line", 100, places)
    (photograph,) = read_queue(places)
    assert (photograph.path, photograph.reason, photograph.origin) == (judged["path"], "-a\nb", "@line")


def test_a_table_that_cannot_be_read_is_told(places):
    (queue_folder(places) / "queue.csv").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"queue\.csv cannot be read"):
        read_queue(places)


def test_answered_copies_go_after_a_week(station, judge, places):
    rows = [judge(f"{name}.png", name.encode()) for name in "abcd"]
    enqueue(rows, "review", station, "s", 10, places)
    log, now = LabelLog(places), datetime.now(UTC)
    old = (now - timedelta(days=8)).isoformat(timespec="seconds")
    log.append(answer(1, rows[0]["sha256"], time=old))
    log.append(answer(2, rows[1]["sha256"], time=now.isoformat(timespec="seconds")))
    log.append(answer(3, rows[2]["sha256"], "cannot_tell", time=old))
    (garbage,) = answered_photographs(places)
    garbage.remove()
    assert [photograph.path for photograph in read_queue(places)] == ["b.png", "c.png", "d.png"]


def test_a_copy_stays_while_another_queue_waits_for_it(station, judge, places):
    rows = [judge("a.png", b"a")]
    for queue in ("review", "spot_check"):
        enqueue(rows, queue, station, "s", 10, places)
    log, old = LabelLog(places), (datetime.now(UTC) - timedelta(days=8)).isoformat(timespec="seconds")
    log.append(answer(1, rows[0]["sha256"], time=old, queue="review"))
    assert list(answered_photographs(places)) == []
    log.append(answer(2, rows[0]["sha256"], time=old, queue="spot_check"))
    (garbage,) = answered_photographs(places)
    garbage.remove()
    assert read_queue(places) == []


def test_a_copy_that_cannot_be_made_stops_no_other(places, station, judge, capsys):
    folder, there = judge("folder.png", b"one"), judge("there.png", b"two")
    (station / "folder.png").unlink()
    (station / "folder.png").mkdir()
    assert enqueue([folder, there], "review", station, "line-3", 100, places) == 0
    assert [photograph.path for photograph in read_queue(places)] == ["there.png"]
    assert "folder.png is left out, and nobody can look at it: Is a directory" in capsys.readouterr().out
