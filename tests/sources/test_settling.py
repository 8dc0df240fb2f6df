"""Settling: two looks decide which files are whole, and no clock does."""

import os
import threading
import time
from pathlib import Path

import pytest

from tasks.sources import settling
from tasks.sources.settling import settled_files
from tasks.storage import digest_cache

NAMES = ["1.jpeg", "2.jpeg", "3.jpeg"]


@pytest.fixture
def paths(tmp_path) -> list[str]:
    for name in NAMES:
        (tmp_path / name).touch()
    return [str(tmp_path / name) for name in NAMES]


@pytest.fixture
def clock(monkeypatch):
    """What was slept, in seconds; `during` is done while it sleeps."""

    class Clock:
        def __init__(self) -> None:
            self.slept: list[float] = []
            self.during = lambda: None

        def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)
            self.during()

    clock = Clock()
    monkeypatch.setattr(settling.time, "sleep", clock.sleep)
    return clock


def set_dates(paths: list[str], days: float) -> None:
    """Set the dates of files so many days ahead of now."""
    for path in paths:
        os.utime(path, (time.time() + days * 86_400,) * 2)


@pytest.mark.parametrize("days", [-400, 0, 0.001, 400])
def test_new_files_are_looked_at_twice_whatever_their_dates(paths, places, clock, days):
    set_dates(paths, days)
    assert settled_files(paths, 2.0, places) == set(paths)
    assert clock.slept == [2.0], "one wait for all of them"
    assert not places.data.exists()


@pytest.mark.parametrize("days", [-400, 0, 0.001, 400])
def test_files_that_an_earlier_look_read_are_not_waited_for(paths, places, clock, monkeypatch, days):
    set_dates(paths, days)
    monkeypatch.setattr(digest_cache, "GRANULARITY", -1)  # else the files had to be 2 s old
    places.data.mkdir(parents=True)
    digest_cache.file_digests(paths[:2], places)
    assert settled_files(paths[:2], 2.0, places) == set(paths[:2])
    assert clock.slept == []
    clock.during = lambda: grow(Path(paths[2]))
    assert settled_files(paths, 2.0, places) == set(paths[:2])
    assert clock.slept == [2.0], "for the new one alone"


@pytest.mark.parametrize("ahead", [-1e6, 1e6], ids=["set back", "set forward"])
def test_a_clock_that_is_wrong_takes_no_half_written_file_and_leaves_no_whole_one(
    paths, places, clock, monkeypatch, ahead
):
    real = time.time
    monkeypatch.setattr(settling.time, "time", lambda: real() + ahead)
    clock.during = lambda: grow(Path(paths[2]))
    assert settled_files(paths, 2.0, places) == set(paths[:2])


def grow(path: Path) -> None:
    path.write_bytes(b"more")


def swap(path: Path) -> None:
    """Equal size, and a copy brought its old time along."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # a tick of the file system's clock takes milliseconds
        path.write_bytes(b"")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, swap, Path.unlink], ids=["grows", "is replaced", "vanishes"])
def test_a_file_that_changes_meanwhile_is_left_for_the_next_look(paths, places, clock, change):
    clock.during = lambda: change(Path(paths[2]))
    assert settled_files(paths, 2.0, places) == set(paths[:2])
    clock.during = lambda: None
    assert (paths[2] in settled_files(paths, 2.0, places)) == (change is not Path.unlink)


def test_a_file_that_is_written_all_the_time_is_left_out(paths, places):
    """A real thread and a real clock."""
    done = threading.Event()

    def write() -> None:
        with open(paths[2], "ab", buffering=0) as opened:
            while not done.wait(0.005):
                opened.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        settled = settled_files(paths, 0.1, places)
    finally:
        done.set()
        writer.join()
    assert settled == set(paths[:2])


def test_with_no_time_to_settle_nothing_is_waited_for_and_all_is_taken(paths, places, clock):
    assert settled_files(paths, 0, places) == set(paths)
    assert clock.slept == []


def test_of_files_that_were_gone_at_once_none_is_settled(paths, places, clock):
    gone = [f"{paths[0]}/below", f"{paths[0]}.gone"]
    assert settled_files([*paths, *gone], 2.0, places) == set(paths)
