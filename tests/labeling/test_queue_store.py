"""Queue store: what a person should see stays, though the station empties its folder."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from labeling.test_label_log import answer

from tasks.labeling.label_log import LabelLog
from tasks.labeling.queue_garbage import answered_photographs
from tasks.labeling.queue_store import MEGABYTE, enqueue, queue_folder, read_queue
from tasks.storage.files import sha256_of


@pytest.fixture
def station(tmp_path):
    folder = tmp_path / "station-3"
    folder.mkdir()
    return folder


def judged(station, name: str, content: bytes, **values: object) -> dict[str, object]:
    (station / name).write_bytes(content)
    row = {
        "path": name, "sha256": sha256_of(station / name), "decision": "review", "defect_probability": 0.5, "reason": "not sure",
        "cause": "between_limits", "model_version": 1, "judged": "2026-12-01T06:00:00+00:00",
    }  # fmt: skip
    return row | values


def test_a_copy_stays_when_the_station_is_emptied(station, places):
    row = judged(station, "a.PNG", b"a", part="p7")
    assert enqueue([row], "review", station, "station-3", 10, places) == 0
    (station / "a.PNG").unlink()
    (photograph,) = read_queue(places)
    assert (queue_folder(places) / photograph.name).read_bytes() == b"a"
    assert photograph.name == f"{row['sha256']}.png"
    assert (photograph.origin, photograph.part, photograph.defect_probability) == ("station-3", "p7", "0.5")


def test_a_content_is_copied_once_and_the_first_queue_has_it(station, places):
    rows = [judged(station, "a.png", b"a"), judged(station, "twin.png", b"a")]
    enqueue(rows, "review", station, "s", 10, places)
    enqueue(rows[:1], "spot_check", station, "s", 10, places)
    assert [(photograph.path, photograph.queue) for photograph in read_queue(places)] == [("a.png", "review")]


def test_a_full_queue_takes_no_more_and_says_how_many(station, places):
    rows = [judged(station, f"{number}.png", bytes([number]) * (MEGABYTE // 2)) for number in range(3)]
    assert enqueue(rows, "review", station, "s", 1, places) == 1
    assert len(read_queue(places)) == 2
    assert enqueue(rows, "review", station, "s", 1, places) == 1


def test_a_photograph_that_changed_or_went_is_said_and_stops_no_other(station, places, capsys):
    rows = [judged(station, f"{name}.png", name.encode()) for name in "abc"]
    (station / "a.png").write_bytes(b"another")
    (station / "b.png").unlink()
    assert enqueue(rows, "review", station, "s", 10, places) == 0
    assert [photograph.path for photograph in read_queue(places)] == ["c.png"]
    assert capsys.readouterr().out.count("was changed or taken away") == 2
    assert sorted(os.listdir(queue_folder(places))) == sorted([f"{rows[2]['sha256']}.png", "queue.csv"])


def test_a_photograph_that_was_too_large_to_be_read_has_no_copy(station, places):
    assert enqueue([judged(station, "a.png", b"a", sha256="")], "review", station, "s", 10, places) == 0
    assert read_queue(places) == []


def test_answered_copies_go_after_a_week(station, places):
    rows = [judged(station, f"{name}.png", name.encode()) for name in "abcd"]
    enqueue(rows, "review", station, "s", 10, places)
    log = LabelLog(places)
    old = (datetime.now(UTC) - timedelta(days=8)).isoformat(timespec="seconds")
    new = datetime.now(UTC).isoformat(timespec="seconds")
    log.append(answer(1, rows[0]["sha256"], time=old))
    log.append(answer(2, rows[1]["sha256"], time=new))
    log.append(answer(3, rows[2]["sha256"], "cannot_tell", time=old))
    (garbage,) = answered_photographs(places)
    garbage.remove()
    assert [photograph.path for photograph in read_queue(places)] == ["b.png", "c.png", "d.png"]
