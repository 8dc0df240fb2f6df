"""Watch: is there anything new to learn from? Then a retraining is asked for, by an event that each arrival causes once.

python flows/watch.py --once | --every SECONDS  [--source S] [--arrivals DIR]
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

import httpx
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventIDFilter
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from pydantic import Field

from tasks.inbox.news import NewImage, News, news, remember, rests_until, announcements_of
from tasks.inference import model_folder
from tasks.inference.predictor import Predictor
from tasks.monitoring.active_learning import to_label
from tasks.monitoring.drift import Drift, drift, examine
from tasks.pipeline.last_run import with_last_settings, last_config, last_run, own_model, with_absolute_paths
from tasks.pipeline.retention import is_running
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.reporting.drift_section import drift_section
from tasks.reporting.label_section import label_section
from tasks.reporting.markdown import of
from tasks.settings.cli import RetrainArguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.messages import say, warn, without_secrets
from tasks.settings.settings import Config, Places
from tasks.storage.files import exclusive_lock, check_writable
from tasks.tracking import registry

authenticate_or_exit()  # by the local password, where the server is on this machine

EVENT = "recast.images.arrived"
FORM = "retrain/retrain"  # the deployment that a person starts by hand
DAY = 86_400  # seconds
PATIENCE = 60.0  # seconds until the server must have the event


class WatchArguments(RetrainArguments):
    """Look for new images, and ask for a retraining on them: with the settings that are given, else with those of the last run."""

    min_new_images: int = Field(20, ge=1, description="So many new images are enough.")
    max_wait_days: float = Field(7.0, ge=0, description="Fewer are enough when the oldest has waited so long, in days.")
    once: bool = Field(False, description="Look once, and end.")
    every: float = Field(60.0, gt=0, description="Look so often, in seconds.")


@flow(flow_run_name="watch", log_prints=True)
def watch(config: Config = Config(), min_new_images: int = 20, max_wait_days: float = 7.0) -> bool:
    """Looks once, for a schedule. Whether a retraining was asked for; what arrived is an artifact.

    Of `config`, what is not given is as in the last successful run; training continues from the model in use. The form of the
    deployment `retrain` is kept at the settings of that run.
    """
    with without_secrets():
        asked = look(config, min_new_images, max_wait_days, publish)
        with get_client(sync_client=True) as client:  # after the look: a form is no reason to miss an arrival
            fill_form(client, form_settings(config.places))
    return asked


def form_settings(places: Places) -> dict[str, Any] | None:
    """Return the parameters with which a form for another run like the last one begins.

    None where there was no run, or where one of its settings no longer exists: then one line says so. The form keeps its own places.
    A registered model that follows from the source is left out: another source in the form then gets its own.
    """
    try:
        if (last := last_config(places)) is None:
            return None
        settings = with_absolute_paths(last).model_dump(mode="json", exclude_defaults=True, exclude={"places"})
    except BadInput as trouble:
        warn(f"the form of {FORM} stays as it is: {trouble}")
        return None
    return {"config": settings | ({"places": {"registered_model": model}} if (model := own_model(last)) else {})}


def fill_form(client: SyncPrefectClient, parameters: dict[str, Any] | None) -> None:
    """Let the form of the deployment `retrain` begin with these parameters, if there are any, and such a deployment.

    A server that does not take them is told of in one line: the look or the deployments before this are not undone by it.
    """
    try:
        form = client.read_deployment_by_name(FORM)
        if parameters is not None and parameters != form.parameters:
            client.update_deployment(form.id, DeploymentUpdate(parameters=parameters))
    except ObjectNotFound:
        pass
    except httpx.HTTPError as trouble:
        warn(f"the form of {FORM} stays as it is: {trouble}")


def look(config: Config, least: int, longest_days: float, show: Callable[[str, str], object]) -> bool:
    """Whether a retraining was asked for. Two looks at once at the same places come one after the other."""
    check_writable(config.places)
    before = last_run(config.places)
    if (asked := with_last_settings(config)) is None:
        say(
            f"watch: there was no run in {describe_places(config.places)}: flows/retrain.py makes one, or name a source"
        )
        return False
    asked = asked.with_model()
    places = asked.places
    places.data.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(places.data.absolute() / ".watching.lock"):
        found = news(asked.fetch, places)
        model = in_use(places)
        if model and (queue := to_label(model, asked.fetch.settle_seconds, places)) is not None:
            show("to-label", label_section(queue))
        if (why := found.due(least, longest_days * DAY)) is None:
            say(f"watch: new images: {len(found.images):,}, waiting for {least:,}")
            return False
        if obstacle := in_the_way(found, before, config.places):
            say(f"watch: {why}; {obstacle}")
            return False
        drifts = drift_by_origin(found.images, model) if model else ()
        show("arrivals", report(found, why, drifts))
        say(f"watch: {why}")
        return ask(found, why, drifts, asked)


def describe_places(places: Places) -> str:
    """Return where runs are looked for, and of which registered model, if of one alone."""
    of_model = f" of {places.registered_model}" if places.registered_model else ""
    return f"{places.artifacts.absolute()}{of_model}"


def in_the_way(found: News, before: Path | None, places: Places) -> str | None:
    """Why nothing is asked for now, or None; `before` is the last run when the look began."""
    if is_running(places):
        return "a run is under way, and what it leaves is asked for after it"
    if last_run(places) != before:
        return "a run has ended meanwhile, and the next look sees what it left"
    if PREFECT_API_URL.value() and (run := unfinished(places)):
        return f"the run {run.name} is {run.state_name}, and what it leaves is asked for after it"
    if then := rests_until(announcements_of(found, places), datetime.now(UTC)):
        return f"a retraining was asked for before, and without a run is again from {then:%d %b %H:%M} UTC on"
    return None


def unfinished(places: Places) -> FlowRun | None:
    """A run of `retrain` that waits or runs: on a worker that is away it would be one of many after as many looks."""
    ended = FlowRunFilterStateType(not_any_=list(TERMINAL_STATES))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["retrain"])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=ended)),
        )
    return next((run for run in runs if concerns(run, places)), None)


def concerns(run: FlowRun, places: Places) -> bool:
    """Whether somebody asked for the run, as no schedule does that lies days ahead, and nothing tells that it has other places."""
    named = (run.parameters.get("config") or {}).get("places") or {}
    mine = {"data": str(places.data.absolute()), "artifacts": str(places.artifacts.absolute())}
    # a relative one tells nothing: it depends on where the run starts
    others = [name for name in mine if Path(path := named.get(name, "")).is_absolute() and path != mine[name]]
    return not run.auto_scheduled and not others


def in_use(places: Places) -> Predictor | None:
    """What judges; None before the first model, and where the files of the one in use cannot be had."""
    version = registry.champion(places)
    try:
        return Predictor(model_folder.ensure_local(version, places), version.number) if version else None
    except BadInput as trouble:
        say(f"watch: what arrives is not judged: {trouble}")
        return None


def drift_by_origin(images: tuple[NewImage, ...], model: Predictor) -> tuple[Drift, ...]:
    """The drift of each origin."""
    origins = defaultdict[str, list[NewImage]](list)
    for one in images:
        origins[one.origin].append(one)
    return tuple(
        drift(origin, [one.label for one in some], examine([one.path for one in some], model), model)
        for origin, some in origins.items()
    )


def report(found: News, why: str, drifts: tuple[Drift, ...]) -> str:
    """What arrived, as Markdown."""
    head = for_markdown(f"{why[0].upper()}{why[1:]}.")
    if not drifts:
        return head
    escapes, looked_at = sum(one.escapes for one in drifts), sum(one.decisions.get("review", 0) for one in drifts)
    would = f"pass {escapes:,} of the new defects and send {of(looked_at, len(found.images))} images to a person"
    return f"{head}\n\nThe model in use would {would}.\n\n{drift_section(drifts)}"


def ask(found: News, why: str, drifts: tuple[Drift, ...], config: Config) -> bool:
    """Sends the event, sees that the server has it, and only then notes it: who dies between asks once more, for the same event."""
    if not PREFECT_API_URL.value():
        say("watch: no server is told, since PREFECT_API_URL is not set; python flows/retrain.py learns from it now")
        return False
    number = len(announcements_of(found, config.places)) + 1
    event = uuid5(NAMESPACE_URL, f"recast {config.places.registered_name} {found.digest} {number}")
    if not server_has(event):
        send_event(event, found, why, drifts, config)
        wait_until_sent(event)
    remember(found, why, config.places)
    say("watch: a retraining is asked for" + (f", the {number}. time for these news" if number > 1 else ""))
    return True


def send_event(event: UUID, found: News, why: str, drifts: tuple[Drift, ...], config: Config) -> None:
    """Sends the event, with all that the run needs to know."""
    name = config.places.registered_name
    emit_event(
        EVENT,
        resource={"prefect.resource.id": f"recast.images.{name}", "prefect.resource.name": f"new images for {name}"},
        payload={
            "why": for_terminal(why),
            "new_images": len(found.images),
            "source": for_terminal(found.source.name),
            "drift": [one.model_dump(mode="json") for one in drifts],
            "config": with_absolute_paths(config).model_dump(mode="json", exclude_defaults=True),
        },
        id=event,
    )


def server_has(event: UUID) -> bool:
    """Whether the server knows the event."""
    with get_client(sync_client=True) as client:
        return bool(client.read_events(filter=EventFilter(id=EventIDFilter(id=[event])), limit=1).events)


def wait_until_sent(event: UUID) -> None:
    """Raises ConnectionError if the server does not get the event in time."""
    last = time.monotonic() + PATIENCE
    while not server_has(event):
        if time.monotonic() > last:
            raise ConnectionError(f"the server has not taken the event of new images within {PATIENCE:.0f} s")
        time.sleep(0.5)


def publish(key: str, text: str) -> None:
    """As an artifact of the Prefect UI."""
    create_markdown_artifact(text, key=key, description=key.replace("-", " "))


def main() -> None:
    asked = parse(WatchArguments, sys.argv[1:])
    config = Config(**{name: getattr(asked, name) for name in asked.model_fields_set & set(Config.model_fields)})

    def once() -> None:
        look(config, asked.min_new_images, asked.max_wait_days, lambda _, text: say(*text.splitlines()))

    if asked.once:
        return once()
    while True:
        exit_status(once)  # what cannot be read today is told, and looked at again
        time.sleep(asked.every)


if __name__ == "__main__":
    sys.exit(exit_status(main))
