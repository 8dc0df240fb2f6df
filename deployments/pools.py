"""Pools: build the template of what a worker starts for a run, from the worker's own template and what a training needs besides.

`prefect-docker` or `prefect-kubernetes` must be installed where such a pool is made, and where its worker runs.
"""

import os
from pathlib import Path
from typing import Any, Literal, get_args

from tasks.settings.messages import warn
from tasks.settings.redaction import redact
from tasks.tracking.addresses import split_address

PoolType = Literal["process", "docker", "kubernetes"]
POOL_TYPES: tuple[PoolType, ...] = get_args(PoolType)
IMAGE = "recast-gpu"
INSIDE = Path("/app")  # of the image: the project
GPU = "nvidia.com/gpu"  # the name of NVIDIA's device plugin
Template = dict[str, Any]


def job_template(kind: PoolType, root: Path, image: str = IMAGE, *, gpu: bool = True) -> Template:
    """Return the base job template of a pool; empty for a process pool, whose worker brings its own.

    `root` is the project's folder on the host, which containers mount. Without `gpu`, runs ask for none.
    """
    if kind == "docker":
        return docker_template(root, image, gpu)
    return kubernetes_template(image, gpu) if kind == "kubernetes" else {}


def docker_template(root: Path, image: str, gpu: bool) -> Template:
    """Return the template of containers that bring the libraries.

    They work on the host's checkout at its own path: its code, and both places.
    """
    from prefect_docker.worker import DockerWorker

    devices = [{"driver": "nvidia", "count": -1, "capabilities": [["gpu"]]}]  # -1: all of the host
    env = {"HOME": "/tmp"}  # a user whom the image does not know has none
    registry, user, _ = split_address(os.environ.get("MLFLOW_TRACKING_URI", ""))
    # A template is shown: what is secret comes from blocks of the server.
    if redact(registry) != registry:
        warn("MLFLOW_TRACKING_URI holds a password and is left out of the pool: give it as a block, docs/operations.md")
    elif registry:
        env["MLFLOW_TRACKING_URI"] = registry
    if user:
        warn(
            "user and password of MLFLOW_TRACKING_URI are left out of the pool: give MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD as blocks, docs/operations.md"
        )
    worker_template = DockerWorker.get_default_base_job_template()
    return with_defaults(
        worker_template,
        image=image,
        image_pull_policy="IfNotPresent",
        network_mode="host",  # the addresses of the host's servers hold inside too
        volumes=[f"{root}:{root}"],
        env=env,
        auto_remove=True,
        container_create_kwargs={
            "user": f"{os.getuid()}:{os.getgid()}",  # what a run writes belongs to who deployed it
            "shm_size": "2g",
            "device_requests": devices if gpu else [],
        },
    )


def kubernetes_template(image: str, gpu: bool) -> Template:
    """Return the template of pods on nodes with a GPU.

    The volume claim and the secret must exist. The secret's values are the environment of the pods.
    """
    from prefect_kubernetes.worker import KubernetesWorker

    worker_template = KubernetesWorker.get_default_base_job_template()
    pod = worker_template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    pod["nodeSelector"] = "{{ node_selector }}"
    pod["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    pod["volumes"] = [{"name": "places", "persistentVolumeClaim": {"claimName": "{{ volume_claim }}"}}]
    pod["securityContext"] = {"runAsNonRoot": True, "fsGroup": "{{ group }}"}
    (container,) = pod["containers"]
    container["resources"]["limits"][GPU] = "{{ gpu_count }}"
    container["envFrom"] = [{"secretRef": {"name": "{{ secret }}", "optional": True}}]
    container["volumeMounts"] = [
        {"name": "places", "mountPath": str(INSIDE / name), "subPath": name} for name in ("data", "artifacts")
    ]
    selected = {f"{GPU}.present": "true"} if gpu else {}
    worker_template["variables"]["properties"] |= {
        "gpu_count": template_variable("integer", "GPUs of a run; it uses all of them.", int(gpu)) | {"minimum": 0},
        "node_selector": template_variable("object", "Labels of the nodes that a run may go to.", selected),
        "volume_claim": template_variable(
            "string", "Persistent volume claim with the folders data and artifacts.", "recast"
        ),
        "secret": template_variable("string", "Secret whose values a run finds in its environment.", "recast"),
        "group": template_variable("integer", "Group that owns the files of the volume.", 1000),
    }
    return with_defaults(worker_template, image=image)


def template_variable(kind: str, description: str, default: object) -> dict[str, Any]:
    """Return a variable of a template: what the form of the pool shows, and the default for a deployment that does not set it."""
    title = description.split(".")[0]
    return {"type": kind, "title": title, "description": description, "default": default}


def with_defaults(worker_template: Template, **defaults: object) -> Template:
    """Return the template with these defaults. Raises KeyError for a variable that it does not have."""
    for name, value in defaults.items():
        worker_template["variables"]["properties"][name]["default"] = value
    return worker_template
