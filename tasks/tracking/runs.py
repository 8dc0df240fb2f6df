"""Runs: runs of recast in MLflow. Only this file makes an MLflow client; `registry` uses it for versions.

MLflow works on `artifacts/mlflow.db` and the files beside it (`mlflow_database`), or on the server that MLFLOW_TRACKING_URI names.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from warnings import catch_warnings

from pydantic import ValidationError

from tasks.records.results import Release
from tasks.records.run import RunJson
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import warn
from tasks.settings.redaction import redact
from tasks.settings.settings import Places
from tasks.storage.files import erase, json_object, lies_below, publish, scratch_beside, tree_digest, write_whole
from tasks.storage.locks import exclusive_lock
from tasks.tracking import mlflow_database
from tasks.tracking.addresses import split_address, status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

RUN, QUESTION, VERDICT = "recast.run", "recast.question", "recast.verdict"  # tags of a run
NOTE = "mlflow.note.content"  # shown as the run's description
REMOVED = "recast.removed"  # tag of a run or a version: the day on which its files were removed
DECISION = "release.json"  # artifact of a run: its decision
TASKS = Path(__file__).parents[1]  # stored with each model, so that MLflow can load it where recast is not installed
PAGES = "http://127.0.0.1:5000"  # of `make mlflow`
SERVING = ("ai-edge-litert", "numpy", "pillow", "pydantic", "simplejpeg")  # libraries that judging an image needs
T = TypeVar("T")


def address(places: Places) -> str:
    """Return the address of the server, or of the embedded database."""
    return server() or mlflow_database.address(places)


def server() -> str | None:
    """Return the address that MLFLOW_TRACKING_URI holds; None where it holds none.

    Moves user and password of a web address to the variables from which MLflow reads them: it writes the address into messages and links.
    """
    address, user, password = split_address(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if user:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = user, password
        os.environ["MLFLOW_TRACKING_URI"] = address
    return address or None


def embedded(places: Places) -> Path:
    """Return the path of the embedded database."""
    return mlflow_database.path_of(places)


def require_usable(places: Places) -> None:
    """Raise an error where MLflow cannot be used: a run fails now, not after hours of training. Creates nothing.

    Raises the errors of `client_of` where a server is named, and BadInput where the embedded database has a fault.
    """
    if server():
        client(places)
    else:
        mlflow_database.check_writable(places)


def client(places: Places) -> "MlflowClient":
    """Return a client; makes the embedded database where there is none. Raises the errors of `prepare` and `client_of`."""
    prepare(places)
    return client_of(address(places))


def prepare(places: Places) -> None:
    """Create the embedded database where there is none yet, whole or not at all. Raises BadInput where it has a fault."""
    if server() or mlflow_database.check(places):
        return
    path = mlflow_database.path_of(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(path.with_name(".registry.lock")), scratch_beside(path) as scratch:
        if not mlflow_database.check(places):  # another run may have created it meanwhile
            client_of(f"sqlite:///{scratch}").search_experiments(max_results=1)
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # SQLite would play it into the new database
            publish(scratch, path)


@cache
def client_of(uri: str) -> "MlflowClient":
    """Return a client for an address. Raises the errors of `require_answer` and `require_access` where it is a server's."""
    if uri.startswith("http"):
        require_answer(uri)  # MLflow itself tries for minutes
    from mlflow import MlflowClient  # late: importing it takes seconds

    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # The address is an argument: setting it for the process would change the environment.
    mlflow_client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if uri.startswith("http"):
        require_access(mlflow_client, uri)
    return mlflow_client


def require_answer(uri: str) -> None:
    """Raise ConnectionError where no server answers, BadInput where the address is no address of a server."""
    try:
        if (status := status_of(uri, "/health", 10)) < 500:
            return
        error: object = f"HTTP status {status}"
    except OSError as failed:
        error = failed
    raise ConnectionError(redact(f"no MLflow server answers at {uri} (MLFLOW_TRACKING_URI): {error}"))


def require_access(mlflow_client: "MlflowClient", uri: str) -> None:
    """Raise BadInput where the server refuses this user, ConnectionError where it cannot answer."""
    from mlflow.exceptions import MlflowException

    try:
        mlflow_client.search_experiments(max_results=1)
    except MlflowException as error:
        if error.get_http_status_code() in (401, 403):
            raise BadInput(
                f"the MLflow server at {uri} lets nobody in with these credentials: set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to those of a user of that server"
            ) from error
        raise ConnectionError(redact(f"the MLflow server at {uri} cannot be used: {error.message}")) from error


