"""Run JSON: all that a run found, as `run.json` and other files in a folder under `artifacts/runs`."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.records.results import (
    Archive,
    Arrival,
    Audit,
    Evaluation,
    Exports,
    Figures,
    ImageFolder,
    Manifest,
    Model,
    Release,
    Source,
    Splits,
)
from tasks.records.run import (
    SCHEMA_VERSION,
    CodeState,
    DatasetFacts,
    EvaluationFacts,
    ModelFacts,
    OriginFacts,
    ReleaseFacts,
    RunJson,
    StepTime,
    TrainingFacts,
)
from tasks.settings.errors import BadInput
from tasks.settings.settings import Config
from tasks.storage.files import File, json_object, publish, scratch_beside

RUN_ID = re.compile(r"\d{8}-\d{6}-\w+-[0-9a-f]{4}", re.ASCII)  # as `new_run_id` makes it
DISTRIBUTION = "recast-inspection"  # the name in pyproject.toml
LIBRARIES = ("tensorflow", "keras", "prefect", "numpy", "scipy", "pillow", "simplejpeg", "mlflow")


@dataclass(frozen=True)
class PreTraining:
    """The records of the steps before training."""

    config: Config
    source: Source
    arrivals: tuple[Arrival, ...]
    archive: Archive
    folder: ImageFolder
    manifest: Manifest
    audit: Audit
    splits: Splits
    code: CodeState
    """What `code` returned as the run began."""


@dataclass(frozen=True)
class RunResult(PreTraining):
    """The records of one run, in the order of its steps."""

    run_id: str
    started: datetime
    wall_seconds: float
    times: dict[str, dict[str, Any]]
    model: Model
    evaluation: Evaluation
    figures: Figures
    exports: Exports
    release: Release
    chosen_because: str = ""
    """Why this network trained."""


def new_run_id(started: datetime, config: Config) -> str:
    """Return a name that sorts by time and tells people what ran: 20261122-161500-compact-1f3a."""
    return f"{started:%Y%m%d-%H%M%S}-{config.training.model}-{os.urandom(2).hex()}"


def fill_run_json(outcome: RunResult) -> RunJson:
    """Return the content of `run.json`. A figure that this run did not compute is None."""
    return RunJson(
        schema_version=SCHEMA_VERSION,
        run_id=outcome.run_id,
        started=outcome.started.astimezone(UTC).isoformat(timespec="seconds"),
        wall_seconds=round(outcome.wall_seconds, 2),
        versions=versions(LIBRARIES),
        code=outcome.code,
        config=outcome.config.model_dump(mode="json"),
        steps={name: StepTime.model_validate(time) for name, time in outcome.times.items()},
        dataset=dataset(outcome),
        model=model(outcome),
        training=training(outcome.model),
        evaluation=EvaluationFacts.model_validate(outcome.evaluation),
        release=ReleaseFacts.model_validate(outcome.release.model_dump()),
    )


def code() -> CodeState:
    """Return the commit of this checkout and whether files differ from it; both None where this is no checkout."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    commit, _, dirty = done.stdout.strip().partition("-")
    return CodeState(commit=commit or None, changed=bool(dirty) if commit else None)


def dataset(outcome: RunResult) -> DatasetFacts:
    """Return the part of `run.json` on the images."""
    splits, audit = outcome.splits, outcome.audit
    return DatasetFacts(
        source=outcome.source.name,
        source_identity=outcome.source.identity,
        digest=outcome.manifest.table.sha256,
        splits_digest=splits.table.sha256,
        images=splits.images,
        left_alone=outcome.folder.left_alone,
        by_split=splits.by_split,
        by_class=splits.by_class,
        by_origin=splits.by_origin,
        quarantined=outcome.manifest.quarantined,
        exact_copies_across_splits=audit.exact_copies_across_splits,
        near_copies_across_splits=audit.near_copies_across_splits,
        copies_of_two_labels=audit.copies_of_two_labels,
        held_back_from_training=splits.held_back,
        different_images=audit.contents,
        rings=audit.rings,
        castings=audit.castings,
        castings_of_two_labels=audit.castings_of_two_labels,
        castings_by_split=splits.castings_by_split,
        test_images_of_trained_castings=splits.test_images_of_trained_castings,
        published_test_images_of_trained_castings=audit.published_test_images_of_trained_castings,
        copy_baseline_accuracy=splits.lookup_accuracy,
        brightness_auc=splits.shortcuts["brightness"].auc,
        shortcuts=splits.shortcuts,
        origins=[
            OriginFacts(**origin.model_dump(), unsettled=unsettled_keys(origin.name, outcome.arrivals))
            for origin in outcome.manifest.origins
        ],
        corrections_unused=outcome.manifest.corrections_unused,
    )


