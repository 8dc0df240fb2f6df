"""Pools: what a worker starts for a run, by the type of its work pool; the worker's own template, with what a training needs besides.

`prefect-docker` or `prefect-kubernetes` must be installed where such a pool is made, and where its worker runs.
"""

import os
from pathlib import Path
from typing import Any, Literal, get_args

from tasks.settings.messages import warn
from tasks.settings.redaction import redact
from tasks.tracking.addresses import split_address

Type = Literal["process", "docker", "kubernetes"]
TYPES: tuple[Type, ...] = get_args(Type)
IMAGE = "recast-gpu"
INSIDE = Path("/app")  # of the image: the project
GPU = "nvidia.com/gpu"  # the name of NVIDIA's device plugin
Template = dict[str, Any]


def template(kind: Type, root: Path, image: str = IMAGE, *, gpu: bool = True) -> Template:
    """The base job template of a pool; empty for a process pool, whose worker brings its own.

    `root` is the project's folder on the host, which containers mount. Without `gpu`, runs ask for none.
    """
    if kind == "docker":
        return docker(root, image, gpu)
    return kubernetes(image, gpu) if kind == "kubernetes" else {}


def docker(root: Path, image: str, gpu: bool) -> Template:
    """Containers that bring the libraries, and work on the host's checkout, at its own path: its code, and both places."""
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
    made = DockerWorker.get_default_base_job_template()
    return with_defaults(
        made,
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


def kubernetes(image: str, gpu: bool) -> Template:
    """Pods on nodes with a GPU. The volume claim and the secret must be there; the secret's values are their environment."""
    from prefect_kubernetes.worker import KubernetesWorker

    made = KubernetesWorker.get_default_base_job_template()
    pod = made["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
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
    made["variables"]["properties"] |= {
        "gpu_count": variable("integer", "GPUs of a run; it uses all of them.", int(gpu)) | {"minimum": 0},
        "node_selector": variable("object", "Labels of the nodes that a run may go to.", selected),
        "volume_claim": variable("string", "Persistent volume claim with the folders data and artifacts.", "recast"),
        "secret": variable("string", "Secret whose values a run finds in its environment.", "recast"),
        "group": variable("integer", "Group that owns the files of the volume.", 1000),
    }
    return with_defaults(made, image=image)


def variable(kind: str, description: str, default: object) -> dict[str, Any]:
    """What the form of the pool shows, and what holds where a deployment says nothing."""
    title = description.split(".")[0]
    return {"type": kind, "title": title, "description": description, "default": default}


def with_defaults(made: Template, **defaults: object) -> Template:
    """The template with these defaults. Raises KeyError for a variable that it does not have."""
    for name, value in defaults.items():
        made["variables"]["properties"][name]["default"] = value
    return made