def cached_query(question: str, ask: Callable[["MlflowClient"], T], nothing: T, places: Places) -> T:
    """Return MLflow's answer, a value that JSON can hold; `nothing` where MLflow knows of no such object.

    Never creates a database just to answer. Caches each answer of an embedded database until its file changes: importing MLflow
    takes longer than judging an image. Raises BadInput where an embedded database has a fault or was lost.
    """
    if server():
        return query(ask, nothing, places)
    if (stamp := mlflow_database.stamp(places)) is None:
        return nothing
    state = list(stamp)
    memo = places.artifacts_root / "mlflow.answers.json"
    answers = read_answers(memo, state)
    if question not in answers:
        if not mlflow_database.check(places):
            return nothing
        answers[question] = query(ask, nothing, places)
        with suppress(OSError):  # a user who may only read asks MLflow each time
            write_whole(
                memo, json.dumps({"state": state, "answers": answers, "sha256": answers_digest(answers)}).encode()
            )
    return answers[question]


def query(ask: Callable[["MlflowClient"], T], nothing: T, places: Places) -> T:
    """Return MLflow's answer; `nothing` where MLflow knows of no such object."""
    mlflow_client = client(places)
    from mlflow.exceptions import MlflowException

    try:
        return ask(mlflow_client)
    except MlflowException as error:
        # INVALID_PARAMETER_VALUE is the answer to an alias that no version bears
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return nothing
        raise


def read_answers(memo: Path, state: list[int]) -> dict[str, Any]:
    """Read the cached answers that hold in this state of the database.

    Returns none from a damaged file, and says so in one line on standard error.
    """
    if not memo.is_file():
        return {}
    try:
        content = json_object(memo)
    except BadInput as damage:
        warn(f"{damage}: begun anew")  # standard output may be JSON
        return {}
    if content.get("state") != state:
        return {}
    answers = content.get("answers")
    if not isinstance(answers, dict) or content.get("sha256") != answers_digest(answers):
        warn(f"{memo} is of another version or was changed: begun anew")
        return {}
    return answers


def answers_digest(answers: Any) -> str:
    """Return the sha256 of cached answers, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()


def begin(question: str, run_id: str, places: Places) -> str:
    """Return the id of the MLflow run for a question: the run that a killed process left open, else a new one.

    `question` names the decision, `run_id` the run of recast.
    """
    open_runs = [run for run in runs_about(question, client(places)) if run.info.status == "RUNNING"]
    if open_runs:
        return open_runs[0].info.run_id
    tags = {RUN: run_id, QUESTION: question}
    return client(places).create_run(experiment(places), run_name=run_id, tags=tags).info.run_id


def runs_about(question: str, client: "MlflowClient") -> list["Run"]:
    """Return the runs about a question in all experiments, the newest first."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(everywhere, f"tags.`{QUESTION}` = '{question}'", order_by=["attributes.start_time DESC"])


def experiment(places: Places) -> str:
    """Return the id of the experiment that has the registered model's name. Creates it where there is none."""
    mlflow_client, name = client(places), places.registered_name
    location = None if server() else mlflow_database.files_of(places).as_uri()
    existing = mlflow_client.get_experiment_by_name(name)
    return existing.experiment_id if existing else mlflow_client.create_experiment(name, artifact_location=location)


def save_decision(tracked: str, release: Release, places: Places) -> None:
    """Save the decision in its run, before it is applied: when the process is killed in between, the reason is not lost."""
    client(places).log_text(tracked, release.model_dump_json(indent=2), DECISION)


def mark_applied(tracked: str, release: Release, places: Places) -> None:
    """Mark the saved decision of a run as applied."""
    client(places).set_tag(tracked, VERDICT, release.verdict)


def is_unapplied(tracked: str, places: Places) -> bool:
    """Return whether the decision of this run was not applied to the end: its process was killed before."""
    return cached_query(
        f"undecided {tracked}", lambda client: VERDICT not in client.get_run(tracked).data.tags, False, places
    )


def abandon(tracked: str, places: Places) -> None:
    """End a run whose question no longer holds, because another champion came into use."""
    client(places).set_terminated(tracked, "KILLED")


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

    top = (server() or "").rstrip("/") if (server() or "").startswith("http") else PAGES
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
    mlflow_client = client(places)
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
    mlflow_client = client(places)
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


def fetch_model(number: int, inside: str, target: Path, places: Places) -> None:
    """Copy the stored files of a version, or of its folder `inside` alone, to `target`.

    Raises FileNotFoundError where the registry has no such folder, ConnectionError where it has one but copying it fails.
    """
    stored = stored_version(number, places)
    if not stored.size(inside):
        raise FileNotFoundError(redact(f"there is no {inside or 'model'} in {stored.uri}"))
    with scratch_beside(target) as scratch:
        scratch.mkdir()
        os.replace(stored.fetch(inside, scratch), target)


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


