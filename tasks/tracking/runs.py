"""Tracker: runs in MLflow. No other file imports it; `registry` keeps its versions through the client that is made here.

Embedded, it is `artifacts/mlflow.db` and files beside it (`mlflow_database`); MLFLOW_TRACKING_URI names a server instead.
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
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import warn
from tasks.settings.redaction import redact
from tasks.settings.settings import Places
from tasks.storage.files import (
    erase,
    exclusive_lock,
    json_object,
    lies_below,
    publish,
    scratch_beside,
    tree_digest,
    write_whole,
)
from tasks.tracking import mlflow_database
from tasks.tracking.addresses import split_address, status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

RUN, QUESTION, VERDICT = "recast.run", "recast.question", "recast.verdict"  # tags of a run
NOTE = "mlflow.note.content"  # shown as the run's description
REMOVED = "recast.removed"  # tag of a run or a version: when its files were
DECISION = "release.json"  # artifact of a run whose verdict is known
TASKS = Path(__file__).parents[1]  # goes along with a model, so that MLflow can load it where recast is not
PAGES = "http://127.0.0.1:5000"  # of `make mlflow`
SERVING = ("ai-edge-litert", "numpy", "pillow", "pydantic", "simplejpeg")  # what judging takes
T = TypeVar("T")


def address(places: Places) -> str:
    """The server, or the embedded database."""
    return server() or mlflow_database.address(places)


def server() -> str | None:
    """Return what MLFLOW_TRACKING_URI names, if anything.

    User and password of a web address move to the variables that MLflow reads them from: it writes the address into messages and links.
    """
    address, user, password = split_address(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if user:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = user, password
        os.environ["MLFLOW_TRACKING_URI"] = address
    return address or None


def embedded(places: Places) -> Path:
    return mlflow_database.path_of(places)


def require_usable(places: Places) -> None:
    """Raise an error where MLflow cannot be used: better now than after hours of training. Makes nothing.

    Raises what `client_of` does where a server is named, BadInput where the embedded database has a fault.
    """
    if server():
        client(places)
    else:
        mlflow_database.check_writable(places)


def client(places: Places) -> "MlflowClient":
    prepare(places)
    return client_of(address(places))


def prepare(places: Places) -> None:
    """Make the embedded database where there is none yet, whole or not at all. Raises BadInput where it has a fault."""
    if server() or mlflow_database.check(places):
        return
    path = mlflow_database.path_of(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(path.with_name(".registry.lock")), scratch_beside(path) as scratch:
        if not mlflow_database.check(places):  # another run may have made it meanwhile
            client_of(f"sqlite:///{scratch}").search_experiments(max_results=1)
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # it would be played into the new one
            publish(scratch, path)


@cache
def client_of(uri: str) -> "MlflowClient":
    """Return a client. Raises what `require_answer` and `require_access` do where a server is named."""
    if uri.startswith("http"):
        require_answer(uri)  # MLflow tries for minutes
    from mlflow import MlflowClient  # late: seconds

    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    known = MlflowClient(tracking_uri=uri, registry_uri=uri)  # given, not set: whoever sets it changes the environment
    if uri.startswith("http"):
        require_access(known, uri)
    return known


def require_answer(uri: str) -> None:
    """Raise ConnectionError where no server answers, BadInput where this is no address of one."""
    try:
        if (status := status_of(uri, "/health", 10)) < 500:
            return
        error: object = f"HTTP status {status}"
    except OSError as failed:
        error = failed
    raise ConnectionError(redact(f"no MLflow server answers at {uri} (MLFLOW_TRACKING_URI): {error}"))


def require_access(known: "MlflowClient", uri: str) -> None:
    """Raise BadInput where the server does not let this user in, ConnectionError where it cannot answer."""
    from mlflow.exceptions import MlflowException

    try:
        known.search_experiments(max_results=1)
    except MlflowException as error:
        if error.get_http_status_code() in (401, 403):
            raise BadInput(
                f"the MLflow server at {uri} lets nobody in with these credentials: set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to those of a user of that server"
            ) from error
        raise ConnectionError(redact(f"the MLflow server at {uri} cannot be used: {error.message}")) from error


def cached_query(question: str, ask: Callable[["MlflowClient"], T], nothing: T, places: Places) -> T:
    """Return what MLflow answers, a value that JSON can hold; `nothing` where it knows of nothing.

    Never creates a database just to answer. Caches each answer of an embedded database until its file changes: importing MLflow
    takes longer than judging an image. Raises BadInput where an embedded database has a fault or was lost.
    """
    if server():
        return query(ask, nothing, places)
    if (seen := mlflow_database.stamp(places)) is None:
        return nothing
    state = list(seen)
    memo = places.artifacts.absolute() / "mlflow.answers.json"
    answers = remembered(memo, state)
    if question not in answers:
        if not mlflow_database.check(places):
            return nothing
        answers[question] = query(ask, nothing, places)
        with suppress(OSError):  # who may only read asks each time
            write_whole(memo, json.dumps({"state": state, "answers": answers, "sha256": digest(answers)}).encode())
    return answers[question]


def query(ask: Callable[["MlflowClient"], T], nothing: T, places: Places) -> T:
    known = client(places)
    from mlflow.exceptions import MlflowException

    try:
        return ask(known)
    except MlflowException as error:
        # INVALID_PARAMETER_VALUE is the answer to an alias that no version bears
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return nothing
        raise


def remembered(memo: Path, state: list[int]) -> dict[str, Any]:
    """Return the answers that hold in this state; of a damaged file none, and one line on standard error says so."""
    if not memo.is_file():
        return {}
    try:
        noted = json_object(memo)
    except BadInput as damage:
        warn(f"{damage}: begun anew")  # standard output may be JSON
        return {}
    if noted.get("state") != state:
        return {}
    answers = noted.get("answers")
    if not isinstance(answers, dict) or noted.get("sha256") != digest(answers):
        warn(f"{memo} is of another version or was changed: begun anew")
        return {}
    return answers


def digest(answers: Any) -> str:
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()


def begin(question: str, run_id: str, places: Places) -> str:
    """MLflow's run for what is to be decided: the one that a killed process left open, or a new one."""
    begun = [run for run in runs_about(question, client(places)) if run.info.status == "RUNNING"]
    if begun:
        return begun[0].info.run_id
    tags = {RUN: run_id, QUESTION: question}
    return client(places).create_run(experiment(places), run_name=run_id, tags=tags).info.run_id


