"""Locks: one call at a time, also behind a removed file, and nobody waits for the dead."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.settings.errors import BadInput
from tasks.storage import locks
from tasks.storage.locks import exclusive_lock, is_locked, places_lock

ROOT = Path(__file__).parents[2]


def test_calls_that_wait_for_a_removed_file_go_in_one_at_a_time(tmp_path):
    inside, most = threading.Semaphore(1), []

    def enter(_: int) -> None:
        with exclusive_lock(tmp_path / ".lock"):
            most.append(inside.acquire(blocking=False))
            inside.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(40)))
    assert most == [True] * 40
    assert list(tmp_path.iterdir()) == []


def test_a_failure_inside_lets_the_next_call_in(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"), exclusive_lock(tmp_path / ".lock"):
            raise ValueError("inside")


def test_a_killed_process_keeps_nobody_waiting(tmp_path):
    code = "import sys; from pathlib import Path; from tasks.storage.locks import exclusive_lock\n"
    code += "with exclusive_lock(Path(sys.argv[1])): print('on', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / ".lock"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "on\n"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: exclusive_lock(tmp_path / ".lock").__enter__())
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            holder.kill()
            holder.communicate()
            waiting.result(timeout=60)


def test_a_disk_without_locks_is_not_locked_by_a_file_that_outlives_its_process(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OSError, match="not implemented"), exclusive_lock(tmp_path / ".lock"):
        pass


def test_runs_share_the_places_and_a_call_that_deletes_takes_them_alone(places):
    assert not is_locked(places)
    with places_lock(places), places_lock(places):
        assert is_locked(places)
        with pytest.raises(locks.InUse, match="a run is using"), places_lock(places, exclusive=True):
            pass
    with places_lock(places, exclusive=True):
        pass


def test_places_that_cannot_be_used_are_named(places):
    places.data.parent.mkdir(parents=True, exist_ok=True)
    places.data.touch()
    with pytest.raises(BadInput, match=r"--data .* cannot be used: .* is no folder"), places_lock(places):
        pass