def bytes_of_run(tracked: str, places: Places) -> int:
    """Return the size in bytes of the files that `delete_run_files` removes."""
    return stored_run(tracked, places).size(but=DECISION)


def delete_run_files(tracked: str, places: Places) -> None:
    """Remove the files of a run, but not its decision, figures and parameters."""
    stored_run(tracked, places).remove(but=DECISION)
    client(places).set_tag(tracked, REMOVED, today())


def bytes_of_version(number: int, places: Places) -> int:
    """Return the size in bytes of the files of a version."""
    return stored_version(number, places).size()


def delete_version_files(number: int, places: Places) -> None:
    """Remove the files of a version, but not its entry in the registry."""
    stored_version(number, places).remove()
    client(places).set_model_version_tag(places.registered_name, str(number), REMOVED, today())


def stored_run(tracked: str, places: Places) -> "StoredFiles":
    """Return the files of a run."""
    return files_at(client(places).get_run(tracked).info.artifact_uri, places)


def stored_version(number: int, places: Places) -> "StoredFiles":
    """Return the files of a version."""
    return files_at(client(places).get_model_version_download_uri(places.registered_name, str(number)), places)


def files_at(uri: str, places: Places) -> "StoredFiles":
    """Return the files below an address."""
    return RemoteFiles(uri, places) if server() else LocalFiles(uri, places)


class StoredFiles(Protocol):
    """Files that MLflow keeps below one address."""

    uri: str

    def size(self, path: str = "", but: str = "") -> int:
        """Return the size in bytes of all files, or of those below `path`, without the file `but`."""

    def text(self, path: str) -> str | None:
        """Return the text of a file, or None where there is none."""

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder and return the path of the copy. Raises ConnectionError where copying fails."""

    def remove(self, but: str = "") -> None:
        """Remove all files but the file `but`."""


class LocalFiles:
    """Files below `artifacts`. Follows no link out of it, and removes files without MLflow, which takes `%20` in a path for a space."""

    def __init__(self, uri: str, places: Places):
        self.uri, self.places, self.folder = uri, places, mlflow_database.home(uri, places)

    def files(self, path: str = "") -> dict[str, Path]:
        """Return the files below `path` by their names, relative to the folder of all files."""
        if self.folder is None:
            return {}
        inside = {file.relative_to(self.folder).as_posix(): file for file in (self.folder / path).rglob("*")}
        return {
            name: file for name, file in inside.items() if file.is_file() and lies_below(file, self.places.artifacts)
        }

    def size(self, path: str = "", but: str = "") -> int:
        """Return the size in bytes, as `StoredFiles` says."""
        return sum(file.stat().st_size for name, file in self.files(path).items() if name != but)

    def text(self, path: str) -> str | None:
        """Return the text of a file, as `StoredFiles` says."""
        file = self.files().get(path)
        return file.read_text("utf-8") if file else None

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder, as `StoredFiles` says."""
        try:
            for name, file in self.files(path).items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, into / name)
        except OSError as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error}")) from error
        return into / path

    def remove(self, but: str = "") -> None:
        """Remove the files, as `StoredFiles` says."""
        for path in self.folder.iterdir() if self.folder and self.folder.is_dir() else ():
            if path.name != but:
                erase(path)


class RemoteFiles:
    """Files on an MLflow server, or in a store that the server names."""

    def __init__(self, uri: str, places: Places):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.uri, self.places = uri, places
        self.repository = get_artifact_repository(uri, tracking_uri=address(places), registry_uri=address(places))

    def size(self, path: str = "", but: str = "") -> int:
        """Return the size in bytes, as `StoredFiles` says."""
        entries = [entry for entry in self.repository.list_artifacts(path or None) if entry.path != but]
        return sum(self.size(entry.path) if entry.is_dir else entry.file_size or 0 for entry in entries)

    def text(self, path: str) -> str | None:
        """Return the text of a file, as `StoredFiles` says."""
        with TemporaryDirectory() as folder:
            try:
                return Path(self.repository.download_artifacts(path, folder)).read_text("utf-8")
            except OSError:
                return None

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder, as `StoredFiles` says."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            copy = download_artifacts(
                artifact_uri=f"{self.uri}/{path}", dst_path=str(into), tracking_uri=address(self.places)
            )
        except MlflowException as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error.message}")) from error
        return Path(copy)

    def remove(self, but: str = "") -> None:
        """Remove the files, as `StoredFiles` says."""
        for entry in self.repository.list_artifacts():
            if entry.path != but:
                self.repository.delete_artifacts(entry.path)


def today() -> str:
    """Return the day by UTC, as 2026-11-22."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


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
