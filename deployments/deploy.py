"""Deploy: the work pools, the deployments of prefect.yaml and the automations, on the server of PREFECT_API_URL.

Again, it brings the server back to what the files say, except for what a person has switched there: a schedule's `active`, whether
a deployment is paused, whether an automation is enabled.

python deployments/deploy.py [--runs-in process|docker|kubernetes] [--image recast-gpu]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from deployments.automations import apply
from deployments.pools import IMAGE, INSIDE, TYPES, Type, template
from flows.form import FORM, fill_form, form_settings
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.settings.settings import Places

authenticate_or_exit()  # by the local password, where the server is on this machine

ROOT = Path(__file__).resolve().parents[1]
Told = dict[str, Any]  # of a deployment, by prefect.yaml
GPU_POOL, CPU_POOL = "recast-gpu", "recast-cpu"
POOLS = {
    GPU_POOL: "Trainings, one at a time.",
    CPU_POOL: "All that needs no GPU: looking for new images, judging, approving, pruning.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs-in", choices=TYPES, help="what a training runs in; process where there is no pool yet")
    parser.add_argument("--image", default=IMAGE, help="of the containers or pods")
    asked = parser.parse_args()
    if not PREFECT_API_URL.value():
        sys.exit("error: PREFECT_API_URL is not set: give the address of a Prefect server, or start one with `make up`")
    with get_client(sync_client=True) as client:
        kinds = {bring(client, name, kind_of(name, asked.runs_in), asked.image) for name in POOLS}
        deploy(client, INSIDE if "kubernetes" in kinds else ROOT)
        print("automations:", ", ".join(apply(client)))
    if not os.environ.get("RECAST_ALERTS"):
        print("nobody is told of failures: RECAST_ALERTS, the address of a webhook, is not set")


def kind_of(pool: str, asked: Type | None) -> Type | None:
    """The type that a pool should have: what needs no GPU runs beside its worker, except in a cluster. None: whatever it has."""
    return "process" if asked == "docker" and pool == CPU_POOL else asked


def bring(client: SyncPrefectClient, name: str, kind: Type | None, image: str) -> str:
    """The type of the pool, which is the one asked for; with none asked for, one that is there is left as it is."""
    try:
        made = template(kind or "process", ROOT, image, gpu=name == GPU_POOL)
    except ModuleNotFoundError as missing:
        sys.exit(f"error: a pool of type {kind} needs {missing.name}: .venv/bin/uv pip install prefect-{kind}")
    try:
        there = client.read_work_pool(name)
    except ObjectNotFound:
        wanted = WorkPoolCreate(name=name, type=kind or "process", description=POOLS[name], base_job_template=made)
        return client.create_work_pool(wanted).type
    if kind and there.type != kind:
        sys.exit(
            f"error: the work pool {name} is of type {there.type}, and a pool's type cannot be changed: "
            f"stop its workers, `prefect work-pool delete {name}`, and deploy again"
        )
    if kind and made:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=made))
    return there.type


def deploy(client: SyncPrefectClient, root: Path) -> None:
    """The deployments, whose runs begin in the folder `root`.

    The form of `retrain` begins with the settings of the last run, and else with those that it has on the server.
    """
    form = parameters_of(client, FORM)
    if root == ROOT:  # elsewhere runs have other places, and `watch` fills the form there
        form = form_settings(Places(data=ROOT / "data", artifacts=ROOT / "artifacts")) or form
    told = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text(encoding="utf-8"))
    told["deployments"] = [as_switched(client, one) for one in told["deployments"]]
    told["pull"] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(root)}}]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(told, file)
        file.flush()
        words = ["--no-prompt", "deploy", "--all", "--prefect-file", file.name]
        subprocess.run([sys.executable, "-m", "prefect", *words], cwd=ROOT, check=True)
    fill_form(client, form)


def parameters_of(client: SyncPrefectClient, deployment: str) -> Told | None:
    """Return the default parameters of a deployment; None where the server does not have it yet."""
    try:
        return client.read_deployment_by_name(deployment).parameters
    except ObjectNotFound:
        return None


def as_switched(client: SyncPrefectClient, told: Told) -> Told:
    """What prefect.yaml says of a deployment, with what a person has switched on or off on the server."""
    flow = told["entrypoint"].rpartition(":")[2]
    try:
        there = client.read_deployment_by_name(f"{flow}/{told['name']}")
    except ObjectNotFound:
        return told
    switched = {one.slug: {"active": one.active} for one in there.schedules}
    schedules = [one | switched.get(one["slug"], {}) for one in told.get("schedules", ())]
    triggers = [one | {"enabled": enabled(client, one["name"])} for one in told.get("triggers", ())]
    return told | {"paused": there.paused, "schedules": schedules, "triggers": triggers}


def enabled(client: SyncPrefectClient, automation: str) -> bool:
    """Whether nobody has disabled it."""
    return all(one.enabled for one in client.read_automations_by_name(automation))


if __name__ == "__main__":
    main()
