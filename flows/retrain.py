"""Retrain: from a source of labeled parts to a judged model in use, or to the reason why not.

python flows/retrain.py --help
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

import os
import signal
from collections.abc import Sequence

from tasks.settings.messages import say, warn, without_secrets
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from flows.events import announce, tell_verdict
from tasks.audit import audit
from tasks.choose import choose
from tasks.crossfit import crossfit
from tasks.dataset.corrections import find_corrections, load_corrections
from tasks.dataset.group_split import NEEDS_DEFECTS
from tasks.dataset.part_names import find_part_names
from tasks.evaluate import evaluate
from tasks.export import export
from tasks.extract import extract
from tasks.fetch import fetch
from tasks.inbox.arrivals import bring_defects, find_arrivals
from tasks.inbox.news import not_yet_used
from tasks.inference import model_folder
from tasks.monitoring.checked_parts import checked_production, production_facts
from tasks.pipeline.server_access import require_database
from tasks.pipeline.step_cache import Steps
from tasks.plot import plot
from tasks.records.results import Arrival, ClassFolders, Corrections, OutOfFold, Release, Source, Splits
from tasks.records.run import ProductionFacts
from tasks.release import Candidate, earlier_decision, release
from tasks.reporting import html, report
from tasks.reporting.model_card import without_front_matter
from tasks.reporting.run_folder import new_run_id, write_run
from tasks.reporting.run_json import PreTraining, RunResult, checkout_state, fill_run_json
from tasks.reporting.words import capitalized
from tasks.settings.cli import RetrainArguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.crops import MASK
from tasks.settings.redaction import redact
from tasks.settings.settings import ChampionModel, Config, Places, Recipe
from tasks.sources.folder import say_left_out
from tasks.sources.locate import locate
from tasks.split import split
from tasks.storage.files import delete_stale_scratch
from tasks.storage.locks import check_writable, places_lock
from tasks.tracking import connection, registry, run_log, runs
from tasks.train import train
from tasks.training import warm_start, warm_up
from tasks.validate import validate


def run_name() -> str:
    """Return the first name of the flow run, as long as the number of new images is not known."""
    config = Config.model_validate(flow_run.parameters["config"])
    return name_of_run(config.training.model, config, datetime.now(UTC))


def name_of_run(beginning: str, config: Config, started: datetime) -> str:
    """Return the name of a run, as `ring, 30 new on castings.zip, 23 Nov 12:00`: `beginning` is the part before the source."""
    source = config.fetch.source if ":" in config.fetch.source else Path(config.fetch.source).name
    return for_terminal(f"{beginning} on {source}, {started:%d %b %H:%M}")


@flow(flow_run_name=run_name, log_prints=True)
def retrain(config: Config = Config()) -> Release:
    """Run the pipeline from the source to a release: a model in use, or the reason why not."""
    with without_secrets():
        config = config.with_model()
        with places_lock(config.places):
            released = run_pipeline(config)
        if released.version is None:  # Prefect shows a state by a name of its own, not as `Completed`
            return Completed(name="NothingInUse", message="no model is in use", data=released)  # type: ignore[return-value]
        return released


def run_pipeline(config: Config) -> Release:
    """Run all steps, with settings that name the registered model."""
    started, start_time = datetime.now(UTC), time.perf_counter()
    run_id, step = new_run_id(started, config), Steps(config.places)
    before, warming = prepare_images(step, config)
    splits = before.splits
    recipe, because = choose_recipe(step, config, splits)
    rename_run(splits, recipe, config, started)
    if warming:
        warming.join()
    out_of_fold = judge_out_of_fold(step, splits, recipe, config)
    model = step(train, splits, recipe)
    evaluation = step(evaluate, splits, model, config.evaluation, out_of_fold)
    figures = step(plot, before.audit, splits, model, evaluation, before.words)
    exports = step(export, before.manifest, before.audit, splits, model, evaluation, config.evaluation, before.words)
    decision = step(release, splits, model, evaluation, exports, config.evaluation, config.acceptance, run_id)
    decision = adopt_unfinished(decision, run_id, config.places)
    show(RunResult(
        **vars(before), run_id=run_id, started=started, wall_seconds=time.perf_counter() - start_time, times=step.times,
        out_of_fold=out_of_fold, model=model, evaluation=evaluation, figures=figures, exports=exports, release=decision,
        chosen_because=because, production=find_production(config.places),
    ))  # fmt: skip
    return decision


def prepare_images(step: Steps, config: Config) -> tuple[PreTraining, Thread | None]:
    """Run the steps before the training, and show what they say of the images: hours of training follow, and may fail.

    Returns their records, and the thread that warms up for the training; None where nothing has changed.
    """
    code_state = checkout_state()
    delete_stale_scratch(config.places)
    source = preflight(config)
    connection.prepare(config.places)  # before there are models: then models without a database show that it was lost
    archive = step(fetch, source)
    folder = step(extract, archive, config.fetch.classes)
    say_left_out("source", list(dict.fromkeys((*source.left_out, *folder.left_out))))
    arrivals, corrections = find_new(config, folder.folders)
    manifest = step(validate, folder, arrivals, corrections, config.validation)
    unchanged = step.times["validate"]["cached"]  # then the audit takes no time either, nor perhaps the training
    warming = None if unchanged else warm_up.start(manifest, config.training, config.places)
    audited = step(audit, manifest, find_part_names(config.splitting), config.audit)
    splits = step(split, manifest, audited, config.splitting, config.view, config.training.good_alone)
    before = PreTraining(config, source, arrivals, archive, folder, manifest, audited, splits, code_state)
    publish_sections(report.before_training(before), config.places)
    return before, warming


def judge_out_of_fold(step: Steps, splits: Splits, recipe: Recipe, config: Config) -> OutOfFold | None:
    """Judge all parts by networks that never saw them; None where no folds are asked for."""
    settings, unlike_share = config.crossfit, config.evaluation.unlike_share
    return (
        step(crossfit, splits, recipe.from_scratch(), settings, config.splitting.validation_fraction, unlike_share)
        if settings.folds
        else None
    )


def adopt_unfinished(decision: Release, run_id: str, places: Places) -> Release:
    """Adopt a decision that an earlier, interrupted run made but did not announce."""
    if decision.decided_in == run_id or not runs.is_open(decision.tracked, places):
        return decision
    if decision.version and decision.verdict != "kept":
        registry.adopt(decision.version, run_id, places)
    return decision.model_copy(update={"decided_in": run_id})


def rename_run(splits: Splits, recipe: Recipe, config: Config, started: datetime) -> None:
    """Name the run by its network, and by how many images no earlier run used."""
    beginning = f"{recipe.model}, {not_yet_used(splits.table.path(config.places), config.places):,} new"
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name_of_run(beginning, config, started))


def preflight(config: Config) -> Source:
    """Return the source. Raises BadInput, before any work is done, for everything that the user can mend."""
    if config.training.require_gpu:
        from tasks.networks.devices import require_gpu

        require_gpu()
    check_writable(config.places)
    connection.require_usable(config.places)
    registry.champion(config.places)  # raises where its alias was removed: the candidate would count as the first model
    find_part_names(config.splitting)
    source = locate(config.fetch, config.places)
    if source.folders:  # of a data set that is not yet downloaded nobody knows the class folders
        arrivals, corrections = find_new(config, source.folders)
        classes = source.folders.classes
        corrected = {change.correction for change in load_corrections(corrections, classes).values()}
        may_have_defects = source.has_defects or bring_defects(arrivals, source.folders) or classes.defect in corrected
        if not (may_have_defects or config.training.good_alone):
            raise BadInput(f"{source.name} has no image of a defective part: {NEEDS_DEFECTS}")
    require_first_weights(config)
    return source


def require_first_weights(config: Config) -> None:
    """Fetch the downloaded weights that a training will begin with, where it needs any. Raises BadInput where they cannot be had."""
    champion = model_to_continue(config)
    # the box of `mask` is known after the split alone
    crop = champion.crop if champion and config.view.crop == MASK else config.view.crop
    name, _ = config.training.choice(0.0, champion, crop)
    recipe = config.training.model_copy(update={"model": name}).recipe(champion=champion)
    continues = champion and not champion.difference(recipe.model_copy(update={"crop": crop}))
    if recipe.spec.pretrained and (config.crossfit.folds or not continues):
        from tasks.networks.imagenet import pretrained  # late: it loads TensorFlow, which no other network needs here

        pretrained()


def find_new(config: Config, class_folders: ClassFolders) -> tuple[tuple[Arrival, ...], Corrections]:
    """Return the arrivals and the corrections. Raises BadInput for everything in them that the user can mend."""
    corrections = find_corrections(class_folders.classes, config.places)
    return find_arrivals(config.fetch, class_folders, config.places), corrections


def choose_recipe(step: Steps, config: Config, splits: Splits) -> tuple[Recipe, str]:
    """Return the recipe of the network that suits the images, and why this one."""
    training, champion = config.training, model_to_continue(config)
    crop = splits.pictures.crop if splits.pictures else None
    if training.needs_trial(splits.ring_share, champion, crop):
        tried = step(choose, splits, training, config.splitting.validation_fraction)
        training, because = training.model_copy(update={"model": tried.model}), tried.because
    else:
        _, because = training.choice(splits.ring_share, champion, crop)
    recipe = training.recipe(splits.ring_share, champion, splits.pictures)
    say(f"train: {recipe.model}, since {because}")
    return recipe, because


def model_to_continue(config: Config) -> ChampionModel | None:
    """Return the model in use where the training may continue from it; None where it is not asked to."""
    return warm_start.champion_model(config.places) if config.training.start_from == "champion" else None


def find_production(places: Places) -> tuple[ProductionFacts, ...]:
    """Return what spot checks show of the versions at the stations; nothing, with a line, where the answers cannot be read."""
    try:
        return tuple(production_facts(*checked_production(places), places))
    except (BadInput, OSError) as fault:
        warn(f"the report is without what spot checks show: {fault}")
        return ()


def show(outcome: RunResult) -> None:
    """Write the run's folder, and show its report in the Prefect UI."""
    places = outcome.config.places
    sections = report.sections(outcome)
    heading = f"{capitalized(outcome.words.singular)} inspection model"
    folder = write_run(outcome, html.html(sections, heading, f"{outcome.source.name}, {outcome.run_id}", places))
    publish_sections(sections, places)
    card = (model_folder.path(outcome.exports.digest, places) / "README.md").read_text(encoding="utf-8")
    create_markdown_artifact(without_front_matter(card), key="card", description="What goes with the model's folder")
    finish_tracking(outcome, folder)
    say(f"report: {folder / 'report.html'}")