def runs_about(question: str, client: "MlflowClient") -> list["Run"]:
    everywhere = [one.experiment_id for one in client.search_experiments()]
    return client.search_runs(everywhere, f"tags.`{QUESTION}` = '{question}'", order_by=["attributes.start_time DESC"])


def experiment(places: Places) -> str:
    """Return the experiment of the registered model's name; it is made where there is none."""
    known, name = client(places), places.registered_name
    location = None if server() else mlflow_database.files_of(places).as_uri()
    there = known.get_experiment_by_name(name)
    return there.experiment_id if there else known.create_experiment(name, artifact_location=location)


def save_decision(tracked: str, release: Release, places: Places) -> None:
    """Keeps the decision in its run, before it is carried out: whoever is killed between loses no reason."""
    client(places).log_text(tracked, release.model_dump_json(indent=2), DECISION)


def mark_applied(tracked: str, release: Release, places: Places) -> None:
    """What was noted counts as carried out from here on."""
    client(places).set_tag(tracked, VERDICT, release.verdict)


def is_unapplied(tracked: str, places: Places) -> bool:
    """Whether a process was killed between noting the decision of this run and carrying it out to the end."""
    return cached_query(
        f"undecided {tracked}", lambda client: VERDICT not in client.get_run(tracked).data.tags, False, places
    )


def abandon(tracked: str, places: Places) -> None:
    """Ends a run whose question was overtaken by another champion."""
    client(places).set_terminated(tracked, "KILLED")


def decision(question: str, places: Places) -> Release | None:
    """What was decided about this question, if it was."""

    def ask(client: "MlflowClient") -> str | None:
        return next((run.info.run_id for run in runs_about(question, client) if VERDICT in run.data.tags), None)

    tracked = cached_query(f"decision {question}", ask, None, places)
    return decision_of_run(tracked, places) if tracked else None


def decision_of_run(tracked: str, places: Places) -> Release | None:
    """What was decided in this run, if it was, and if that is whole."""

    def ask(client: "MlflowClient") -> str | None:
        try:
            return stored_run(tracked, places).text(DECISION)
        except (OSError, UnicodeError):
            return None

    told = cached_query(f"decided in {tracked}", ask, None, places)
    try:
        return Release.model_validate_json(told) if told else None
    except ValidationError as error:
        warn(f"the {DECISION} of MLflow's run {tracked} is damaged, and counts as none: {error.errors()[0]['msg']}")
        return None


