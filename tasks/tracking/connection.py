"""Connection: the one place that makes an MLflow client.

MLflow works on `artifacts/mlflow.db` and the files beside it (`mlflow_location`), or on the server that MLFLOW_TRACKING_URI names.
"""

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from tasks.settings.errors import BadInput
from tasks.settings.redaction import redact
from tasks.settings.settings import Places
from tasks.storage.files import publish, scratch_beside
from tasks.storage.locks import exclusive_lock
from tasks.tracking import mlflow_database, mlflow_location
from tasks.tracking.addresses import split_address, status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


def address(places: Places) -> str:
    """Return the address of the server, or of the embedded database."""
    return server() or mlflow_location.address(places)


def server() -> str | None:
    """Return the address that MLFLOW_TRACKING_URI holds; None where it holds none.

    Moves user and password of a web address to the variables from which MLflow reads them: it writes the address into messages and links.
    """
    address, user, password = split_address(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if user:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = user, password
        os.environ["MLFLOW_TRACKING_URI"] = address
    return address or None


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
    path = mlflow_location.path_of(places)
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
