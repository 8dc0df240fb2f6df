"""Deployments: each names a flow that is there, with parameters that it takes."""

from pathlib import Path

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

from deployments.automations import BEAT, silent_runs_crash

FILE = Path(__file__).parents[1] / "deployments/prefect.yaml"
DEPLOYMENTS = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]


def test_each_has_a_name_of_its_own():
    names = [one["name"] for one in DEPLOYMENTS]
    assert sorted(names) == sorted({"retrain", "watch", "approve", "promote", "predict-batch", "prune"})


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_its_flow_takes_its_parameters(deployment):
    flow = load_flow_from_entrypoint(f"{FILE.parents[1]}/{deployment['entrypoint']}")
    told = dict(deployment.get("parameters", {}))
    for trigger in deployment.get("triggers", ()):
        told |= trigger["parameters"]
    taken = flow.parameters.properties
    assert set(told) <= set(taken)
    assert set(flow.parameters.required) <= set(told)


def test_no_arrival_is_swallowed_by_the_window_of_another():
    (trigger,) = next(one for one in DEPLOYMENTS if one["name"] == "retrain")["triggers"]
    assert trigger["within"] <= trigger["schedule_after"], "what is told in the window lies there when the run begins"


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_runs_give_the_signs_of_life_that_the_automation_waits_for(deployment):
    told = deployment["work_pool"]["job_variables"]["env"]
    assert told["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(BEAT)
    assert silent_runs_crash().trigger.within.total_seconds() == 3 * BEAT
