"""Automations: what the server does by itself when a run falls silent, crashes or fails, and when a model is kept out again.

They watch the runs of recast's flows alone, by hand or of a deployment: a server knows a flow by its name.
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

from tasks import DEFAULTS

# Seconds between the signs of life that a run gives: prefect.yaml sets it for runs of deployments, whose process imports Prefect
# before anything of recast's, and tasks/__init__.py for runs by hand.
BEAT = int(DEFAULTS["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
FLOWS = ["approve", "judge", "promote", "prune", "retrain", "train_fold", "watch"]
OURS = {"prefect.resource.role": "flow", "prefect.resource.name": FLOWS}  # others' may beat less often, or not at all
BLOCK = "recast-alerts"
ALERTS = FAILURES, KEPT_OUT = "recast-failures-are-told", "recast-kept-out-again-is-told"


def silent_run_automation() -> AutomationCore:
    """Return the automation that counts a silent run as crashed.

    Worker and run may die together. Then nobody else says that the run is over, and its place stays taken.
    """
    return AutomationCore(
        name="recast-silent-runs-crash",
        description="A run that gave no sign of life for three beats counts as crashed.",
        trigger=EventTrigger(
            posture=Posture.Proactive, threshold=1, within=timedelta(seconds=3 * BEAT), match=RUNS, match_related=OURS,
            for_each={"prefect.resource.id"}, after={"prefect.flow-run.heartbeat"}, expect={"prefect.flow-run.*"},
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no sign of life for {3 * BEAT} s")],
    )  # fmt: skip


def restart_automation(deployment: UUID) -> AutomationCore:
    """Return the automation that schedules a crashed training again.

    The steps of the run are cached, and training goes on after the last finished epoch. Where a run dies and its worker lives, the
    worker reports the crash twice, a second apart and in different words. The second report would cancel the new schedule, so each
    report is answered.
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


def failure_alert(block: UUID) -> AutomationCore:
    """Return the alert about a run that failed or crashed.

    At most one an hour for each deployment: else each look at an inbox that cannot be read would send one.
    """
    return AutomationCore(
        name=FAILURES,
        description="Notifies of a run that failed or crashed, at most once an hour for each deployment.",
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


def kept_out_alert(block: UUID) -> AutomationCore:
    """Return the alert about two models in a row that were kept out.

    One model that is no better is everyday. Two in a row say that new images do not help, or that a limit cannot be kept.
    """
    return AutomationCore(
        name=KEPT_OUT,
        description="Notifies of two models that were kept out within two weeks.",
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


def make_automations(client: SyncPrefectClient) -> Iterator[AutomationCore]:
    """Yield all automations that this server should have. The alerts need RECAST_ALERTS, which becomes a block of the server."""
    yield silent_run_automation()
    yield restart_automation(client.read_deployment_by_name("retrain/retrain").id)
    if address := os.environ.get("RECAST_ALERTS"):
        block = CustomWebhookNotificationBlock(
            name=BLOCK,
            url="{{address}}",  # who knows the address can write there, so it is kept as a secret
            secrets=SecretDict({"address": address}),
            json_data={"text": "{{subject}}\n{{body}}"},
        )
        block_id = block.save(BLOCK, overwrite=True)
        assert isinstance(block_id, UUID)
        yield failure_alert(block_id)
        yield kept_out_alert(block_id)


def apply_automations(client: SyncPrefectClient) -> list[str]:
    """Bring the automations of the server up to date, by name, each of them once. Return the names.

    What a person has disabled stays disabled. Alerts are removed where RECAST_ALERTS is not set.
    """
    names = []
    for automation in make_automations(client):
        existing = client.read_automations_by_name(automation.name)
        for duplicate in existing[1:]:
            client.delete_automation(duplicate.id)
        if existing:
            client.update_automation(existing[0].id, automation.model_copy(update={"enabled": existing[0].enabled}))
        else:
            client.create_automation(automation)
        names.append(automation.name)
    for name in set(ALERTS) - set(names):
        for alert in client.read_automations_by_name(name):
            client.delete_automation(alert.id)
    return names
