"""Approve: a waiting challenger starts a suspended run that holds no worker, and the run does what a person answers. All of it real."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import free_port, put_into_use, wait_until, write_model_folder

from deployments import up
from tasks.settings.settings import Places
from tasks.tracking import registry, runs

ROOT = Path(__file__).parents[1]
PREFECT = [sys.executable, "-m", "prefect"]
ANNOUNCE = """
import sys
from pathlib import Path
from flows.events import announce
from tasks.settings.settings import Places
from tasks.records.results import Release
waiting = Release(verdict="waiting", reason="better", version=2, champion_before=1, decided_in="run", tracked="77")
announce(waiting, Places(data=Path(sys.argv[1]), artifacts=Path(sys.argv[2])))
"""


@pytest.fixture
def home(prefect_home, tmp_path):
    """The environment of a server of its own, with the deployment `approve` and a worker."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_API_URL": address,
        "TMPDIR": str(tmp_path),
    }
    log = open(tmp_path / "log", "wb")  # noqa: SIM115  its processes write it until they end

    def start(*words: str) -> subprocess.Popen:
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a worker that was told to ignore it never stops
        try:
            return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)
        finally:
            signal.signal(signal.SIGINT, before)

    started = {"server": start(*up.SERVER, "--port", str(port))}
    try:
        wait_until(lambda: answers(f"{address}/health"), 300, "the server")
        for words in (
            ("work-pool", "create", "recast-cpu", "--type", "process"),
            ("--no-prompt", "deploy", "--name", "approve", "--prefect-file", "deployments/prefect.yaml"),
        ):
            subprocess.run([*PREFECT, *words], cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)
        started["worker"] = start(*PREFECT, "worker", "start", "--pool", "recast-cpu")
        yield environment
    finally:
        up.stop_processes(started)
        log.close()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True


def resume_run(environment: dict[str, str], answer: dict) -> bool:
    """Whether a suspended run was there and took the answer."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def say() -> bool:
        async with get_client() as client:
            paused = [run for run in await client.read_flow_runs() if run.state and run.state.is_paused()]
            for run in paused:
                await client.resume_flow_run(run.id, run_input=answer)
        return bool(paused)

    with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        return asyncio.run(say())


def test_a_challenger_comes_into_use_when_a_person_says_so(home, registered):
    put_into_use(write_model_folder("one", registered), registered)
    mlflow_run_id = runs.begin("is it better", "run 2", registered)
    folder = write_model_folder("two", registered)
    made = registry.register(folder, "compact", mlflow_run_id, "run 2", "it is better", 1, registered)
    registry.challenge(made.number, registered)

    words = [sys.executable, "-c", ANNOUNCE, str(registered.data), str(registered.artifacts)]
    subprocess.run(words, cwd=ROOT, env=home, check=True)
    wait_until(lambda: resume_run(home, {"promote": True, "reason": "looks right"}), 300, "the question")
    # The champion comes first, and the other aliases follow it: the worker may be seen between the two.
    settled = {"champion": 2, "previous": 1}
    wait_until(lambda: aliases(registered) == settled, 300, f"the promotion, with the aliases {settled}")


def aliases(places: Places) -> dict[str, int]:
    return {alias: one.number for one in registry.versions(places) for alias in one.aliases}