def page_of(tracked: str, places: Places) -> str:
    """Address of a run's page: on the server, or where `make mlflow` shows it. Empty where MLflow knows of no such run."""

    def ask(client: "MlflowClient") -> str:
        return client.get_run(tracked).info.experiment_id

    top = (server() or "").rstrip("/") if (server() or "").startswith("http") else PAGES
    experiment = cached_query(f"experiment of {tracked}", ask, "", places)
    return f"{top}/#/experiments/{experiment}/runs/{tracked}" if experiment else ""


def is_running(tracked: str, places: Places) -> bool:
    """Whether the run lacks what `finish` writes."""
    return cached_query(
        f"open {tracked}", lambda client: client.get_run(tracked).info.status == "RUNNING", False, places
    )


def finish(
    tracked: str,
    facts: Mapping[str, Any],
    history: Any,
    note: str,
    links: Mapping[str, str],
    folder: Path,
    places: Places,
) -> None:
    """Writes into the run what `run.json` says, each epoch, a note in Markdown, and the run's folder.

    Again after a crash it writes the same.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    known = client(places)
    run = known.get_run(tracked)
    metrics = metrics_of(facts, history, run.info.start_time)  # equal ones of a second try are then one
    params = (
        [] if run.data.params else [Param(name, for_terminal(str(value))) for name, value in flatten(facts["config"])]
    )
    told = {**tags_of(facts), **links, RUN: facts["run_id"]}  # a killed run may have begun it
    tags = [RunTag(NOTE, note), *(RunTag(name, for_terminal(str(value))) for name, value in told.items())]
    for start in range(0, len(metrics), 1000):
        known.log_batch(tracked, metrics=metrics[start : start + 1000])
    known.log_batch(tracked, params=params, tags=tags)
    images = facts["dataset"]
    source, profile = json.dumps({"uri": images["source"]}), json.dumps(images["by_split"])
    data = Dataset(for_terminal(images["source"]), images["digest"][:32], "recast", source, profile=profile)
    known.log_inputs(tracked, datasets=[DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    known.log_artifacts(tracked, str(folder))
    known.set_terminated(tracked)


def metrics_of(facts: Mapping[str, Any], history: Any, at: int) -> list["Metric"]:
    """Every figure of `run.json`, and those of each epoch at its step."""
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
    """What a run is found by: versions of libraries, the code, the model, and digests of its images."""
    named = {"version": facts["versions"], "code": facts["code"], "model": facts["model"]}
    digests = {"digest": facts["dataset"]["digest"], "splits_digest": facts["dataset"]["splits_digest"]}
    return dict(flatten({**named, "data": digests}))


def keep_model(folder: Path, name: str, tracked: str, places: Places) -> tuple[str, str, str]:
    """Store the model's folder so that MLflow can serve it too: (where, id of the logged model, digest of all that is stored)."""
    known = client(places)
    logged = known.create_logged_model(experiment(places), name=name, source_run_id=tracked)
    with scratch_beside(places.artifacts.absolute() / "model") as scratch:
        serve(folder, scratch, tracked, logged.model_id)
        known.log_model_artifacts(logged.model_id, str(scratch))
        digest = tree_digest(scratch)
    known.finalize_logged_model(logged.model_id, "READY")
    return logged.artifact_location, logged.model_id, digest


def serve(folder: Path, target: Path, tracked: str, model_id: str | None = None) -> None:
    """Wraps the folder in what MLflow asks of a model that it can load by itself."""
    with catch_warnings(action="ignore"):  # hints to who writes a model by hand
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
    """Copies what is stored of a version, or the folder `inside` of it, to `target`.

    Raises FileNotFoundError where the registry has no such folder, ConnectionError where it has one and does not give it.
    """
    stored = stored_version(number, places)
    if not stored.size(inside):
        raise FileNotFoundError(redact(f"there is no {inside or 'model'} in {stored.uri}"))
    with scratch_beside(target) as scratch:
        scratch.mkdir()
        os.replace(stored.fetch(inside, scratch), target)


def runs_with_files(names: Collection[str], places: Places) -> list[str]:
    """MLflow's runs of these runs of recast, those that have files besides their decision; open ones are left out."""

    def ask(client: "MlflowClient") -> list[str]:
        everywhere = [one.experiment_id for one in client.search_experiments()]
        found: list[Run] = []
        token: str | None = ""
        while token is not None:
            page = client.search_runs(everywhere, f"tags.`{RUN}` != ''", page_token=token or None)
            found, token = [*found, *page], page.token
        ended = [run for run in found if run.info.status != "RUNNING" and REMOVED not in run.data.tags]
        return [run.info.run_id for run in ended if run.data.tags[RUN] in names]

    nothing: list[str] = []
    return cached_query(f"files of runs {' '.join(sorted(names))}", ask, nothing, places) if names else nothing