def finish_tracking(outcome: RunResult, folder: Path) -> None:
    """Complete MLflow's run of the decision, and announce the verdict.

    Do nothing where there is no such run, or where it is complete: then this run repeats a decision that was announced.
    """
    places, mlflow_run_id = outcome.config.places, outcome.release.tracked
    if mlflow_run_id and runs.is_open(mlflow_run_id, places):
        tell_verdict(outcome.release, places)
        if outcome.release.verdict == "waiting":
            announce(outcome.release, places)
        links = {"prefect.flow_run_id": flow_run.id or "", "prefect.flow_run_url": redact(flow_run.ui_url or "")}
        tags = {
            name: link for name, link in links.items() if link and not link.startswith("None")
        }  # without a UI there is no address
        content, history, note = fill_run_json(outcome), outcome.model.history, report.result(outcome)
        run_log.finish(mlflow_run_id, content, history, note, tags, folder, places)
        warm_query_cache(outcome)


def warm_query_cache(outcome: RunResult) -> None:
    """Ask MLflow what an unchanged run will ask, so that the unchanged run need not load MLflow.

    Now MLflow is loaded, and the last entry is written.
    """
    config = outcome.config
    earlier_decision(Candidate(
        outcome.splits, outcome.model, outcome.evaluation, outcome.exports,
        config.evaluation, config.acceptance, outcome.run_id, config.places,
    ))  # fmt: skip
    runs.is_open(outcome.release.tracked, config.places)
    runs.page_of(outcome.release.tracked, config.places)


