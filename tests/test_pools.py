"""Pools: what a worker makes of the deployment's settings, by the real workers' own classes."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from docker.models.containers import _create_container_args
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker
from prefect_docker.worker import DockerWorker, DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from deployments.deploy import CPU_POOL, GPU_POOL, POOLS, pool_type
from deployments.pools import POOL_TYPES, job_template

ROOT = Path("/srv/recast")
NOBODY = object()  # no template refers to a block or a variable of the server, so it is not asked
DEPLOYMENTS = yaml.safe_load((Path(__file__).parents[1] / "deployments/prefect.yaml").read_text())["deployments"]
RETRAIN = next(one for one in DEPLOYMENTS if one["name"] == "retrain")["work_pool"]["job_variables"]


def render_job(kind, configuration, **more):
    """What the worker has made of the pool's template and the deployment when it starts the run."""
    made = job_template(kind, ROOT)
    found = asyncio.run(configuration.from_template_and_values(made, RETRAIN | more, client=NOBODY))
    found.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="a-training", deployment_id=uuid4()))
    return found


def test_a_process_pool_takes_the_template_of_its_worker():
    assert job_template("process", ROOT) == {}
    own = ProcessWorker.get_default_base_job_template()
    found = asyncio.run(ProcessJobConfiguration.from_template_and_values(own, RETRAIN, client=NOBODY))
    assert found.env == RETRAIN["env"]


def test_docker_runs_get_all_gpus_and_the_checkout_at_its_own_path():
    with temporary_settings({PREFECT_API_URL: "http://prefect.example:4200/api"}):
        found = render_job("docker", DockerWorkerJobConfiguration)
    worker = DockerWorker(work_pool_name=GPU_POOL)
    settings = worker._build_container_settings(docker_client=None, configuration=found)
    told = _create_container_args(settings | {"version": "1.43"})
    (devices,) = told["host_config"]["DeviceRequests"]
    assert (devices["Driver"], devices["Count"], devices["Capabilities"]) == ("nvidia", -1, [["gpu"]])
    assert told["host_config"]["Binds"] == ["/srv/recast:/srv/recast"]
    assert told["host_config"]["NetworkMode"] == "host"
    assert told["host_config"]["ShmSize"] == 2 * 1024**3
    assert told["image"] == "recast-gpu"
    assert set(RETRAIN["env"].items()) <= set(told["environment"].items()), "those of pool and deployment come together"
    assert told["environment"]["HOME"] == "/tmp"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://mlflow.example:5000", "http://mlflow.example:5000"),
        ("http://me:hunter22@mlflow.example:5000", "http://mlflow.example:5000"),
        ("postgresql://me:hunter22@db.example/mlflow", ""),
        ("", ""),
    ],
)
def test_docker_runs_find_the_registry_of_who_deployed(monkeypatch, given, shown, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    env = job_template("docker", ROOT)["variables"]["properties"]["env"]["default"]
    assert env == {"HOME": "/tmp"} | ({"MLFLOW_TRACKING_URI": shown} if shown else {}), (
        "and no secret: a template is shown"
    )
    assert ("left out of the pool" in capsys.readouterr().err) == ("hunter22" in given)


def test_docker_runs_on_the_processors_ask_for_no_device():
    made = job_template("docker", ROOT, gpu=False)
    assert made["variables"]["properties"]["container_create_kwargs"]["default"]["device_requests"] == []


def pod(**more):
    """The pod, its container, and the environment of that by name."""
    manifest = render_job("kubernetes", KubernetesWorkerJobConfiguration, **more).job_manifest
    found = manifest["spec"]["template"]["spec"]
    (container,) = found["containers"]
    return found, container, {one["name"]: one.get("value") for one in container["env"]}


def test_pods_get_a_gpu_on_a_node_that_has_one():
    found, container, environment = pod()
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert found["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert found["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert container["image"] == "recast-gpu"
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


def test_pods_find_the_places_and_the_secret():
    found, container, _ = pod(secret="foundry")
    assert container["envFrom"] == [{"secretRef": {"name": "foundry", "optional": True}}]
    assert {one["mountPath"]: one["subPath"] for one in container["volumeMounts"]} == {
        "/app/data": "data",
        "/app/artifacts": "artifacts",
    }
    assert found["volumes"] == [{"name": "places", "persistentVolumeClaim": {"claimName": "recast"}}]
    assert found["securityContext"] == {"runAsNonRoot": True, "fsGroup": 1000}


def test_a_deployment_may_ask_for_more_gpus_of_another_node():
    found, container, _ = pod(gpu_count=2, node_selector={"gpu": "h200"})
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert found["nodeSelector"] == {"gpu": "h200"}


def test_pods_that_need_no_gpu_go_to_any_node():
    variables = job_template("kubernetes", ROOT, gpu=False)["variables"]["properties"]
    assert variables["gpu_count"]["default"] == 0
    assert variables["node_selector"]["default"] == {}


@pytest.mark.parametrize("asked", [*POOL_TYPES, None])
def test_what_needs_no_gpu_is_in_no_container_on_a_host_of_its_own(asked):
    kinds = {pool: pool_type(pool, asked) for pool in POOLS}
    assert kinds == {GPU_POOL: asked, CPU_POOL: "process" if asked == "docker" else asked}