def bytes_of_run(tracked: str, places: Places) -> int:
    """Of the files that `delete_run_files` removes."""
    return stored_run(tracked, places).size(but=DECISION)


def delete_run_files(tracked: str, places: Places) -> None:
    """Removes the files of a run, and leaves its decision, figures and parameters."""
    stored_run(tracked, places).remove(but=DECISION)
    client(places).set_tag(tracked, REMOVED, now_in_milliseconds())


def bytes_of_version(number: int, places: Places) -> int:
    return stored_version(number, places).size()


def delete_version_files(number: int, places: Places) -> None:
    """Removes the files of a version, and leaves what is known of it."""
    stored_version(number, places).remove()
    client(places).set_model_version_tag(places.registered_name, str(number), REMOVED, now_in_milliseconds())


def stored_run(tracked: str, places: Places) -> "StoredFiles":
    return stored(client(places).get_run(tracked).info.artifact_uri, places)


def stored_version(number: int, places: Places) -> "StoredFiles":
    return stored(client(places).get_model_version_download_uri(places.registered_name, str(number)), places)


def stored(uri: str, places: Places) -> "StoredFiles":
    return RemoteFiles(uri, places) if server() else LocalFiles(uri, places)


class StoredFiles(Protocol):
    """Files that MLflow keeps below one address."""

    uri: str

    def size(self, path: str = "", but: str = "") -> int:
        """Return the bytes of all files, or of those below `path`; without the one that is excepted."""

    def text(self, path: str) -> str | None:
        """Return the content of a file, or None where there is none."""

    def fetch(self, path: str, into: Path) -> Path:
        """Copy a folder and return where the copy lies. Raises ConnectionError where it is not given."""

    def remove(self, but: str = "") -> None:
        """Remove all but the one that is excepted."""


class LocalFiles:
    """Files below `artifacts`. No link leads out of it, and nothing is removed by MLflow, which takes `%20` in a path for a space."""

    def __init__(self, uri: str, places: Places):
        self.uri, self.places, self.folder = uri, places, mlflow_database.home(uri, places)

    def files(self, path: str = "") -> dict[str, Path]:
        """Return the files below `path` by their name in the folder."""
        if self.folder is None:
            return {}
        found = {one.relative_to(self.folder).as_posix(): one for one in (self.folder / path).rglob("*")}
        return {name: one for name, one in found.items() if one.is_file() and lies_below(one, self.places.artifacts)}

    def size(self, path: str = "", but: str = "") -> int:
        return sum(file.stat().st_size for name, file in self.files(path).items() if name != but)

    def text(self, path: str) -> str | None:
        file = self.files().get(path)
        return file.read_text("utf-8") if file else None

    def fetch(self, path: str, into: Path) -> Path:
        try:
            for name, file in self.files(path).items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, into / name)
        except OSError as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error}")) from error
        return into / path

    def remove(self, but: str = "") -> None:
        for one in self.folder.iterdir() if self.folder and self.folder.is_dir() else ():
            if one.name != but:
                erase(one)


class RemoteFiles:
    """Files that a server, or a store that it names, keeps."""

    def __init__(self, uri: str, places: Places):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.uri, self.places = uri, places
        self.repository = get_artifact_repository(uri, tracking_uri=address(places), registry_uri=address(places))

    def size(self, path: str = "", but: str = "") -> int:
        below = [one for one in self.repository.list_artifacts(path or None) if one.path != but]
        return sum(self.size(one.path) if one.is_dir else one.file_size or 0 for one in below)

    def text(self, path: str) -> str | None:
        with TemporaryDirectory() as folder:
            try:
                return Path(self.repository.download_artifacts(path, folder)).read_text("utf-8")
            except OSError:
                return None

    def fetch(self, path: str, into: Path) -> Path:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            there = download_artifacts(
                artifact_uri=f"{self.uri}/{path}", dst_path=str(into), tracking_uri=address(self.places)
            )
        except MlflowException as error:
            raise ConnectionError(redact(f"{self.uri}/{path}: {error.message}")) from error
        return Path(there)

    def remove(self, but: str = "") -> None:
        for one in self.repository.list_artifacts():
            if one.path != but:
                self.repository.delete_artifacts(one.path)


def now_in_milliseconds() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def flatten(tree: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """(`part.of.the.tree`, value) of all that is no mapping; lists stay whole."""
    for key, value in tree.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            yield from flatten(value, inner)
        elif value is not None:
            yield inner, value


def mlflow_name(name: str) -> str:
    """The name without what MLflow takes in no name."""
    return re.sub(r"[^\w./: -]", "_", name)