def model(outcome: RunResult) -> ModelFacts:
    """Return the part of `run.json` on the network."""
    return ModelFacts(
        name=outcome.model.name,
        chosen_because=outcome.chosen_because,
        parameters=outcome.model.parameters,
        sha256=outcome.model.file.sha256,
        weights_sha256=outcome.model.weights_sha256,
        image_size=outcome.model.image_size,
        folder=outcome.exports.digest,
    )


def training(trained: Model) -> TrainingFacts:
    """Return the part of `run.json` on the training: durations in seconds, the last epoch and the one that is kept."""
    return TrainingFacts(
        epochs=len(trained.history),
        kept_epoch=trained.kept_epoch,
        images=trained.images,
        left_out=trained.left_out,
        wall_seconds=trained.wall_seconds,
        cpu_seconds=trained.cpu_seconds,
        images_per_second=trained.images_per_second,
        device=trained.device,
        trained_with=trained.trained_with,
        resumed_from_epoch=trained.resumed_from_epoch,
        started_from=trained.started_from,
    )


def unsettled_keys(origin: str, arrivals: Sequence[Arrival]) -> int:
    """Count the files of an origin that were still being written: they wait for the next run."""
    return sum(arrival.unsettled for arrival in arrivals if arrival.origin == origin)


def versions(libraries: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of Python, recast and these libraries; None for one that is not installed."""
    return {
        "python": platform.python_version(),
        "recast": installed_version(DISTRIBUTION),
        **{name: installed_version(name) for name in libraries},
    }


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    try:
        return version(distribution)
    except ModuleNotFoundError:
        return None


def write_run(outcome: RunResult, page: str) -> Path:
    """Write `artifacts/runs/<run-id>/`, whole or not at all, and let the symlink `latest` lead to it.

    `page` is the report as HTML. Returns the folder.
    """
    places = outcome.config.places
    runs = places.runs
    tables = {
        "predictions.csv": outcome.evaluation.predictions,
        "audit.csv": outcome.audit.pairs,
        "splits.csv": outcome.splits.table,
        "castings.csv": outcome.audit.groups,
        "quarantine.csv": outcome.manifest.refused,
        "corrections.csv": outcome.manifest.corrected,
        **({"label_changes.csv": outcome.manifest.label_changes} if outcome.manifest.label_changes else {}),
    }
    pictures: dict[str, File] = {
        f"figures/{figure.name}{PurePosixPath(figure.file.name).suffix}": figure.file
        for figure in outcome.figures.figures
    }
    with scratch_beside(runs / outcome.run_id) as scratch:
        (scratch / "figures").mkdir(parents=True)
        for name, file in {**tables, **pictures}.items():
            shutil.copyfile(file.path(places), scratch / name)
        (scratch / "run.json").write_text(fill_run_json(outcome).model_dump_json(indent=2) + "\n", encoding="utf-8")
        (scratch / "report.html").write_text(page, encoding="utf-8")
        (scratch / "model.txt").write_text(outcome.model.summary + "\n", encoding="utf-8")
        publish(scratch, runs / outcome.run_id)
    latest = runs / "latest"
    if latest.is_dir() and not latest.is_symlink():  # a copy of `artifacts` that followed the link
        os.replace(latest, runs / f"{beginning_of_copy(latest)}copy-before-{outcome.run_id}")
    with scratch_beside(latest) as link:
        link.symlink_to(outcome.run_id)
        os.replace(link, latest)
    return runs / outcome.run_id


def beginning_of_copy(run: Path) -> str:
    """Return the beginning of the name for a copy of a run, so that the copy sorts beside its run.

    Without it the copy would count as the newest run, which is the one with the last name. Empty where `run.json` does not say.
    """
    try:
        name = str(json_object(run / "run.json").get("run_id"))
    except BadInput:
        return ""
    return f"{name}-" if RUN_ID.fullmatch(name) else ""
