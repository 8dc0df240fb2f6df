"""Runs: the MLflow run of each decision: its question, its decision, its files and its model."""

from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings

from pydantic import ValidationError

from tasks.records.results import Release
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import scratch_beside, tree_digest
from tasks.tracking import connection, mlflow_location
from tasks.tracking.queries import cached_query
from tasks.tracking.stored_files import DECISION, REMOVED, stored_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN, QUESTION, VERDICT = "recast.run", "recast.question", "recast.verdict"  # tags of a run
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
    client, tags = connection.client(places), {RUN: run_id, QUESTION: question}
    unfinished = next((run for run in runs_about(question, client) if run.info.status == "RUNNING"), None)
    return (unfinished or client.create_run(experiment(places), run_name=run_id, tags=tags)).info.run_id


def runs_about(question: str, client: "MlflowClient") -> list["Run"]:
    """Return the runs about a question in all experiments, the newest first."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(everywhere, f"tags.`{QUESTION}` = '{question}'", order_by=["attributes.start_time DESC"])


def experiment(places: Places) -> str:
    """Return the id of the experiment that has the registered model's name. Creates it where there is none."""
    mlflow_client, name = connection.client(places), places.registered_name
    location = None if connection.server() else mlflow_location.files_of(places).as_uri()
    existing = mlflow_client.get_experiment_by_name(name)
    return existing.experiment_id if existing else mlflow_client.create_experiment(name, artifact_location=location)


def save_decision(mlflow_run_id: str, release: Release, places: Places) -> None:
    """Save the decision in its run, before it is applied: when the process is killed in between, the reason is not lost."""
    connection.client(places).log_text(mlflow_run_id, release.model_dump_json(indent=2), DECISION)


def mark_applied(mlflow_run_id: str, release: Release, places: Places) -> None:
    """Mark the saved decision of a run as applied."""
    connection.client(places).set_tag(mlflow_run_id, VERDICT, release.verdict)


def is_unapplied(mlflow_run_id: str, places: Places) -> bool:
    """Return whether the decision of this run was not applied to the end: its process was killed before."""
    return cached_query(
        f"undecided {mlflow_run_id}",
        lambda client: VERDICT not in client.get_run(mlflow_run_id).data.tags,
        False,
        places,
    )


def abandon(mlflow_run_id: str, places: Places) -> None:
    """End a run whose question no longer holds, because another champion came into use."""
    connection.client(places).set_terminated(mlflow_run_id, "KILLED")


def decision(question: str, places: Places) -> Release | None:
    """Return the applied decision about this question; None where there is none."""
    mlflow_run_id = cached_query(
        f"decision {question}",
        lambda client: next(
            (run.info.run_id for run in runs_about(question, client) if VERDICT in run.data.tags), None
        ),
        None,
        places,
    )
    return decision_of_run(mlflow_run_id, places) if mlflow_run_id else None


def decision_of_run(mlflow_run_id: str, places: Places) -> Release | None:
    """Return the decision that was saved in this run; None where there is none or it is damaged."""

    def fetch(client: "MlflowClient") -> str | None:
        try:
            return stored_run(mlflow_run_id, places).text(DECISION)
        except (OSError, UnicodeError):
            return None

    content = cached_query(f"decided in {mlflow_run_id}", fetch, None, places)
    try:
        return Release.model_validate_json(content) if content else None
    except ValidationError as error:
        warn(
            f"the {DECISION} of MLflow's run {mlflow_run_id} is damaged, and counts as none: {error.errors()[0]['msg']}"
        )
        return None


def page_of(mlflow_run_id: str, places: Places) -> str:
    """Return the address of a run's page: on the server, or where `make mlflow` shows it. Empty where MLflow knows of no such run."""
    server = connection.server() or ""
    top = server.rstrip("/") if server.startswith("http") else PAGES
    number = cached_query(
        f"experiment of {mlflow_run_id}", lambda client: client.get_run(mlflow_run_id).info.experiment_id, "", places
    )
    return f"{top}/#/experiments/{number}/runs/{mlflow_run_id}" if number else ""


def is_open(mlflow_run_id: str, places: Places) -> bool:
    """Return whether the MLflow run is still open: `finish` has not ended it."""
    return cached_query(
        f"open {mlflow_run_id}", lambda client: client.get_run(mlflow_run_id).info.status == "RUNNING", False, places
    )


def keep_model(folder: Path, name: str, mlflow_run_id: str, places: Places) -> tuple[str, str, str]:
    """Store the model's folder in MLflow, in a form that MLflow can serve.

    Returns the address of the stored files, the id of the logged model, and the digest of all that is stored.
    """
    mlflow_client = connection.client(places)
    logged = mlflow_client.create_logged_model(experiment(places), name=name, source_run_id=mlflow_run_id)
    with scratch_beside(places.artifacts_root / "model") as scratch:
        write_servable(folder, scratch, mlflow_run_id, logged.model_id)
        mlflow_client.log_model_artifacts(logged.model_id, str(scratch))
        digest = tree_digest(scratch)
    mlflow_client.finalize_logged_model(logged.model_id, "READY")
    return logged.artifact_location, logged.model_id, digest


def write_servable(folder: Path, target: Path, mlflow_run_id: str, model_id: str | None = None) -> None:
    """Write to `target` the folder and all else that MLflow needs to load the model by itself."""
    with catch_warnings(action="ignore"):  # hints for people who write a model by hand
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, DataType, Schema

        mlflow.pyfunc.save_model(
            str(target), loader_module="tasks.inference.pyfunc", data_path=str(folder), code_paths=[str(TASKS)],
            pip_requirements=[f"{library}=={version(library)}" for library in SERVING],
            signature=ModelSignature(Schema([ColSpec(DataType.binary, "image")])),
            mlflow_model=Model(run_id=mlflow_run_id, model_id=model_id),
        )  # fmt: skip


def runs_with_files(names: Collection[str], places: Places) -> list[str]:
    """Return the ids of the MLflow runs that belong to these runs of recast and still have their files. Open runs are left out."""

    def fetch(client: "MlflowClient") -> list[str]:
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        tagged: list[Run] = []
        token: str | None = ""
        while token is not None:
            page = client.search_runs(everywhere, f"tags.`{RUN}` != ''", page_token=token or None)
            tagged, token = [*tagged, *page], page.token
        ended = [run for run in tagged if run.info.status != "RUNNING" and REMOVED not in run.data.tags]
        return [run.info.run_id for run in ended if run.data.tags[RUN] in names]

    return cached_query(f"files of runs {' '.join(sorted(names))}", fetch, list[str](), places) if names else []
