"""Watch: looks for new images, and asks for a retraining by an event. Each arrival causes one event.

python flows/watch.py --once | --every SECONDS  [--source S] [--arrivals DIR]
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.settings import PREFECT_API_URL
from pydantic import Field

from flows.events import tell_arrivals
from flows.form import fill_form, form_settings
from tasks.inbox.news import NewImage, News, news, record_announcement, postponed_until, announcements_of
from tasks.inference import model_folder
from tasks.inference.predictor import Predictor
from tasks.monitoring.active_learning import to_label
from tasks.monitoring.drift import Drift, drift, judge_files
from tasks.pipeline.last_run import with_last_settings, last_run
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.reporting.drift_section import drift_section
from tasks.reporting.label_section import label_section
from tasks.reporting.markdown import out_of
from tasks.settings.cli import RetrainArguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_markdown
from tasks.settings.messages import say, without_secrets
from tasks.settings.settings import Config, Places
from tasks.storage.locks import check_writable, exclusive_lock, is_locked
from tasks.tracking import registry

authenticate_or_exit()  # by the local password, where the server is on this machine

DAY = 86_400  # seconds
MIN_NEW_IMAGES, MAX_WAIT_DAYS = 20, 7.0


class WatchArguments(RetrainArguments):
    """Look for new images, and ask for a retraining on them: with the settings that are given, else with those of the last run."""

    min_new_images: int = Field(MIN_NEW_IMAGES, ge=1, description="So many new images are enough.")
    max_wait_days: float = Field(
        MAX_WAIT_DAYS, ge=0, description="Fewer are enough when the oldest has waited so long, in days."
    )
    once: bool = Field(False, description="Look once, and end.")
    every: float = Field(60.0, gt=0, description="Look so often, in seconds.")


@flow(flow_run_name="watch", log_prints=True)
def watch(
    config: Config = Config(), min_new_images: int = MIN_NEW_IMAGES, max_wait_days: float = MAX_WAIT_DAYS
) -> bool:
    """Look once, for a schedule, and return whether a retraining was requested. An artifact shows what arrived.

    Of `config`, what is not given is as in the last successful run; training continues from the model in use. The form of the
    deployment `retrain` is kept at the settings of that run.
    """
    with without_secrets():
        requested = look(
            config,
            min_new_images,
            max_wait_days,
            lambda key, text: create_markdown_artifact(text, key=key, description=key.replace("-", " ")),
        )
        with get_client(sync_client=True) as client:  # after the look: a form is no reason to miss an arrival
            fill_form(client, form_settings(config.places))
    return requested


def look(config: Config, least: int, longest_days: float, show: Callable[[str, str], object]) -> bool:
    """Look for new images once, and return whether a retraining was requested.

    Two looks at the same places wait for each other. `least` images are enough, or fewer after `longest_days`. `show` gets the key
    and the Markdown of each artifact.
    """
    check_writable(config.places)
    before = last_run(config.places)
    if (settings := with_last_settings(config)) is None:
        where = " of ".join(filter(None, [str(config.places.artifacts_root), config.places.registered_model]))
        say(f"watch: there was no run in {where}: flows/retrain.py makes one, or name a source")
        return False
    settings = settings.with_model()
    places = settings.places
    places.data.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(places.data_root / ".watching.lock"):
        arrived = news(settings.fetch, places)
        model = champion_predictor(places)
        if model and (queue := to_label(model, settings.fetch.settle_seconds, places)) is not None:
            show("to-label", label_section(queue))
        if (why := arrived.reason_to_retrain(least, longest_days * DAY)) is None:
            say(f"watch: new images: {len(arrived.images):,}, waiting for {least:,}")
            return False
        if obstacle := find_obstacle(arrived, before, config.places):
            say(f"watch: {why}; {obstacle}")
            return False
        drifts = drift_by_origin(arrived.images, model) if model else ()
        show("arrivals", report(arrived, why, drifts))
        say(f"watch: {why}")
        return request_retraining(arrived, why, drifts, settings)


def find_obstacle(arrived: News, before: Path | None, places: Places) -> str | None:
    """Return why no retraining is requested now, or None. `before` is the last run when the look began."""
    if is_locked(places):
        return "a run is under way; what it does not use is requested afterwards"
    if last_run(places) != before:
        return "a run has ended meanwhile; the next look sees what it did not use"
    if PREFECT_API_URL.value() and (run := unfinished_run(places)):
        return f"the run {run.name} is {run.state_name}; what it does not use is requested afterwards"
    if until := postponed_until(announcements_of(arrived, places), datetime.now(UTC)):
        return (
            f"a retraining was requested earlier; if none starts, it is requested again after {until:%d %b %H:%M} UTC"
        )
    return None


def unfinished_run(places: Places) -> FlowRun | None:
    """Return a run of `retrain` that waits or runs, or None.

    While the worker is away, each look would add one more run.
    """
    unended = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(TERMINAL_STATES)))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["retrain"])),
            flow_run_filter=FlowRunFilter(state=unended),
        )
    return next((run for run in runs if was_requested_for(run, places)), None)


def was_requested_for(run: FlowRun, places: Places) -> bool:
    """Return whether somebody asked for the run, and nothing says that it has other places.

    A run that a schedule planned, perhaps for days ahead, does not count: nobody asked for it.
    """
    run_places = (run.parameters.get("config") or {}).get("places") or {}
    own_places = {"data": str(places.data_root), "artifacts": str(places.artifacts_root)}
    # A relative path tells nothing: it depends on where the run starts.
    absolute = {name: path for name, path in run_places.items() if name in own_places and Path(path).is_absolute()}
    return not run.auto_scheduled and absolute.items() <= own_places.items()


def champion_predictor(places: Places) -> Predictor | None:
    """Return the model in use; None before the first one, and where the files of the one in use cannot be had."""
    version = registry.champion(places)
    try:
        return Predictor(model_folder.ensure_local(version, places), version.number) if version else None
    except BadInput as trouble:
        say(f"watch: what arrives is not judged: {trouble}")
        return None


def drift_by_origin(images: tuple[NewImage, ...], model: Predictor) -> tuple[Drift, ...]:
    """Return the drift of each origin."""
    origins = defaultdict[str, list[NewImage]](list)
    for image in images:
        origins[image.origin].append(image)
    return tuple(
        drift(origin, [image.label for image in group], judge_files([image.path for image in group], model), model)
        for origin, group in origins.items()
    )


def report(arrived: News, why: str, drifts: tuple[Drift, ...]) -> str:
    """Return what arrived, as Markdown."""
    head = for_markdown(f"{why[0].upper()}{why[1:]}.")
    if not drifts:
        return head
    reviews = out_of(sum(origin.decisions.get("review", 0) for origin in drifts), len(arrived.images))
    actions = (
        f"pass {sum(origin.escapes for origin in drifts):,} of the new defects and send {reviews} images to a person"
    )
    return f"{head}\n\nThe model in use would {actions}.\n\n{drift_section(drifts)}"


def request_retraining(arrived: News, why: str, drifts: tuple[Drift, ...], config: Config) -> bool:
    """Send the event, wait until the server has it, and only then note it. Return whether there is a server.

    A process that dies in between asks once more, with the same event.
    """
    if not PREFECT_API_URL.value():
        say("watch: no server is told, since PREFECT_API_URL is not set; python flows/retrain.py learns from it now")
        return False
    number = len(announcements_of(arrived, config.places)) + 1
    tell_arrivals(arrived, number, why, drifts, config)
    record_announcement(arrived, why, config.places)
    say("watch: a retraining is requested" + (f": request {number} for the same images" if number > 1 else ""))
    return True


def main() -> None:
    """Look once, or again and again, as the command line says."""
    arguments = parse(WatchArguments, sys.argv[1:])
    config = Config(
        **{name: getattr(arguments, name) for name in arguments.model_fields_set & set(Config.model_fields)}
    )

    def look_once() -> None:
        look(config, arguments.min_new_images, arguments.max_wait_days, lambda _, text: say(*text.splitlines()))

    if arguments.once:
        return look_once()
    while True:
        exit_status(look_once)  # says what cannot be read, and the next look tries again
        time.sleep(arguments.every)


if __name__ == "__main__":
    sys.exit(exit_status(main))
