"""Deployments: each names an existing flow and parameters that it takes, and what a person switched on the server stays so."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import aiosqlite
import pytest
import yaml
from conftest import free_port, wait_until
from prefect.client.orchestration import get_client
from prefect.flows import load_flow_from_entrypoint
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import RelatedResource, Resource
from prefect.settings import PREFECT_API_URL, Settings

from deployments import up
from deployments.automations import ALERTS, BEAT, FLOWS, apply_automations, failure_alert, silent_run_automation
from deployments.deploy import POOLS, deploy_flows, ensure_pool
from deployments.server import close_failed_cursors

ROOT = Path(__file__).parents[1]
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def test_each_has_a_name_of_its_own():
    names = [one["name"] for one in DEPLOYMENTS]
    assert sorted(names) == sorted({"retrain", "watch", "approve", "promote", "predict-batch", "prune", "train-fold"})


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_its_flow_takes_its_parameters(deployment):
    flow = load_flow_from_entrypoint(f"{ROOT}/{deployment['entrypoint']}")
    assert flow.name == deployment["entrypoint"].rpartition(":")[2], "deploy.py finds it by this name"
    told = dict(deployment.get("parameters", {}))
    for trigger in deployment.get("triggers", ()):
        told |= trigger["parameters"]
    taken = flow.parameters.properties
    assert set(told) <= set(taken)
    if deployment["name"] != "train-fold":  # only a run of `retrain` starts it, and gives the plan
        assert set(flow.parameters.required) <= set(told)


def test_no_arrival_is_swallowed_by_the_window_of_another():
    (trigger,) = next(one for one in DEPLOYMENTS if one["name"] == "retrain")["triggers"]
    assert trigger["within"] <= trigger["schedule_after"], "what is told in the window lies there when the run begins"


def test_no_look_cancels_another():
    """The five-minutely one would cancel the weekly one, which asks for less."""
    watch = next(one for one in DEPLOYMENTS if one["name"] == "watch")
    assert len(watch["schedules"]) > 1 and watch["concurrency_limit"]["collision_strategy"] == "ENQUEUE"


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_runs_give_the_signs_of_life_that_the_automation_waits_for(deployment):
    told = deployment["work_pool"]["job_variables"]["env"]
    assert told["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(BEAT)
    assert silent_run_automation().trigger.within.total_seconds() == 3 * BEAT


def test_runs_by_hand_give_them_too():
    assert Settings().flows.heartbeat_frequency == BEAT


@pytest.mark.parametrize("automation", [silent_run_automation(), failure_alert(UUID(int=0))], ids=lambda one: one.name)
def test_automations_leave_the_runs_of_others_alone(automation):
    """As the server matches a run by hand, which has a flow and no deployment."""
    trigger = EventTrigger.model_validate(automation.trigger.model_dump())
    run = Resource({"prefect.resource.id": f"prefect.flow-run.{UUID(int=1)}"})

    def looks_at(flow: str) -> bool:
        told = {"prefect.resource.id": f"prefect.flow.{UUID(int=2)}", "prefect.resource.role": "flow"}
        return trigger.covers_resources(run, [RelatedResource(told | {"prefect.resource.name": flow})])

    assert not looks_at("somebody-else-s")
    assert all(looks_at(one["entrypoint"].rpartition(":")[2]) for one in DEPLOYMENTS)
    assert len(FLOWS) == len(DEPLOYMENTS)


@pytest.fixture
def client(prefect_server, monkeypatch):
    """A client of a server that has the pools."""
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())  # for processes
    with get_client(sync_client=True) as found:
        for pool in POOLS:
            ensure_pool(found, pool, "process", "no image")
        yield found


def test_deploying_again_leaves_what_a_person_switched(client, monkeypatch):
    def active() -> dict[str, bool]:
        names = "prune/prune", "watch/watch"
        return {one.slug: one.active for name in names for one in client.read_deployment_by_name(name).schedules}

    def automations() -> dict[str, bool]:
        found = [one for one in client.read_automations() if one.name.startswith("recast-")]
        assert Counter(one.name for one in found).most_common(1)[0][1] == 1, "none is there twice"
        return {one.name: one.enabled for one in found}

    def form() -> dict:
        return client.read_deployment_by_name("retrain/retrain").parameters

    last = {"config": {"fetch": {"source": "{{ castings }}.zip"}}}
    monkeypatch.setenv("RECAST_ALERTS", "http://127.0.0.1:1/")
    monkeypatch.setattr("deployments.deploy.form_settings", lambda _: last)
    deploy_flows(client, ROOT)
    assert form() == last, "the form of `retrain` begins as the last run"
    monkeypatch.setattr("deployments.deploy.form_settings", lambda _: None)
    apply_automations(client)
    assert active() == {"monthly": False, "five-minutely": True, "weekly": True}
    first = automations()
    assert set(ALERTS) < set(first)
    assert [name for name, enabled in first.items() if not enabled] == ["recast-suspect-is-taken-back"], (
        "a person switches it on"
    )

    for name, slug in (("prune/prune", "monthly"), ("watch/watch", "five-minutely")):
        there = client.read_deployment_by_name(name)
        (schedule,) = [one for one in there.schedules if one.slug == slug]
        client.update_deployment_schedule(there.id, schedule.id, active=not schedule.active)
    batch = client.read_deployment_by_name("judge/predict-batch")
    client.pause_deployment(batch.id)
    disabled = "recast-images-arrived", "recast-silent-runs-crash"
    for name in disabled:
        client.pause_automation(client.read_automations_by_name(name)[0].id)

    deploy_flows(client, ROOT)
    apply_automations(client)
    assert active() == {"monthly": True, "five-minutely": False, "weekly": True}
    assert form() == last, "where no run is known here"
    assert client.read_deployment(batch.id).paused
    assert automations() == first | dict.fromkeys(disabled, False)

    monkeypatch.delenv("RECAST_ALERTS")
    apply_automations(client)
    assert automations().keys() == first.keys() - set(ALERTS), "nobody is told any more"


BUSY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(run.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_that_does_not_stop_is_killed_with_its_run(monkeypatch):
    monkeypatch.setattr(up, "STOPPED", 0.2)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as worker:
        run = int(worker.stdout.readline())
        up.stop_processes({"recast-gpu": worker})
        assert worker.returncode == -signal.SIGKILL
        wait_until(lambda: is_gone(run), 10, "the end of its run, which has a session of its own")


def is_gone(number: int) -> bool:
    """Whether no process has this number; or one that nobody has asked how it ended, where there is no init to do so."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False).stdout
    return said.strip()[:1] in ("", "Z")


