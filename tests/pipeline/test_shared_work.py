"""Shared work: workers take pieces where they are online, the process that asks does all others, and no piece is lost."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import wait_until
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed, Pending, Running

from tasks.pipeline import shared_work
from tasks.pipeline.shared_work import share, take_back

SCRIPT = """
from pathlib import Path
from prefect import flow

@flow
def touch(path: str):
    Path(path).write_text("by a worker")
"""
DEPLOYMENT = "touch/shared"


@pytest.fixture
def deployed(prefect_server, tmp_path, monkeypatch) -> Path:
    """The folder of a flow that writes a file, deployed to a pool that has no worker yet."""
    (tmp_path / "touch.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    with get_client(sync_client=True) as client:
        if not client.read_work_pools() or "shared" not in {pool.name for pool in client.read_work_pools()}:
            client.create_work_pool(WorkPoolCreate(name="shared", type="process"))
    made = flow.from_source(source=str(tmp_path), entrypoint="touch.py:touch")
    made.deploy(name="shared", work_pool_name="shared", print_next_steps=False)
    return tmp_path


@contextmanager
def worker():
    """A worker of the pool, until the block ends."""
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value()}
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "shared", "--limit", "1"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with get_client(sync_client=True) as client:
                wait_until(lambda: shared_work.has_workers(client, DEPLOYMENT), 120, "the worker's start")
            yield
        finally:
            process.kill()  # it has no run left, and where SIGINT is ignored, as in the background, it would never stop


def share_files(paths: list[Path], do_here) -> None:
    """Make the files, some by workers and some here, inside a flow run."""

    @task
    def make():
        share(paths, do_here, Path.exists, DEPLOYMENT, lambda path: {"path": str(path)})

    @flow
    def ask():
        make()

    ask()


def open_runs() -> list:
    with get_client(sync_client=True) as client:
        return [run for run in client.read_flow_runs() if run.deployment_id and not run.state.is_final()]


def test_a_worker_and_the_asking_process_share_the_pieces(deployed, monkeypatch):
    monkeypatch.setattr(shared_work, "POLL", 0.2)
    paths = [deployed / f"{number}.txt" for number in range(4)]
    here = []

    def do_here(path: Path) -> None:
        here.append(path)
        if path == paths[-1]:  # long enough for the worker to take the first one
            wait_until(paths[0].exists, 120, "the worker's piece")
        path.write_text("here")

    with worker():
        share_files(paths, do_here)
    assert paths[0].read_text() == "by a worker"
    assert here[0] == paths[-1], "the process that asks begins at the other end"
    assert all(path.exists() for path in paths)
    assert paths[0] not in here
    assert not open_runs()


def test_without_a_worker_all_is_done_here_and_no_run_waits(deployed):
    paths = [deployed / f"{number}.txt" for number in range(3)]
    share_files(paths, lambda path: path.write_text("here"))
    assert [path.read_text() for path in paths] == ["here"] * 3
    assert not open_runs()


def test_runs_that_nobody_began_are_taken_back_when_the_work_fails_here(deployed, monkeypatch):
    monkeypatch.setattr(shared_work, "has_workers", lambda *_: True)  # they look online, and take nothing

    def fail(path: Path) -> None:
        raise RuntimeError("no space left")

    with pytest.raises(RuntimeError, match="no space left"):
        share_files([deployed / "1", deployed / "2"], fail)
    assert not open_runs()


def test_a_run_that_failed_or_was_never_started_is_done_here(deployed, monkeypatch):
    monkeypatch.setattr(shared_work, "has_workers", lambda *_: True)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT).id
        scheduled, pending, running, failed = (
            client.create_flow_run_from_deployment(deployment, parameters={"path": "x"}).id for _ in range(4)
        )
        for run, state in ((pending, Pending()), (running, Running()), (failed, Failed())):
            client.set_flow_run_state(run, state, force=True)
        assert [take_back(run) for run in (scheduled, pending, running, failed)] == [True, False, False, True]
        assert client.read_flow_run(scheduled).state.is_cancelled()
        monkeypatch.setattr(shared_work, "LONGEST_START", -1.0)
        assert take_back(pending), "a worker that fell silent while it started the run does not hold it for ever"
        client.set_flow_run_state(running, Failed(), force=True)


def test_outside_a_flow_nobody_is_asked(tmp_path):
    paths = [tmp_path / "1", tmp_path / "2"]
    share(paths, lambda path: path.write_text("here"), Path.exists, DEPLOYMENT, lambda path: {"path": str(path)})
    assert all(path.exists() for path in paths)
