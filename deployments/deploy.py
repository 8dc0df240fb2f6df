"""Deploy: the work pools, the deployments of prefect.yaml and the automations, on the server of PREFECT_API_URL; again, it changes nothing.

python deployments/deploy.py
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from deployments.automations import apply

ROOT = Path(__file__).resolve().parents[1]
POOLS = {
    "recast-gpu": "Trainings, one at a time.",
    "recast-cpu": "All that needs no GPU: looking for new images, judging, approving, pruning.",
}


def main() -> None:
    if not PREFECT_API_URL.value():
        sys.exit("error: PREFECT_API_URL is not set: give the address of a Prefect server, or start one with `make up`")
    with get_client(sync_client=True) as client:
        for name, description in POOLS.items():
            try:
                client.read_work_pool(name)  # one that is there may be of another type by now, and is left as it is
            except ObjectNotFound:
                client.create_work_pool(WorkPoolCreate(name=name, type="process", description=description))
        words = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
        subprocess.run([sys.executable, "-m", "prefect", *words], cwd=ROOT, env=os.environ, check=True)
        print("automations:", ", ".join(apply(client)))
    if "RECAST_ALERTS" not in os.environ:
        print("nobody is told of failures: RECAST_ALERTS, the address of a webhook, is not set")


if __name__ == "__main__":
    main()
