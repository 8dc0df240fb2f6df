"""The loop that runs by itself, all of it real: a server, its workers, the deployments and the automations, as `make up` starts them.

In a copy of the project, so that its own `data` and `artifacts` are those of the copy.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
import yaml
from composed import running_services
from conftest import free_port, wait_until

from deployments.up import find_descendants
from tasks.pipeline.local_auth import local_auth
from tasks.sources.synthetic.plan import TruthRow
from tasks.sources.synthetic.sample import CASTINGS, take_part

ROOT = Path(__file__).parents[1]
WATCHED = {
    "config": {
        "fetch": {"sample": {"parts": 60, "train_images": 300, "test_images": 120}, "settle_seconds": 1},
        "training": {"start_from": "champion", "epochs": 8},
        "acceptance": {"max_review_rate": 1.0},
    }
}
KILLED = {
    "fetch": {"sample": {"parts": 30, "train_images": 150, "test_images": 50}},
    "training": {"epochs": 12},
    "acceptance": {
        **dict.fromkeys(("max_escape_rate", "max_false_reject_rate", "max_review_rate"), 1.0),
        "beyond_baselines": False,
    },
}
NOTHING = "watch: new images: 0, waiting for 20\n"
EVERY, TOGETHER = 30, 5  # seconds between two looks, and in which arrivals ask for one run


class Loop(NamedTuple):
    """A copy of the project in which the loop runs."""

    project: Path
    environment: dict[str, str]
    alerts: list[str]
    """What somebody was told by webhook."""

    def ask(self, path: str, **words: object) -> list[dict]:
        return self.post(path, words).json()

    def post(self, path: str, content: object) -> httpx.Response:
        user, _, password = self.environment["PREFECT_API_AUTH_STRING"].partition(":")
        # SQLite may be locked for a minute
        with httpx.Client(base_url=self.environment["PREFECT_API_URL"], auth=(user, password), timeout=120) as asking:
            token = asking.get("csrf-token", params={"client": "test"}).raise_for_status().json()["token"]
            headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
            return asking.post(path, json=content, headers=headers).raise_for_status()

    def trainings(self) -> list[dict]:
        """The runs of `retrain` that were asked for, the newest last; those of its schedule lie days ahead."""
        found = self.ask("flow_runs/filter", sort="START_TIME_ASC", flows={"name": {"any_": ["retrain"]}})
        return [run for run in found if not run["auto_scheduled"]]

    def states(self) -> list[str]:
        """Of those, by name."""
        return [run["state_name"] for run in self.trainings()]

    def scheduled(self, flow: str) -> list[datetime]:
        """When the runs of its schedules are due."""
        wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        found = self.ask("flow_runs/filter", flows={"name": {"any_": [flow]}}, flow_runs=wanted)
        return [datetime.fromisoformat(run["expected_start_time"]) for run in found if run["auto_scheduled"]]

    def artifacts(self, run: dict) -> dict[str, str]:
        """What the Prefect UI shows of a run, by key."""
        found = self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
        return {one["key"]: one["data"] for one in found}

    def events(self) -> list[dict]:
        wanted = {"event": {"name": ["recast.images.arrived"]}, "order": "ASC"}
        return self.ask("events/filter", filter=wanted)["events"]

    def python(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def runs(self) -> list[dict]:
        """What each run that ended wrote, in their order."""
        written = sorted((self.project / "artifacts/runs").glob("2*/run.json"))
        return [json.loads(file.read_text()) for file in written]


@pytest.fixture
def alerts() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and what it was told."""
    told = list[str]()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", told
        server.shutdown()


@pytest.fixture
def is_watched() -> bool:
    return True


