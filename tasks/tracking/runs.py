"""Runs: what MLflow keeps of each run of recast: its decision, figures, parameters, files and model."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from pydantic import ValidationError

from tasks.records.results import Release
from tasks.records.run import RunJson
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import scratch_beside, tree_digest
from tasks.tracking import connection, mlflow_database
from tasks.tracking.queries import cached_query
from tasks.tracking.stored_files import DECISION, REMOVED, stored_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

RUN, QUESTION, VERDICT = "recast.run", "recast.question", "recast.verdict"  # tags of a run
NOTE = "mlflow.note.content"  # shown as the run's description
TASKS = Path(__file__).parents[1]  # stored with each model, so that MLflow can load it where recast is not installed
PAGES = "http://127.0.0.1:5000"  # of `make mlflow`
SERVING = (
    "ai-edge-litert",
    "numpy",
    "pillow",
    "pydantic",
    "rich",
    "scipy",
    "simplejpeg",
)  # libraries that judging an image needs


def begin(question: str, run_id: str, places: Places) -> str:
    """Return the id of the MLflow run for a question: the run that a killed process left open, else a new one.

    `question` names the decision, `run_id` the run of recast.
    """
    open_runs = [run for run in runs_about(question, connection.client(places)) if run.info.status == "RUNNING"]
    if open_runs:
        return open_runs[0].info.run_id
    tags = {RUN: run_id, QUESTION: question}
    return connection.client(places).create_run(experiment(places), run_name=run_id, tags=tags).info.run_id


def runs_about(question: str, client: "MlflowClient") -> list["Run"]:
    """Return the runs about a question in all experiments, the newest first."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(everywhere, f"tags.`{QUESTION}` = '{question}'", order_by=["attributes.start_time DESC"])


def experiment(places: Places) -> str:
    """Return the id of the experiment that has the registered model's name. Creates it where there is none."""
    mlflow_client, name = connection.client(places), places.registered_name
    location = None if connection.server() else mlflow_database.files_of(places).as_uri()
    existing = mlflow_client.get_experiment_by_name(name)
    return existing.experiment_id if existing else mlflow_client.create_experiment(name, artifact_location=location)


def save_decision(tracked: str, release: Release, places: Places) -> None:
    """Save the decision in its run, before it is applied: when the process is killed in between, the reason is not lost."""
    connection.client(places).log_text(tracked, release.model_dump_json(indent=2), DECISION)


def mark_applied(tracked: str, release: Release, places: Places) -> None:
    """Mark the saved decision of a run as applied."""
    connection.client(places).set_tag(tracked, VERDICT, release.verdict)


def is_unapplied(tracked: str, places: Places) -> bool:
    """Return whether the decision of this run was not applied to the end: its process was killed before."""
    return cached_query(
        f"undecided {tracked}", lambda client: VERDICT not in client.get_run(tracked).data.tags, False, places
    )


def abandon(tracked: str, places: Places) -> None:
    """End a run whose question no longer holds, because another champion came into use."""
    connection.client(places).set_terminated(tracked, "KILLED")


def decision(question: str, places: Places) -> Release | None:
    """Return the applied decision about this question; None where there is none."""

    def ask(client: "MlflowClient") -> str | None:
        return next((run.info.run_id for run in runs_about(question, client) if VERDICT in run.data.tags), None)

    tracked = cached_query(f"decision {question}", ask, None, places)
    return decision_of_run(tracked, places) if tracked else None


def decision_of_run(tracked: str, places: Places) -> Release | None:
    """Return the decision that was saved in this run; None where there is none or it is damaged."""

    def ask(client: "MlflowClient") -> str | None:
        try:
            return stored_run(tracked, places).text(DECISION)
        except (OSError, UnicodeError):
            return None

    content = cached_query(f"decided in {tracked}", ask, None, places)
    try:
        return Release.model_validate_json(content) if content else None
    except ValidationError as error:
        warn(f"the {DECISION} of MLflow's run {tracked} is damaged, and counts as none: {error.errors()[0]['msg']}")
        return None


def page_of(tracked: str, places: Places) -> str:
    """Return the address of a run's page: on the server, or where `make mlflow` shows it. Empty where MLflow knows of no such run."""

    def ask(client: "MlflowClient") -> str:
        return client.get_run(tracked).info.experiment_id

    top = (connection.server() or "").rstrip("/") if (connection.server() or "").startswith("http") else PAGES
    number = cached_query(f"experiment of {tracked}", ask, "", places)
    return f"{top}/#/experiments/{number}/runs/{tracked}" if number else ""


def is_running(tracked: str, places: Places) -> bool:
    """Return whether the MLflow run is still open: `finish` has not ended it."""
    return cached_query(
        f"open {tracked}", lambda client: client.get_run(tracked).info.status == "RUNNING", False, places
    )


