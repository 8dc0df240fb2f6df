"""Events: what recast tells the Prefect server: new images, verdicts, a challenger that waits, and a model that is suspect."""

import time
from collections.abc import Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventIDFilter

from tasks.inbox.news import News
from tasks.monitoring.drift import Drift
from tasks.monitoring.escape_alarm import AlarmState
from tasks.pipeline.last_run import with_absolute_paths
from tasks.records.results import Release
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import Config, Places
from tasks.tracking import registry

ARRIVED, SUSPECT = "recast.images.arrived", "recast.model.suspect"
PATIENCE = 60.0  # seconds until the server must have an event


def tell_arrivals(arrived: News, number: int, why: str, drifts: Sequence[Drift], config: Config) -> None:
    """Send the event of new images for the `number`th time, with all that the run needs to know, unless the server has it.

    Return when the server has it. Raises ConnectionError if that takes longer than 60 s.
    """
    name = config.places.registered_name
    event = uuid5(NAMESPACE_URL, f"recast {name} {arrived.digest} {number}")
    if server_has(event):
        return
    emit_event(
        ARRIVED,
        resource={"prefect.resource.id": f"recast.images.{name}", "prefect.resource.name": f"new images for {name}"},
        payload={
            "why": for_terminal(why),
            "new_images": len(arrived.images),
            "source": for_terminal(arrived.source.name),
            "drift": [origin.model_dump(mode="json") for origin in drifts],
            "config": with_absolute_paths(config).model_dump(mode="json", exclude_defaults=True),
        },
        id=event,
    )
    last = time.monotonic() + PATIENCE
    while not server_has(event):
        if time.monotonic() > last:
            raise ConnectionError(f"the server has not taken the event of new images within {PATIENCE:.0f} s")
        time.sleep(0.5)


def server_has(event: UUID) -> bool:
    """Return whether the server knows the event."""
    with get_client(sync_client=True) as client:
        return bool(client.read_events(filter=EventFilter(id=EventIDFilter(id=[event])), limit=1).events)


def tell_verdict(decision: Release, places: Places) -> None:
    """Send the event that says what became of the model: `recast.model.promoted`, `.kept` or `.waiting`."""
    name = places.registered_name
    emit_event(
        f"recast.model.{decision.verdict}",
        resource={"prefect.resource.id": f"recast.model.{name}", "prefect.resource.name": name},
        payload={"reason": for_terminal(decision.reason), "version": decision.version, "run": decision.decided_in},
        id=uuid5(NAMESPACE_URL, f"{name} {decision.tracked} {decision.verdict}"),
    )


def tell_suspect(champion: registry.Version, alarm: AlarmState, places: Places) -> None:
    """Send the event that too many defective parts pass the version in use, `recast.model.suspect`: once for each version."""
    name = places.registered_name
    absolute = Places(data=places.data_root, artifacts=places.artifacts_root, registered_model=name)
    reason = f"{alarm.escapes:,} of {alarm.checked:,} checked parts that passed are defective"
    emit_event(
        SUSPECT,
        resource={"prefect.resource.id": f"recast.model.{name}", "prefect.resource.name": name},
        payload={"reason": reason, "version": champion.number, "places": absolute.model_dump(mode="json")},
        id=uuid5(NAMESPACE_URL, f"{name} {champion.tracked} suspect"),
    )


def announce(waiting: Release, places: Places) -> None:
    """Send the event that starts the deployment `approve`."""
    name, number = places.registered_name, waiting.version
    absolute = Places(data=places.data_root, artifacts=places.artifacts_root, registered_model=name)
    emit_event(
        "recast.challenger.waiting",
        resource={
            "prefect.resource.id": f"recast.challenger.{name}.{number}",
            "prefect.resource.name": f"{name} {number}",
        },
        payload={"version": number, "reason": for_terminal(waiting.reason), "places": absolute.model_dump(mode="json")},
        id=uuid5(NAMESPACE_URL, f"{name} {waiting.tracked}"),
    )
