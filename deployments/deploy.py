"""Deploy: bring work pools, the deployments of prefect.yaml and automations to the server of PREFECT_API_URL.

Run again, it brings the server back to what the files say, except for what a person has switched there: a schedule's `active`,
whether a deployment is paused, whether an automation is enabled.

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

from deployments.automations import apply_automations
from deployments.pools import IMAGE, INSIDE, POOL_TYPES, PoolType, job_template
from flows.form import FORM, fill_form, form_settings
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.settings.messages import say
from tasks.settings.settings import Places

authenticate_or_exit()  # by the local password, where the server is on this machine

ROOT = Path(__file__).resolve().parents[1]
Deployment = dict[str, Any]  # of a deployment, by prefect.yaml
GPU_POOL, CPU_POOL = "recast-gpu", "recast-cpu"
POOLS = {
    GPU_POOL: "Trainings, one at a time.",
    CPU_POOL: "All that needs no GPU: looking for new images, judging, approving, pruning.",
}


def main() -> None:
    """Bring pools, deployments and automations to the server, and print what is there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--runs-in", choices=POOL_TYPES, help="what a training runs in; process where there is no pool yet"
    )
    parser.add_argument("--image", default=IMAGE, help="of the containers or pods")
    options = parser.parse_args()
    if not PREFECT_API_URL.value():
        sys.exit("error: PREFECT_API_URL is not set: give the address of a Prefect server, or start one with `make up`")
    with get_client(sync_client=True) as client:
        kinds = {ensure_pool(client, name, pool_type(name, options.runs_in), options.image) for name in POOLS}
        deploy_flows(client, INSIDE if "kubernetes" in kinds else ROOT)
        say(f"automations: {', '.join(apply_automations(client))}")
    if not os.environ.get("RECAST_ALERTS"):
        say("nobody is told of failures: RECAST_ALERTS, the address of a webhook, is not set")


def pool_type(pool: str, runs_in: PoolType | None) -> PoolType | None:
    """Return the type that a pool should have; None: the type that it has.

    With containers, what needs no GPU runs beside its worker: only a cluster has a pool of containers for it.
    """
    return "process" if runs_in == "docker" and pool == CPU_POOL else runs_in


def ensure_pool(client: SyncPrefectClient, name: str, kind: PoolType | None, image: str) -> str:
    """Create or update a work pool, and return its type. With no type asked for, an existing pool is left as it is."""
    try:
        template = job_template(kind or "process", ROOT, image, gpu=name == GPU_POOL)
    except ModuleNotFoundError as missing:
        sys.exit(f"error: a pool of type {kind} needs {missing.name}: .venv/bin/uv pip install prefect-{kind}")
    try:
        existing = client.read_work_pool(name)
    except ObjectNotFound:
        pool = WorkPoolCreate(name=name, type=kind or "process", description=POOLS[name], base_job_template=template)
        return client.create_work_pool(pool).type
    if kind and existing.type != kind:
        sys.exit(
            f"error: the work pool {name} is of type {existing.type}, and a pool's type cannot be changed: "
            f"stop its workers, `prefect work-pool delete {name}`, and deploy again"
        )
    if kind and template:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
    return existing.type


def deploy_flows(client: SyncPrefectClient, root: Path) -> None:
    """Bring the deployments to the server. Their runs begin in the folder `root`.

    The form of `retrain` begins with the settings of the last run, and else with those that it has on the server.
    """
    form = read_parameters(client, FORM)
    if root == ROOT:  # elsewhere runs have other places, and `watch` fills the form there
        form = form_settings(Places(data=ROOT / "data", artifacts=ROOT / "artifacts")) or form
    project = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text(encoding="utf-8"))
    project["deployments"] = [with_switches(client, deployment) for deployment in project["deployments"]]
    project["pull"] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(root)}}]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(project, file)
        file.flush()
        words = ["--no-prompt", "deploy", "--all", "--prefect-file", file.name]
        subprocess.run([sys.executable, "-m", "prefect", *words], cwd=ROOT, check=True)
    fill_form(client, form)


def read_parameters(client: SyncPrefectClient, deployment: str) -> Deployment | None:
    """Return the default parameters of a deployment; None where the server does not have it yet."""
    try:
        return client.read_deployment_by_name(deployment).parameters
    except ObjectNotFound:
        return None


def with_switches(client: SyncPrefectClient, deployment: Deployment) -> Deployment:
    """Return a deployment of prefect.yaml with what a person has switched on or off on the server."""
    flow = deployment["entrypoint"].rpartition(":")[2]
    try:
        existing = client.read_deployment_by_name(f"{flow}/{deployment['name']}")
    except ObjectNotFound:
        return deployment
    switched = {schedule.slug: {"active": schedule.active} for schedule in existing.schedules}
    schedules = [schedule | switched.get(schedule["slug"], {}) for schedule in deployment.get("schedules", ())]
    triggers = [
        trigger | {"enabled": is_enabled(client, trigger["name"])} for trigger in deployment.get("triggers", ())
    ]
    return deployment | {"paused": existing.paused, "schedules": schedules, "triggers": triggers}


def is_enabled(client: SyncPrefectClient, automation: str) -> bool:
    """Return whether nobody has disabled the automation."""
    return all(match.enabled for match in client.read_automations_by_name(automation))


if __name__ == "__main__":
    main()