def finish(
    tracked: str,
    run_json: RunJson,
    history: Any,
    note: str,
    links: Mapping[str, str],
    folder: Path,
    places: Places,
) -> None:
    """Write into the MLflow run all that `run.json` says, each epoch, a note, and the run's folder, and end it.

    `history` are the epochs, `note` is Markdown, `links` are further tags. Idempotent: after a crash it writes the same again.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    facts = run_json.model_dump(mode="json")
    mlflow_client = connection.client(places)
    run = mlflow_client.get_run(tracked)
    metrics = metrics_of(
        facts, history, run.info.start_time
    )  # so a second try writes equal metrics, which MLflow keeps once
    params = (
        [] if run.data.params else [Param(name, for_terminal(str(value))) for name, value in flatten(facts["config"])]
    )
    named = {**tags_of(facts), **links, RUN: facts["run_id"]}  # RUN again: a killed run may have begun this one
    tags = [RunTag(NOTE, note), *(RunTag(name, for_terminal(str(value))) for name, value in named.items())]
    for start in range(0, len(metrics), 1000):
        mlflow_client.log_batch(tracked, metrics=metrics[start : start + 1000])
    mlflow_client.log_batch(tracked, params=params, tags=tags)
    images = facts["dataset"]
    source, profile = json.dumps({"uri": images["source"]}), json.dumps(images["by_split"])
    data = Dataset(for_terminal(images["source"]), images["digest"][:32], "recast", source, profile=profile)
    mlflow_client.log_inputs(tracked, datasets=[DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    mlflow_client.log_artifacts(tracked, str(folder))
    mlflow_client.set_terminated(tracked)


def metrics_of(facts: Mapping[str, Any], history: Any, at: int) -> list["Metric"]:
    """Return the numbers of `run.json` on images, training and evaluation at step 0, and those of each epoch at its step.

    `at` is the time of all, in milliseconds since 1970.
    """
    from mlflow.entities import Metric

    figures = {
        name: value for part in ("dataset", "training", "evaluation") for name, value in flatten(facts[part], part)
    }
    numbers = [(name, value) for name, value in figures.items() if isinstance(value, int | float)]
    epochs = [(epoch.epoch, epoch.model_dump(exclude={"epoch"})) for epoch in history]
    return [
        *(Metric(mlflow_name(name), float(value), at, 0) for name, value in numbers),
        *(Metric(f"epoch.{name}", value, at, step) for step, epoch in epochs for name, value in epoch.items()),
    ]


def tags_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags by which a run is found: versions of libraries, code, model, and digests of its images."""
    named = {"version": facts["versions"], "code": facts["code"], "model": facts["model"]}
    digests = {"digest": facts["dataset"]["digest"], "splits_digest": facts["dataset"]["splits_digest"]}
    return dict(flatten({**named, "data": digests}))


def keep_model(folder: Path, name: str, tracked: str, places: Places) -> tuple[str, str, str]:
    """Store the model's folder in MLflow, in a form that MLflow can serve.

    Returns the address of the stored files, the id of the logged model, and the digest of all that is stored.
    """
    mlflow_client = connection.client(places)
    logged = mlflow_client.create_logged_model(experiment(places), name=name, source_run_id=tracked)
    with scratch_beside(places.artifacts_root / "model") as scratch:
        serve(folder, scratch, tracked, logged.model_id)
        mlflow_client.log_model_artifacts(logged.model_id, str(scratch))
        digest = tree_digest(scratch)
    mlflow_client.finalize_logged_model(logged.model_id, "READY")
    return logged.artifact_location, logged.model_id, digest


def serve(folder: Path, target: Path, tracked: str, model_id: str | None = None) -> None:
    """Write to `target` the folder and all else that MLflow needs to load the model by itself."""
    with catch_warnings(action="ignore"):  # hints for people who write a model by hand
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, DataType, Schema

        mlflow.pyfunc.save_model(
            str(target), loader_module="tasks.inference.pyfunc", data_path=str(folder), code_paths=[str(TASKS)],
            pip_requirements=[f"{library}=={version(library)}" for library in SERVING],
            signature=ModelSignature(Schema([ColSpec(DataType.binary, "image")])),
            mlflow_model=Model(run_id=tracked, model_id=model_id),
        )  # fmt: skip


def runs_with_files(names: Collection[str], places: Places) -> list[str]:
    """Return the ids of the MLflow runs that belong to these runs of recast and still have their files. Open runs are left out."""

    def ask(client: "MlflowClient") -> list[str]:
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        tagged: list[Run] = []
        token: str | None = ""
        while token is not None:
            page = client.search_runs(everywhere, f"tags.`{RUN}` != ''", page_token=token or None)
            tagged, token = [*tagged, *page], page.token
        ended = [run for run in tagged if run.info.status != "RUNNING" and REMOVED not in run.data.tags]
        return [run.info.run_id for run in ended if run.data.tags[RUN] in names]

    nothing: list[str] = []
    return cached_query(f"files of runs {' '.join(sorted(names))}", ask, nothing, places) if names else nothing


def flatten(tree: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (`part.of.the.tree`, value) for each value that is neither a mapping nor None; lists stay whole."""
    for key, value in tree.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            yield from flatten(value, inner)
        elif value is not None:
            yield inner, value


def mlflow_name(name: str) -> str:
    """Return the name with `_` for each character that MLflow allows in no name."""
    return re.sub(r"[^\w./: -]", "_", name)