@pytest.fixture
def loop(
    request: pytest.FixtureRequest, prefect_home: Path, tmp_path: Path, alerts: tuple[str, list[str]], is_watched: bool
) -> Iterator[Loop]:
    """The loop, on a small sample that it looks at every few seconds, or not at all unless it is watched. Nothing is left of it."""
    project = tmp_path / "recast"
    for name in ("flows", "tasks", "deployments"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    quicken(project / "deployments/prefect.yaml", is_watched)
    begun = {"make up": by_up, "compose.yaml": by_compose}[getattr(request, "param", "make up")]
    with begun(project, tmp_path, alerts[0]) as environment:
        yield Loop(project, {**os.environ, "PYTHONPATH": str(project), **environment}, alerts[1])
    wait_until(lambda: not processes_in(project), 10, f"the end of all of {processes_in(project)}")


def processes_in(project: Path) -> dict[int, str]:
    """The command lines of the processes that are in this folder, by number."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ends, or it is another user's
            if (process / "cwd").readlink() == project:
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
    return found


@contextmanager
def by_up(project: Path, scratch: Path, webhook: str) -> Iterator[dict[str, str]]:
    """As `make up` starts it: on SQLite and MLflow's files. What a command needs to join in."""
    port = free_port()
    environment = {"PREFECT_HOME": str(scratch / "prefect"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    with open(scratch / "up.log", "wb") as log:
        up = subprocess.Popen(
            [sys.executable, "deployments/up.py", "--port", str(port), "--review-port", str(free_port())],
            cwd=project, env={**os.environ, **environment, "PYTHONPATH": str(project), "RECAST_ALERTS": webhook},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: b"Ctrl-C" in (scratch / "up.log").read_bytes() or up.poll() is not None, 480, "make up")
        assert up.poll() is None, (scratch / "up.log").read_text()
        yield environment | {"PREFECT_API_AUTH_STRING": local_auth()}  # as `make up` says, for Prefect's own commands
    finally:
        up.send_signal(signal.SIGINT)
        try:
            assert up.wait(120) == 0
        finally:
            if up.poll() is None:
                os.killpg(up.pid, signal.SIGKILL)


@contextmanager
def by_compose(project: Path, scratch: Path, webhook: str) -> Iterator[dict[str, str]]:
    """As deployments/compose.yaml starts it: on PostgreSQL, with a server of MLflow's, behind a password."""
    services = "server", "mlflow", "deploy", "worker-cpu", "worker-without-gpu"
    passwords = {"POSTGRES_PASSWORD": "one", "RECAST_AUTH": "recast:another", "MLFLOW_PASSWORD": "a third one, longer"}
    with running_services(project, scratch, *services, **passwords, RECAST_ALERTS=webhook) as found:
        worker = found.environment("worker-cpu")
        asked = httpx.get(f"{worker['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/search")
        assert asked.status_code == 401, "MLflow answers those who know its password"
        yield {
            name: word
            for name, word in worker.items()
            if name == "HOME" or re.match("PREFECT_API_|MLFLOW_TRACKING_", name)
        }


def quicken(file: Path, is_watched: bool) -> None:
    """As a user sets it up: another source, other times."""
    told = yaml.safe_load(file.read_text())
    by_name = {one["name"]: one for one in told["deployments"]}
    by_name["watch"]["schedules"][0] = {"interval": EVERY, "slug": "often"}
    for schedule in by_name["watch"]["schedules"]:
        schedule["active"] = is_watched
    by_name["watch"]["parameters"] = WATCHED
    by_name["retrain"]["triggers"][0] |= {"within": TOGETHER, "schedule_after": TOGETHER}
    file.write_text(yaml.safe_dump(told))


def photographs(first: int, castings: int, each: int) -> dict[str, bytes]:
    """`CLASS/NAME.jpeg` of drawn castings, every second one defective, from a camera set-up that the sample lacks."""
    found = {}
    for part in range(first, first + castings):
        label = "def_front" if part % 2 else "ok_front"
        defect = ("blow_hole", "easy") if part % 2 else ("", "")
        rows = [
            TruthRow(f"{label}/part_{part}_{shot}.jpeg", part, label, *defect, "new_camera") for shot in range(each)
        ]
        found |= {name: file.content for name, file in take_part(rows, 77, CASTINGS).items()}
    return found


def deliver(files: dict[str, bytes], folder: Path) -> None:
    """At once, as a copy that has ended."""
    scratch = folder.with_name(f".{folder.name}")
    for name, content in files.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(content)
    scratch.rename(folder)


def has_completed(loop: Loop, count: int) -> bool:
    assert not {"Failed", "Crashed"} & set(loop.states())
    return loop.states().count("Completed") >= count


def count_right_decisions(loop: Loop, folder: Path) -> int:
    """Of photographs that nobody trained on, those that are passed or rejected as they should be."""
    said = json.loads(loop.python("flows/predict.py", str(folder), "--json"))
    should = {"def_front": "reject", "ok_front": "pass"}
    return sum(one["decision"] == should[Path(one["path"]).parent.name] for one in said)


@pytest.mark.long
def test_arrivals_that_come_together_ask_for_one_run(loop):
    wait_until(lambda: has_completed(loop, 1), 600, "the first training")
    for number in range(5):
        deliver(photographs(100 + 10 * number, 10, 2), loop.project / f"data/inbox/line-3-{number}")
        time.sleep(1)
    wait_until(lambda: len(loop.trainings()) == 2, EVERY + 60, "the run that the five ask for")
    wait_until(lambda: has_completed(loop, 2), 600, "the training on the five")
    assert loop.python("flows/watch.py", "--once").endswith(NOTHING)
    assert loop.states() == ["Completed"] * 2, "the five asked for one run"

    event = loop.events()[-1]
    for name in (event["id"], str(uuid4())):
        loop.post("events", [{**event, "id": name, "occurred": now()}])
    wait_until(lambda: has_completed(loop, 3), 300, "the run of an event that is delivered again")
    *_, first, again = loop.runs()
    assert again["release"]["version"] == first["release"]["version"], "it finds nothing new"
    assert again["model"]["folder"] == first["model"]["folder"]
    assert sum(loop.runs()[-1]["dataset"]["by_origin"].values()) == 420 + 5 * 20


@pytest.mark.parametrize("loop", ["make up", pytest.param("compose.yaml", marks=pytest.mark.long)], indirect=True)
def test_what_arrives_is_learnt_and_comes_into_use(loop, tmp_path):
    """What `watch` asks for first, an arrival from a new camera set-up, and a run by hand that was asked for meanwhile."""
    wait_until(lambda: has_completed(loop, 1), 600, "the first training")
    (first,) = loop.runs()
    assert first["release"]["verdict"] == "promoted"
    deliver(photographs(1_000, 10, 2), tmp_path / "held out")
    before = count_right_decisions(loop, tmp_path / "held out")

    inbox = loop.project / "data/inbox"
    inbox.mkdir(exist_ok=True)
    deliver(photographs(0, 10, 3), inbox / "line-2")
    wait_until(lambda: loop.states()[1:] == ["Running"], EVERY + 120, "the run that the arrival asks for")
    assert list((tmp_path / "prefect/concurrency_leases").glob("*-*.json")), "its place outlives the server"
    by_hand = json.dumps(WATCHED["config"])
    loop.python("-m", "prefect", "deployment", "run", "retrain/retrain", "--param", f"config={by_hand}")
    wait_until(lambda: has_completed(loop, 3), 600, "the training on what arrived, and the run that waited")
    _, run, waited = loop.trainings()
    assert waited["created"] < run["end_time"] <= waited["start_time"], "one at a time"
    second = loop.runs()[1]
    assert second["release"]["verdict"] == "promoted", second["release"]
    assert second["training"]["started_from"] == first["model"]["folder"]
    assert second["dataset"]["by_origin"]["line-2"] == 30
    assert run["name"].startswith("ring, 30 new on sample, ")
    shown = loop.artifacts(run)
    assert len(json.loads(shown["epochs"])) == second["training"]["epochs"], "a row an epoch"
    assert shown["card"].startswith(f"# ring: `def_front` or `ok_front`\n\nModel `{second['model']['folder']}`")
    assert {"data", "learning", "test", "rules-of-release", "result"} <= shown.keys()
    assert count_right_decisions(loop, tmp_path / "held out") > before

    mondays = [due for due in loop.scheduled("watch") if (due.weekday(), due.hour, due.minute) == (0, 3, 0)]
    assert mondays, "the weekly look is due"
    told = loop.events()
    assert [event["payload"].get("new_images") for event in told] == [0, 30]
    assert told[1]["payload"]["drift"][0]["decisions"]["review"] > 0
    assert loop.python("flows/watch.py", "--once").endswith(NOTHING)
    assert len(loop.events()) == 2, "an arrival is told once"
    assert len(loop.trainings()) == 3


def training_processes(loop: Loop) -> tuple[int, list[int]]:
    """The numbers of the worker of the GPU pool, and of all that it has started."""
    (worker,) = [number for number, words in processes_in(loop.project).items() if "recast-gpu" in words]
    runs = [run.number for run in find_descendants({worker})]
    assert runs, "it has a run"
    return worker, runs


def kill(*numbers: int) -> float:
    """As a power cut would. The time."""
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    return time.monotonic()


@pytest.mark.long
@pytest.mark.parametrize("is_watched", [False])
def test_a_training_that_is_killed_goes_on_by_itself(loop):
    def learnt(epoch: int) -> bool:
        return any((loop.project / "data/training").glob(f"*/{epoch:04}-*.npz"))

    loop.python("-m", "prefect", "deployment", "run", "retrain/retrain", "--param", f"config={json.dumps(KILLED)}")
    wait_until(lambda: learnt(3), 480, "the first epochs")
    worker, runs = training_processes(loop)
    killed = kill(worker, *runs)
    wait_until(lambda: "Running" not in loop.states(), 360, "the server's noticing that worker and run are gone")
    noticed = time.monotonic() - killed
    wait_until(lambda: "Running" in loop.states(), 300, "the run's going on")
    print(f"killed; noticed after {noticed:.0f} s, goes on after {time.monotonic() - killed:.0f} s")

    wait_until(lambda: learnt(6), 300, "the next epochs")
    _, runs = training_processes(loop)
    killed = kill(*runs)
    wait_until(lambda: loop.trainings()[0]["run_count"] == 3, 300, "the run's going on, whose worker lived")
    print(f"killed alone; goes on after {time.monotonic() - killed:.0f} s")
    wait_until(lambda: has_completed(loop, 1), 600, "the training")
    (run,) = loop.runs()
    assert run["training"]["resumed_from_epoch"] >= 4
    assert len(loop.trainings()) == 1, "the same run, not another one"

    (alert,) = loop.alerts
    assert alert.startswith("recast: ring, 200 new on sample, ") and alert.splitlines()[0].endswith(" has crashed")
    for number in range(2):
        model = {"prefect.resource.id": "recast.model.recast"}
        kept = {"event": "recast.model.kept", "resource": model, "payload": {"reason": f"no better, {number}"}}
        loop.post("events", [{**kept, "id": str(uuid4()), "occurred": now()}])
    wait_until(lambda: len(loop.alerts) == 2, 180, "the alert of a model that is kept out again")
    assert loop.alerts[1] == "recast: a model was kept out again\nno better, 1"


def now() -> str:
    return datetime.now(UTC).isoformat()
