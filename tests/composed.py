"""Composed: run the services of deployments/compose.yaml as processes of this machine, by the same commands and health checks.

What a container brings is stood in for: PostgreSQL by the distribution's package, names of hosts by 127.0.0.1 and free ports.
"""

import json
import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from conftest import free_port, wait_until
from postgresql import postgresql

INSTALLED = Path(sysconfig.get_path("scripts"))
FILE = Path(__file__).parents[1] / "deployments/compose.yaml"
WORKER_PORT = "8080"  # of the health check, the same in every container


def run_compose(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What Docker Compose says of the file, which for this needs no Docker, with these variables and no others."""
    command = [INSTALLED / "docker-compose", "--file", FILE, "--profile", "*", "config", *words]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=FILE.parent, env=environment, capture_output=True, text=True, check=False)


def services(**variables: str) -> dict[str, Any]:
    """The services as Compose understands them; of each what is not given is left out."""
    said = run_compose("--format", "json", **variables)
    assert said.returncode == 0 and not said.stderr, said.stderr
    told = json.loads(said.stdout)
    for one in told["services"].values():
        for config in one.get("configs", []):
            config["content"] = told["configs"][config["source"]]["content"]
    return {
        name: {key: value for key, value in one.items() if value is not None} for name, one in told["services"].items()
    }


class Composed:
    """The services, started in their order; each lives until the end."""

    def __init__(self, project: Path, scratch: Path, given: dict[str, str], port_of_postgres: int):
        self.services, self.project, self.scratch = services(**given), project, scratch
        self.ports = {"server": free_port(), "mlflow": free_port()}
        self.worker_ports = {name: str(free_port()) for name in self.services}
        self.addresses = {
            "@postgres/": f"@127.0.0.1:{port_of_postgres}/",
            "server:4200": f"127.0.0.1:{self.ports['server']}",
            "mlflow:5000": f"127.0.0.1:{self.ports['mlflow']}",
            "127.0.0.1:4200": f"127.0.0.1:{self.ports['server']}",
            "127.0.0.1:5000": f"127.0.0.1:{self.ports['mlflow']}",
            "0.0.0.0": "127.0.0.1",
        }
        configs = [config["target"] for one in self.services.values() for config in one.get("configs", [])]
        self.folders = {name: str(scratch / name[1:]) for name in ("/mlflow", "/prefect", "/tmp/ui", *configs)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, text: str, service: str) -> str:
        """A word of a command or an environment, for this machine."""
        for there, address in self.addresses.items():
            text = text.replace(there, address)
        text = text.replace(f":{WORKER_PORT}", f":{self.worker_ports[service]}")
        return self.folders.get(text, text)

    def environment(self, service: str) -> dict[str, str]:
        """What the container finds: the image's, and the service's own. Nothing of this process'."""
        told = self.services[service]["environment"]
        home = self.scratch / "home" / service
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{INSTALLED}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.project),
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_SERVER_API_PORT": str(self.ports["server"]),
            "MLFLOW_PORT": str(self.ports["mlflow"]),
            "PREFECT_WORKER_WEBSERVER_PORT": self.worker_ports[service],
            **{name: self.here(value, service) for name, value in told.items() if value is not None},
        }

    def start(self, service: str) -> None:
        """After what it depends on, as the file says."""
        for other, wanted in self.services[service].get("depends_on", {}).items():
            if wanted["condition"] == "service_completed_successfully":
                assert self.running[other].wait(360) == 0, self.log(other)
            elif other != "postgres":
                wait_until(lambda other=other: self.healthy(other), 360, f"{other}'s health")
        for config in self.services[service].get("configs", []):
            content = config["content"].replace(":////tmp/", f":///{self.scratch}/")
            Path(self.folders[config["target"]]).write_text(content, encoding="utf-8")
        words = [self.here(word, service) for word in self.services[service]["command"]]
        with open(self.scratch / f"{service}.log", "wb") as log:
            self.running[service] = subprocess.Popen(
                words, cwd=self.project, env=self.environment(service), stdout=log, stderr=log, start_new_session=True
            )

    def healthy(self, service: str) -> bool:
        """By the check of the file."""
        assert self.running[service].poll() is None, self.log(service)
        kind, *words = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        words = [self.here(word, service) for word in words]
        done = subprocess.run(words, cwd=self.project, env=self.environment(service), capture_output=True, check=False)
        return done.returncode == 0

    def log(self, service: str) -> str:
        return (self.scratch / f"{service}.log").read_text(errors="replace")

    def stop(self) -> None:
        """The last one first, as long as Compose would wait; fails when one did not end by itself, and then too none is left."""
        late = []
        for name, service in reversed(self.running.items()):
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(service.pid, signal.SIGKILL)
                late.append(name)
        assert not late, f"{', '.join(late)} did not end within 60 s"


@contextmanager
def running_services(project: Path, scratch: Path, *services: str, **given: str) -> Iterator[Composed]:
    """These services of the project in `project`, all healthy, with PostgreSQL."""
    with ExitStack() as stack:
        port = stack.enter_context(postgresql("recast", given["POSTGRES_PASSWORD"], "prefect", "mlflow"))
        found = Composed(project, scratch, given, port)
        # What a script starts in the background ignores SIGINT, and so would a worker, which then never stops; a container's does not.
        stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        stack.callback(found.stop)
        for service in services:
            found.start(service)
        for service in services:
            if "healthcheck" in found.services[service]:
                wait_until(lambda service=service: found.healthy(service), 360, f"{service}'s health")
        yield found
