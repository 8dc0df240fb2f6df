"""Up: a Prefect server with its deployments and a worker for each pool on this machine, until Ctrl-C.

python deployments/up.py [--port 4200]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "data" / "logs"
PREFECT = [sys.executable, "-m", "prefect"]
WORKERS = {"recast-gpu": ["--limit", "1"], "recast-cpu": []}  # pool: options of its worker
STARTED = 180.0  # seconds until the server must answer: a new database takes 20
STOPPED = 30.0  # seconds until a process must have ended


class Interrupted(Exception):
    """Ctrl-C, or SIGTERM."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=4200, help="of the server")
    port = parser.parse_args().port
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            sys.exit(f"error: something answers on port {port} already: stop it, or give another --port")
    # Set anew, for what a script starts in the background ignores SIGINT, and so would a worker, which then never stops.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    LOGS.mkdir(parents=True, exist_ok=True)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        run(port, started)
    except Interrupted:
        print("stopping")
    finally:
        stop(started)


def run(port: int, started: dict[str, subprocess.Popen[bytes]]) -> None:
    """Starts all, and a worker that died again; ends with the server."""
    site = f"http://127.0.0.1:{port}"
    environment = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # what ended 90 days ago goes
        **os.environ,
        "PREFECT_API_URL": f"{site}/api",
        "PREFECT_SERVER_API_PORT": str(port),
    }
    started["server"] = start("server", environment, "server", "start")
    print(f"starting a Prefect server on {site} ...", flush=True)
    until_it_answers(f"{site}/api/health", started["server"])
    with open(LOGS / "deploy.log", "wb") as log:
        words = [sys.executable, str(ROOT / "deployments" / "deploy.py")]
        if subprocess.run(words, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False).returncode:
            sys.exit(f"error: the deployments could not be brought to the server; {LOGS / 'deploy.log'} says why")
    print(
        f"  runs, artifacts and forms   {site}\n"
        f"  new images go into          {ROOT / 'data' / 'inbox'}/BATCH/CLASS/\n"
        f"  the command line joins in   export PREFECT_API_URL={site}/api\n"
        f"  logs                        {LOGS}\n"
        "Ctrl-C stops all of it.",
        flush=True,
    )
    while started["server"].poll() is None:
        for pool, words in WORKERS.items():
            if pool not in started or started[pool].poll() is not None:
                if pool in started:
                    print(f"the worker of {pool} has ended, and is started again; {LOGS / pool}.log", flush=True)
                started[pool] = start(pool, environment, "worker", "start", "--pool", pool, *words)
        time.sleep(1)
    sys.exit(f"error: the server has ended; {LOGS / 'server.log'} says why")


def start(name: str, environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    """In a session of its own: Ctrl-C reaches this process alone, which stops them in order."""
    with open(LOGS / f"{name}.log", "ab") as log:
        return subprocess.Popen(
            [*PREFECT, *words], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def until_it_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    last = time.monotonic() + STARTED
    while server.poll() is None and time.monotonic() < last:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"error: the server does not answer; {LOGS / 'server.log'} says why")


def stop(started: dict[str, subprocess.Popen[bytes]]) -> None:
    """Workers first, that they can tell the server what they left; who does not end in time is killed with all it started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who presses Ctrl-C twice is to find nothing left running either
    for process in reversed(started.values()):
        process.terminate()
        try:
            process.wait(STOPPED)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    main()
