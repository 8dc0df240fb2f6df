"""Shared work: do pieces of work here one after another, while the workers of a deployment do others of them.

The process that asks always works too, so a pool whose only worker runs that process can never block it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType, WorkPoolStatus
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from tasks.settings.messages import say

T = TypeVar("T")
POLL = 2.0  # seconds
LONGEST_START = 300.0  # seconds; a worker that takes longer to start a run, such as to fetch an image, counts as lost


def share(
    pieces: Sequence[T],
    do_here: Callable[[T], object],
    is_done: Callable[[T], bool],
    deployment: str,
    parameters: Callable[[T], Mapping[str, Any]],
) -> None:
    """Do all pieces: here from the last one on, and by runs of the deployment from the first one on.

    A piece counts as done where `is_done` says so, whatever its run reports: what a run on another disk did does not help here.
    Without a flow run around it, without the deployment or a worker that is online, all is done here.
    """
    left = [piece for piece in pieces if not is_done(piece)]
    runs = dict(zip(range(len(left)), submit(deployment, [parameters(piece) for piece in left]), strict=False))
    try:
        remaining = list(range(len(left)))
        while remaining:
            number = next((number for number in reversed(remaining) if is_free(runs.get(number))), None)
            if number is None:  # workers have all that is left
                time.sleep(POLL)
                continue
            if not is_done(left[number]):
                do_here(left[number])
            runs.pop(number, None)
            remaining.remove(number)
    finally:
        for run in runs.values():
            with suppress(Exception):  # an error of the work itself is what people must see
                take_back(run)


def submit(deployment: str, parameters: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """Ask the workers of the deployment for a run with each of the parameters; none where there is only one, or nobody to ask."""
    if len(parameters) < 2 or TaskRunContext.get() is None:
        return []
    with get_client(sync_client=True) as client:
        if not has_workers(client, deployment):
            return []
    from prefect.deployments import run_deployment  # late: few runs ask workers

    say(f"{len(parameters)} runs of {deployment} wait for workers; those that no worker takes are done here")
    runs: list[UUID] = []
    try:  # a loop, so that runs that were requested before a fault are known
        for values in parameters:
            run = run_deployment(deployment, parameters=dict(values), timeout=0)
            runs += [run.id]  # type: ignore[union-attr]  # sync here
    except Exception as error:
        say(f"no more runs of {deployment} can be requested ({error}): the others are done here")
    return runs


def has_workers(client: SyncPrefectClient, deployment: str) -> bool:
    """Return whether the server has the deployment, and a worker of its pool is online."""
    try:
        pool = client.read_deployment_by_name(deployment).work_pool_name or ""
        return client.read_work_pool(pool).status == WorkPoolStatus.READY
    except ObjectNotFound:
        return False


def is_free(run: UUID | None) -> bool:
    """Return whether no worker works on the run: nobody was asked, it has ended, or it was taken back in time."""
    return run is None or take_back(run)


def take_back(run: UUID) -> bool:
    """Cancel a run that no worker has begun, and return whether nobody works on it."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(run).state
        except ObjectNotFound:  # somebody deleted it
            return True
        if state is None or state.is_final():
            return True
        age = time.time() - state.timestamp.timestamp()
        if state.type == StateType.SCHEDULED or (state.type == StateType.PENDING and age > LONGEST_START):
            client.set_flow_run_state(run, Cancelled(message="taken back by the run that asked"), force=True)
            return True
    return False