def publish_sections(sections: Sequence[report.Section], places: Places) -> None:
    """Show the sections as artifacts of the Prefect UI."""
    for section in sections:
        create_markdown_artifact(
            html.markdown(section, places), key=section.title.lower().replace(" ", "-"), description=section.title
        )


def require_model(released: Release) -> None:
    """Exit with status 1 where a run leaves no model in use: what follows the run would find none."""
    if released.version is None:
        warn(
            f"no model is in use, and the new one was kept out: {released.reason}; train longer or on more images, set other "
            "limits (--help lists those of --acceptance), or bring a version into use by flows/promote.py"
        )
        raise SystemExit(1)


def stop_at_once(*_: object) -> None:
    """End this process and its embedded server.

    Prefect would first tell the server, which Ctrl-C has stopped too, for minutes.
    What a step had not finished lies in scratch folders that nothing reads.
    """
    # A second Ctrl-C would wait for ever for the first, which waits for the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        warn("interrupted; what was finished is kept, and the next run goes on from there")
        if embedded := sys.modules.get("prefect.server.api.server"):
            embedded.SubprocessASGIServer().stop()
    finally:
        os._exit(1)


def main() -> None:
    """Check the settings and the machine, then run the flow."""
    config = Config.model_validate(parse(RetrainArguments, sys.argv[1:]).model_dump()).with_model()
    preflight(config)  # says what is wrong before a server is started
    require_database()
    if not PREFECT_API_URL.value():
        signal.signal(signal.SIGINT, stop_at_once)
    require_model(retrain(config))


if __name__ == "__main__":
    sys.exit(exit_status(main))
