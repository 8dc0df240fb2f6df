"""Up: run a Prefect server, its deployments, a worker for each pool and the review page on this machine, until Ctrl-C.

The end of the terminal ends it, too.

python deployments/up.py [--port 4200] [--review-port 8700]
"""

import argparse
import contextlib
import math
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import FrameType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  no proxy on the way to its own server

from tasks.pipeline.local_auth import auth_file, local_auth
from tasks.settings.cli import exit_status
from tasks.settings.messages import say

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "data" / "logs"
PREFECT = [sys.executable, "-m", "prefect"]
SERVER = [sys.executable, str(ROOT / "deployments/server.py")]
WORKERS = {"recast-gpu": ["--limit", "1"], "recast-cpu": []}  # pool: options of its worker
STARTED = 180.0  # seconds until the server must answer: a new database takes 20
STOPPED = 45.0  # seconds until a process must have ended: a worker gives its runs 30
SHORTEST, LONGEST = 1.0, 60.0  # seconds between two starts of a worker that dies at once: at first, and at most
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Interrupted(Exception):
    """Ctrl-C, SIGTERM, or a terminal that went away."""


def main() -> None:
    """Start all, and stop all when a signal arrives or the server ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=4200, help="of the server")
    parser.add_argument("--review-port", type=int, default=8700, help="of the review page")
    options = parser.parse_args()
    port = options.port
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            sys.exit(f"error: something answers on port {port} already: stop it, or give another --port")
    # Set anew, for what a script starts in the background ignores SIGINT, and so would a worker, which then never stops.
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup is meant
            signal.signal(number, raise_interrupted)
    LOGS.mkdir(parents=True, exist_ok=True, mode=0o700)
    LOGS.chmod(0o700)  # logs may hold what others must not read
    started: dict[str, subprocess.Popen[bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="recast-", ignore_cleanup_errors=True) as scratch:
        try:
            run(port, options.review_port, scratch, started)
        except Interrupted:
            say("stopping")
        finally:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a process running
            stop_processes(started)


def run(port: int, review_port: int, scratch: str, started: dict[str, subprocess.Popen[bytes]]) -> None:
    """Start all processes, and a worker or the review page again when it dies. Exits with an error when the server ends."""
    site = f"http://127.0.0.1:{port}"
    auth = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or local_auth()
    environment = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # what ended 90 days ago goes
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",  # outlives the server
        **os.environ,
        "PREFECT_API_URL": f"{site}/api",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_API_AUTH_STRING": auth,
        "TMPDIR": scratch,  # a worker makes `runner_storage` there, which in /tmp may be another user's
    }
    started["server"] = start_process("server", environment, *SERVER)
    say(f"starting a Prefect server on {site} ...")
    sys.stdout.flush()  # into a log or a pipe too, for somebody waits there
    wait_for_server(f"{site}/api/health", started["server"])
    started["deploy"] = start_process("deploy", environment, sys.executable, str(ROOT / "deployments/deploy.py"))
    if started["deploy"].wait():
        sys.exit(f"error: the deployments could not be brought to the server; {LOGS / 'deploy.log'} says why")
    say(
        f"  runs, artifacts and forms   {site}",
        f"  the pages ask for           the name and password in {auth_file()}",
        f"  people review and approve   http://127.0.0.1:{review_port}",
        f"  new images go into          {ROOT / 'data' / 'inbox'}/BATCH/CLASS/",
        f"  the command line joins in   export PREFECT_API_URL={site}/api PREFECT_API_AUTH_STRING=$(cat {shlex.quote(str(auth_file()))})",
        f"  logs                        {LOGS}",
        "Ctrl-C stops all of it.",
    )
    sys.stdout.flush()
    commands = {pool: [*PREFECT, "worker", "start", "--pool", pool, *words] for pool, words in WORKERS.items()}
    commands["review"] = [sys.executable, str(ROOT / "flows/review.py"), "--wait", "--port", str(review_port)]
    backoffs = {name: Backoff() for name in commands}
    while started["server"].poll() is None:
        for name, words in commands.items():
            if (name not in started or started[name].poll() is not None) and backoffs[name].due(time.monotonic()):
                if name in started:
                    say(f"the process {name} has ended, and is started again; {LOGS / name}.log")
                    sys.stdout.flush()
                started[name] = start_process(name, environment, *words)
        time.sleep(1)
    sys.exit(f"error: the server has ended; {LOGS / 'server.log'} says why")


class Backoff:
    """The time of the next start of a process: at once if it lived long, else after a wait that doubles each time."""

    def __init__(self) -> None:
        self.started, self.wait = -math.inf, SHORTEST

    def due(self, now: float) -> bool:
        """Return whether it is time to start the process. If so, it counts as started."""
        since = now - self.started
        if since < self.wait:
            return False
        self.started, self.wait = now, SHORTEST if since > 2 * LONGEST else min(2 * self.wait, LONGEST)
        return True


def start_process(name: str, environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to its log.

    It has a session of its own: Ctrl-C reaches this process alone, which stops the others in order.
    """
    with open(LOGS / f"{name}.log", "ab") as log:
        os.fchmod(log.fileno(), 0o600)
        return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)


def wait_for_server(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers. Exits with an error where it ends or does not answer in time."""
    deadline = time.monotonic() + STARTED
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"error: the server does not answer; {LOGS / 'server.log'} says why")


def stop_processes(started: dict[str, subprocess.Popen[bytes]]) -> None:
    """Stop all processes, the workers first, so that they can tell the server which runs they leave.

    A process that does not end in time is killed, and so are the runs that it leaves.
    """
    running = {process.pid for process in started.values() if process.poll() is None}
    children = find_descendants(running)  # now: a process that loses its parent cannot be found afterwards
    for process in reversed(started.values()):
        process.terminate()
        try:
            process.wait(STOPPED)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in children & list_processes().keys():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.number, signal.SIGKILL)


class Process(NamedTuple):
    """A process of this machine."""

    number: int
    began: str
    """Tells it from a later process with the same number."""


def list_processes() -> dict[Process, int]:
    """Return the processes of this machine, and the number of the parent of each; none where `ps` is missing, as in a slim container."""
    if not shutil.which("ps"):
        return {}
    output = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,lstart="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=2) for line in output.splitlines())
    return {Process(int(number), began): int(parent) for number, parent, began in rows}


def find_descendants(numbers: set[int]) -> set[Process]:
    """Return all processes that these started, and that those started, in whatever session: a flow run has its own."""
    descendants, parents = set[Process](), list_processes()
    while children := {process for process, parent in parents.items() if parent in numbers} - descendants:
        descendants, numbers = descendants | children, {process.number for process in children}
    return descendants


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    """Raise Interrupted for a signal."""
    raise Interrupted


if __name__ == "__main__":
    sys.exit(exit_status(main))
