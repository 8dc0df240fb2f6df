"""Form: the form of the deployment `retrain` in the Prefect UI begins with the settings of the last run."""

from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import ObjectNotFound

from tasks.pipeline.last_run import last_config, own_model, with_absolute_paths
from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import Places

FORM = "retrain/retrain"  # the deployment that a person starts by hand


def form_settings(places: Places) -> dict[str, Any] | None:
    """Return the parameters with which a form for another run like the last one begins.

    Return None where there was no run, or where one of its settings no longer exists: then one line says so. The form keeps its
    own places. A registered model that follows from the source is left out: another source in the form then gets its own.
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

    If the server does not take them, say so in one line: that does not undo the look or the deployments before it.
    """
    try:
        form = client.read_deployment_by_name(FORM)
        if parameters is not None and parameters != form.parameters:
            client.update_deployment(form.id, DeploymentUpdate(parameters=parameters))
    except ObjectNotFound:
        pass
    except httpx.HTTPError as trouble:
        warn(f"the form of {FORM} stays as it is: {trouble}")