def test_a_statement_that_fails_leaves_no_cursor_open(monkeypatch, tmp_path):
    """Python 3.11 would reset an open one later, in whatever thread, and wait there for its connection."""

    async def fail() -> aiosqlite.Cursor:
        async with aiosqlite.connect(tmp_path / "a.db") as connection:
            cursor = await connection.cursor()
            assert await (await cursor.execute("SELECT 1")).fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await cursor.execute("SELECT * FROM missing")
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                await cursor.fetchone()

    monkeypatch.setattr(aiosqlite.Cursor, "_execute", aiosqlite.Cursor._execute)  # set back at the end
    close_failed_cursors()
    asyncio.run(fail())


def test_a_worker_that_dies_at_once_is_started_less_and_less_often():
    again = up.Backoff()
    starts = [second for second in range(300) if again.due(float(second))]
    assert starts == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert again.due(600.0) and again.due(601.0), "after it has lived, at once"


UP = """
import sys
from pathlib import Path
from deployments import up
up.LOGS = Path(sys.argv.pop())
up.SERVER = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
up.main()
"""


@contextmanager
def run_up(folder: Path, *by: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """`make up`, which waits for a server that never answers; and the number of that server's process."""
    words = [*by, sys.executable, "-c", UP, "--port", str(free_port()), str(folder)]
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run below nohup
    try:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        log = folder / "server.log"
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"), 30, "the server")
        try:
            yield process, int(log.read_text())
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_up_goes_down(tmp_path, number):
    """By Ctrl-C, by systemd, with the terminal; also where a script in the background made it ignore Ctrl-C."""
    with run_up(tmp_path, "sh", "-c", 'trap "" INT; exec "$@"', "sh") as (process, server):
        process.send_signal(number)
        assert process.wait(30) == 0
        assert is_gone(server)


def test_what_is_up_stays_when_its_terminal_goes_and_nohup_was_said(tmp_path):
    with run_up(tmp_path, "nohup") as (process, server):
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert not is_gone(server)
    assert process.returncode == 0 and is_gone(server)
