"""Deployments: each names a flow that is there, with parameters that it takes."""

from pathlib import Path

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

FILE = Path(__file__).parents[1] / "deployments/prefect.yaml"
DEPLOYMENTS = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]


def test_each_has_a_name_of_its_own():
    names = [one["name"] for one in DEPLOYMENTS]
    assert sorted(names) == sorted({"weekly", "approve", "promote", "judge", "prune"})


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_its_flow_takes_its_parameters(deployment):
    flow = load_flow_from_entrypoint(f"{FILE.parents[1]}/{deployment['entrypoint']}")
    told = dict(deployment.get("parameters", {}))
    for trigger in deployment.get("triggers", ()):
        told |= trigger["parameters"]
    taken = flow.parameters.properties
    assert set(told) <= set(taken)
    assert set(flow.parameters.required) <= set(told)
