"""Run log: writes what a run of recast found into its MLflow run: figures, parameters, tags, images and files."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.records.results import Epoch
from tasks.records.run import RunJson
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import Places
from tasks.tracking import connection
from tasks.tracking.runs import RUN

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

NOTE = "mlflow.note.content"  # shown as the run's description
PARTS = ("dataset", "training", "evaluation", "crossfit")  # of `run.json`, whose numbers are metrics
FORBIDDEN = re.compile(r"[^\w./: -]")  # characters that MLflow allows in no name


def finish(
    mlflow_run_id: str,
    run_json: RunJson,
    history: Iterable[Epoch],
    note: str,
    links: Mapping[str, str],
    folder: Path,
    places: Places,
) -> None:
    """Write into the MLflow run all that `run.json` says, each epoch, a note, and the run's folder, and end it.

    `note` is Markdown, `links` are further tags. Idempotent: after a crash it writes the same again.
    """
    from mlflow.entities import Param, RunTag

    facts, client = run_json.model_dump(mode="json"), connection.client(places)
    run = client.get_run(mlflow_run_id)
    metrics = metrics_of(facts, history, run.info.start_time)  # of equal ones, from a second try, MLflow keeps one
    settings = () if run.data.params else flatten(facts["config"])
    tags = {**tags_of(facts), **links, RUN: facts["run_id"]}  # RUN again: a killed run may have begun this one
    for start in range(0, len(metrics), 1000):
        client.log_batch(mlflow_run_id, metrics=metrics[start : start + 1000])
    client.log_batch(
        mlflow_run_id,
        params=[Param(name, for_terminal(str(value))) for name, value in settings],
        tags=[RunTag(NOTE, note), *(RunTag(name, for_terminal(str(value))) for name, value in tags.items())],
    )
    client.log_inputs(mlflow_run_id, datasets=[images_of(facts["dataset"])])
    client.log_artifacts(mlflow_run_id, str(folder))
    client.set_terminated(mlflow_run_id)


def add_metrics(mlflow_run_id: str, metrics: Mapping[str, float], places: Places) -> bool:
    """Add figures that became known after a run to its MLflow run, and return whether one of them is new or another than before.

    Raises BadInput where MLflow does not take them.
    """
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    client, now = connection.client(places), int(time.time() * 1_000)
    try:
        earlier = client.get_run(mlflow_run_id).data.metrics
        changed = [Metric(name, value, now, 0) for name, value in metrics.items() if earlier.get(name) != value]
        if changed:
            client.log_batch(mlflow_run_id, metrics=changed)
    except MlflowException as error:
        raise BadInput(
            f"MLflow takes no figures of its run {mlflow_run_id} ({for_terminal(str(error))}): look whether the run is there"
        ) from error
    return bool(changed)


def metrics_of(facts: Mapping[str, Any], history: Iterable[Epoch], at: int) -> list["Metric"]:
    """Return the numbers of `run.json` on images, training and judgments at step 0, and those of each epoch at its step.

    `at` is the time of all, in milliseconds since 1970.
    """
    from mlflow.entities import Metric

    figures = [pair for part in PARTS for pair in flatten(facts[part] or {}, part)]
    return [
        *(
            Metric(FORBIDDEN.sub("_", name), float(value), at, 0)
            for name, value in figures
            if isinstance(value, int | float)
        ),
        *(
            Metric(f"epoch.{name}", value, at, epoch.epoch)
            for epoch in history
            for name, value in epoch.model_dump(exclude={"epoch"}).items()
        ),
    ]


def tags_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags by which a run is found: versions of libraries, code, model, and digests of its images."""
    digests = {"digest": facts["dataset"]["digest"], "splits_digest": facts["dataset"]["splits_digest"]}
    return dict(
        flatten({"version": facts["versions"], "code": facts["code"], "model": facts["model"], "data": digests})
    )


def images_of(dataset: Mapping[str, Any]) -> "DatasetInput":
    """Return the images of a run as MLflow's page of the run names them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source, profile = json.dumps({"uri": dataset["source"]}), json.dumps(dataset["by_split"])
    data = Dataset(for_terminal(dataset["source"]), dataset["digest"][:32], "recast", source, profile=profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def flatten(tree: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (`part.of.the.tree`, value) for each value that is neither a mapping nor None; lists stay whole."""
    for key, value in tree.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            yield from flatten(value, inner)
        elif value is not None:
            yield inner, value
