"""Compose: Compose and hadolint accept the files, and the options, settings, files, pools and health checks that they name exist."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any

import composed
import prefect.settings
import pytest

from deployments.deploy import POOLS

ROOT = Path(__file__).parents[1]
HERE = ROOT / "deployments"
PASSWORDS = {
    "POSTGRES_PASSWORD": "a b#c",
    "RECAST_AUTH": "name:another",
    "MLFLOW_PASSWORD": "a third: '#",
    "RECAST_REVIEW_PASSWORD": "a fourth",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return composed.services(**PASSWORDS)


def instructions(word: str) -> list[str]:
    """What follows this word in the Dockerfile, as often as it occurs."""
    text = (HERE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    return re.findall(rf"^{word} (.+)$", text, flags=re.MULTILINE)


def test_hadolint_has_nothing_to_say():
    said = subprocess.run(
        [f"{composed.INSTALLED}/hadolint", HERE / "Dockerfile"], capture_output=True, text=True, check=False, cwd=HERE
    )
    assert (said.returncode, said.stdout) == (0, "")
    assert "hadolint ignore" not in (HERE / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", PASSWORDS)
def test_nothing_starts_without_its_passwords(missing):
    for variables in ({}, {missing: ""}):
        others = {name: value for name, value in PASSWORDS.items() if name != missing}
        said = composed.run_compose("--quiet", **others, **variables)
        assert said.returncode != 0 and f"required variable {missing} is missing" in said.stderr


def test_no_password_is_written_down(services):
    given = {None, *PASSWORDS.values()}
    for name, service in services.items():
        for variable, value in service["environment"].items():
            if re.search("PASSWORD|AUTH(?!_ADMIN_USERNAME|_CONFIG_PATH)|TOKEN|KEY|ALERTS", variable):
                assert value in given, f"{variable} of {name}"
            else:
                assert not any(password in value for password in PASSWORDS.values() if value), f"{variable} of {name}"


def test_the_example_names_each_variable_and_no_other(tmp_path):
    named = set(re.findall(r"^#?([A-Z_]+)=", (HERE / "example.env").read_text(encoding="utf-8"), flags=re.MULTILINE))
    used = {line.split()[0] for line in composed.run_compose("--variables", **PASSWORDS).stdout.splitlines()[1:]}
    text = (HERE / "compose.yaml").read_text(encoding="utf-8")
    handed_on = set(re.findall(r"^ +([A-Z_]+): *(?:#.*)?$", text, flags=re.MULTILINE))
    assert named == used | handed_on | {"COMPOSE_FILE", "COMPOSE_PROFILES"}


@pytest.mark.parametrize(("given", "bound"), [({}, "127.0.0.1"), ({"RECAST_BIND": "10.0.0.7"}, "10.0.0.7")])
def test_what_is_published_is_for_this_machine_alone_unless_it_is_said_for_whom(given, bound):
    services = composed.services(**PASSWORDS, **given)
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"server", "mlflow", "review"}
    assert {port["host_ip"] for several in ports.values() for port in several} == {bound}


@pytest.mark.parametrize(
    ("given", "more"), [({}, []), ({"RECAST_HOSTS": "box:5000,10.0.0.7:*"}, ["box:5000", "10.0.0.7:*"])]
)
def test_mlflow_is_asked_by_names_that_are_given(given, more):
    told = composed.services(**PASSWORDS, **given)["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert told.split(",") == ["mlflow:5000", "localhost:*", "127.0.0.1:*", *more]


@pytest.mark.parametrize("chosen", ["cpu", "gpu"])
def test_each_pool_has_one_worker(services, chosen):
    words = [
        one["command"] for one in services.values() if chosen in one.get("profiles", [chosen]) and "command" in one
    ]
    workers = [command for command in words if command[:3] == ["prefect", "worker", "start"]]
    assert sorted(command[command.index("--pool") + 1] for command in workers) == sorted(POOLS)
    assert all(("--limit" in command) == ("recast-gpu" in command) for command in workers), "one training at a time"


def test_what_is_waited_for_can_come(services):
    for service in services.values():
        for name, waited in service.get("depends_on", {}).items():
            other = services[name]
            if waited["condition"] == "service_healthy":
                assert "healthcheck" in other, name
            else:
                assert waited["condition"] == "service_completed_successfully" and other["restart"] == "no", name


def test_what_runs_on_is_watched_and_may_do_little(services):
    for name, service in services.items():
        assert ("healthcheck" in service) == (service["restart"] != "no"), name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name


def test_the_image_runs_as_a_user_without_rights_and_takes_hashed_packages_only():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])
    (locked,) = [line for line in instructions("RUN") if "--requirement" in line]
    assert "--require-hashes" in locked


def test_the_image_is_made_of_files_that_are_there(services):
    locks = {service["build"].get("args", {}).get("LOCK") for service in services.values() if "build" in service}
    locks = (locks - {None}) | {line.removeprefix("LOCK=") for line in instructions("ARG")}
    assert locks == {"requirements.txt", "requirements-gpu.txt"}
    sources = {source for line in instructions("COPY") for source in line.split()[:-1]}
    for source in (sources - {"${LOCK}"}) | locks:
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), f"{source} is kept from the image by .dockerignore"
    command = json.loads(instructions("CMD")[-1])
    assert (ROOT / command[1]).exists()


@pytest.mark.parametrize(
    "kept_out", ["data", "artifacts", ".venv", ".git", "tests", ".env", "deployments/.env", "tasks/records/__pycache__"]
)
def test_the_image_takes_nothing_else(kept_out):
    assert is_ignored(kept_out)


def is_ignored(path: str) -> bool:
    """As Docker reads .dockerignore, as far as this one goes: the last line that fits the path or a folder above decides."""
    places = [path, *map(str, PurePosixPath(path).parents)]
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        patterns = {pattern, pattern.removeprefix("**/")}
        if line and not line.startswith("#") and any(fnmatch(place, one) for place in places for one in patterns):
            out = not line.startswith("!")
    return out


def test_the_folders_of_workers_lie_in_the_checkout_unless_it_is_said_where(services):
    for service in (one for one in services.values() if "user" in one and "build" in one):
        folders = {one["target"]: Path(one["source"]) for one in service["volumes"]}
        assert folders == {"/app/data": ROOT / "data", "/app/artifacts": ROOT / "artifacts"}
        assert not any(one["bind"]["create_host_path"] for one in service["volumes"]), "Docker would make them root's"


def test_what_a_server_keeps_outlives_its_container_and_is_its_users(services):
    """Docker gives a new volume to whom the folder that it covers belongs to."""
    kept = {one["target"] for name in ("server", "mlflow") for one in services[name]["volumes"]}
    (made,) = [line for line in instructions("RUN") if "--owner=1000" in line]
    assert kept <= set(made.partition("--owner=1000")[2].split())
    environment = services["server"]["environment"]
    assert environment["PREFECT_HOME"] in kept
    assert find_spec(environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]).name.endswith(".filesystem")


def test_prefect_knows_the_settings(services):
    told = {name for one in services.values() for name in one["environment"] if name.startswith("PREFECT_")}
    assert told and [name for name in told if not hasattr(prefect.settings, name)] == []


def test_prefect_knows_the_commands(services):
    from prefect.cli._app import _app

    for command in (one["command"] for one in services.values() if one.get("command", [""])[0] == "prefect"):
        _app.parse_args(command[1:], print_error=False, exit_on_error=False)


def test_mlflow_knows_the_options_and_the_settings(services):
    """As its source has them: importing its command line takes ten seconds."""
    package = Path(find_spec("mlflow").origin).parent
    files = ("cli/__init__.py", "utils/cli_args.py", "environment_variables.py")
    source = "".join((package / file).read_text(encoding="utf-8") for file in files)
    told = {name for one in services.values() for name in one["environment"] if name.startswith("MLFLOW_")}
    options = {word for word in services["mlflow"]["command"] if word.startswith("--")}
    assert services["mlflow"]["command"][:2] == ["mlflow", "server"] and told and options
    assert [word for word in told | options if f'"{word}"' not in source] == []


def test_what_python_runs_is_there(services):
    scripts = {one["command"][1] for one in services.values() if one.get("command", [""])[0] == "python"}
    assert scripts == {"deployments/deploy.py", "flows/review.py"}
    assert all((ROOT / script).exists() for script in scripts)


def test_the_review_page_answers_under_its_address_and_for_its_health_check(services):
    from flows.review import ReviewArguments, sites_of
    from tasks.settings.cli import parse

    arguments = parse(ReviewArguments, services["review"]["command"][2:])
    *_, address = services["review"]["healthcheck"]["test"]
    assert arguments.host == "0.0.0.0" and arguments.wait
    assert sites_of(arguments)[0] == "http://localhost:8700"
    assert address.removesuffix("/enter") in sites_of(arguments)


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1)])
def test_the_probe_tells_healthy_from_not(services, status, exit_status):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words):
            pass

    _, _, *probe, address = services["server"]["healthcheck"]["test"]
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request).start()
        here = address.replace(":4200/", f":{server.server_port}/")
        assert (
            subprocess.run([sys.executable, *probe, here], capture_output=True, check=False).returncode == exit_status
        )
