"""Queries: questions to MLflow, with the answers of an embedded database cached until its file changes."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.storage.files import json_object, write_whole
from tasks.tracking import connection, mlflow_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")


def cached_query(key: str, fetch: Callable[["MlflowClient"], T], default: T, places: Places) -> T:
    """Return MLflow's answer, a value that JSON can hold; `default` where MLflow knows of no such object.

    Never creates a database just to answer. Caches each answer of an embedded database until its file changes: importing MLflow
    takes longer than judging an image. Raises BadInput where an embedded database has a fault or was lost.
    """
    if connection.server():
        return query(fetch, default, places)
    if (stamp := mlflow_database.stamp(places)) is None:
        return default
    state = list(stamp)
    memo = places.artifacts_root / "mlflow.answers.json"
    answers = read_answers(memo, state)
    if key not in answers:
        if not mlflow_database.check(places):
            return default
        answers[key] = query(fetch, default, places)
        with suppress(OSError):  # a user who may only read asks MLflow each time
            write_whole(
                memo, json.dumps({"state": state, "answers": answers, "sha256": answers_digest(answers)}).encode()
            )
    return answers[key]


def query(fetch: Callable[["MlflowClient"], T], default: T, places: Places) -> T:
    """Return MLflow's answer; `default` where MLflow knows of no such object."""
    mlflow_client = connection.client(places)
    from mlflow.exceptions import MlflowException

    try:
        return fetch(mlflow_client)
    except MlflowException as error:
        # INVALID_PARAMETER_VALUE is the answer to an alias that no version bears
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return default
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
