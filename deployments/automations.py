"""Automations: what the server does by itself when a run falls silent, crashes or fails, and when a model is kept out again.

They look at the runs of recast's flows alone, by hand or of a deployment; a server knows a flow by its name.
RECAST_ALERTS, the address of a webhook that takes {"text": ...} (Slack, Mattermost, Teams), switches the alerts on.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.types import SecretDict

# Seconds between the signs of life that a run gives: prefect.yaml sets it for runs of deployments, whose process imports Prefect
# before anything of recast's, and tasks/__init__.py for runs by hand.
BEAT = 30
RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
FLOWS = ["approve", "judge", "promote", "prune", "retrain", "watch"]
OURS = {"prefect.resource.role": "flow", "prefect.resource.name": FLOWS}  # others' may beat less often, or not at all
BLOCK = "recast-alerts"
ALERTS = FAILURES, KEPT_OUT = "recast-failures-are-told", "recast-kept-out-again-is-told"


def silent_runs_crash() -> AutomationCore:
    """Worker and run may die together; then nobody else says that the run is over, and its place stays taken."""
    return AutomationCore(
        name="recast-silent-runs-crash",
        description="A run that gave no sign of life for three beats counts as crashed.",
        trigger=EventTrigger(
            posture=Posture.Proactive, threshold=1, within=timedelta(seconds=3 * BEAT), match=RUNS, match_related=OURS,
            for_each={"prefect.resource.id"}, after={"prefect.flow-run.heartbeat"}, expect={"prefect.flow-run.*"},
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no sign of life for {3 * BEAT} s")],
    )  # fmt: skip


def crashed_trainings_go_on(deployment: UUID) -> AutomationCore:
    """The same run is scheduled again: its steps are remembered, and its training goes on after the last finished epoch.

    Of a run that dies and leaves its worker, the worker tells twice, a second apart and in other words; the second report undoes
    what answered the first, so each is answered.
    """
    return AutomationCore(
        name="recast-crashed-trainings-go-on",
        description="A crashed run of `retrain` is started again, at most once an hour for each way to crash.",
        trigger=EventTrigger(
            posture=Posture.Reactive, threshold=1, within=timedelta(hours=1), match=RUNS,
            match_related={"prefect.resource.id": f"prefect.deployment.{deployment}"},
            for_each={"prefect.resource.id", "prefect.state-message"}, expect={"prefect.flow-run.Crashed"},
        ),
        actions=[ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message="crashed, goes on")],
    )  # fmt: skip


def failures_are_told(block: UUID) -> AutomationCore:
    """Once, and not with each look at an inbox that cannot be read."""
    return AutomationCore(
        name=FAILURES,
        description="Somebody hears of a run that failed or crashed; of others of its deployment not within the hour.",
        trigger=EventTrigger(
            posture=Posture.Reactive, threshold=1, within=timedelta(hours=1), match=RUNS, match_related=OURS,
            for_each={"related:deployment:prefect.resource.id"},
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
        ),
        actions=[SendNotification(
            block_document_id=block, subject="recast: {{ flow_run.name }} has {{ flow_run.state.name | lower }}",
            body="{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
        )],
    )  # fmt: skip


def kept_out_again_is_told(block: UUID) -> AutomationCore:
    """One model that is no better is everyday; two in a row say that new images do not help, or that a limit cannot be kept."""
    return AutomationCore(
        name=KEPT_OUT,
        description="Somebody hears of two models that were kept out within two weeks.",
        trigger=EventTrigger(
            posture=Posture.Reactive, threshold=2, within=timedelta(days=14),
            match={"prefect.resource.id": "recast.model.*"}, for_each={"prefect.resource.id"},
            expect={"recast.model.kept"},
        ),
        actions=[SendNotification(
            block_document_id=block, subject="recast: a model was kept out again",
            body="{{ event.payload.reason }}",
        )],
    )  # fmt: skip


def wanted(client: SyncPrefectClient) -> Iterator[AutomationCore]:
    """All that this server should have."""
    yield silent_runs_crash()
    yield crashed_trainings_go_on(client.read_deployment_by_name("retrain/retrain").id)
    if address := os.environ.get("RECAST_ALERTS"):
        block = CustomWebhookNotificationBlock(
            name=BLOCK,
            url="{{address}}",  # who knows the address can write there, so it is kept as a secret
            secrets=SecretDict({"address": address}),
            json_data={"text": "{{subject}}\n{{body}}"},
        )
        saved = block.save(BLOCK, overwrite=True)
        assert isinstance(saved, UUID)
        yield failures_are_told(saved)
        yield kept_out_again_is_told(saved)


def apply(client: SyncPrefectClient) -> list[str]:
    """Brings the server to what is wanted, by name: what is there is changed, and nothing is there twice. Returns the names.

    What a person has disabled stays so; alerts go when nobody is told any more.
    """
    names = []
    for automation in wanted(client):
        there = client.read_automations_by_name(automation.name)
        for double in there[1:]:
            client.delete_automation(double.id)
        if there:
            client.update_automation(there[0].id, automation.model_copy(update={"enabled": there[0].enabled}))
        else:
            client.create_automation(automation)
        names.append(automation.name)
    for name in set(ALERTS) - set(names):
        for one in client.read_automations_by_name(name):
            client.delete_automation(one.id)
    return names
