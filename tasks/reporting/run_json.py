"""Run JSON: all that a run found, from the records of its steps, as the content of `run.json`."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
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
    OutOfFold,
    Release,
    Source,
    Splits,
)
from tasks.records.run import (
    SCHEMA_VERSION,
    CodeState,
    CrossfitFacts,
    DatasetFacts,
    EvaluationFacts,
    ModelFacts,
    OriginFacts,
    ProductionFacts,
    ReleaseFacts,
    RunJson,
    ScoreFacts,
    StepTime,
    TrainingFacts,
)
from tasks.reporting.words import ProductWords, product_words
from tasks.settings.settings import Config

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
    """What `checkout_state` returned as the run began."""

    @property
    def words(self) -> ProductWords:
        """Return the words for what the run inspects."""
        return product_words(self.config.fetch.product, self.source, self.folder.folders)


@dataclass(frozen=True)
class RunResult(PreTraining):
    """The records of one run, in the order of its steps."""

    run_id: str
    started: datetime
    wall_seconds: float
    times: dict[str, dict[str, Any]]
    out_of_fold: OutOfFold | None
    model: Model
    evaluation: Evaluation
    figures: Figures
    exports: Exports
    release: Release
    chosen_because: str = ""
    """Why this network trained."""
    production: tuple[ProductionFacts, ...] = ()
    """What spot checks show of the versions at the stations."""


def fill_run_json(outcome: RunResult) -> RunJson:
    """Return the content of `run.json`. A figure that this run did not compute is None."""
    model, network = outcome.model, {"sha256": outcome.model.file.sha256, "folder": outcome.exports.digest}
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
        model=ModelFacts.model_validate({**vars(model), **network, "chosen_because": outcome.chosen_because}),
        training=TrainingFacts.model_validate({**vars(model), "epochs": len(model.history)}),
        evaluation=EvaluationFacts.model_validate(outcome.evaluation),
        crossfit=crossfit(outcome),
        production=list(outcome.production),
        release=ReleaseFacts.model_validate(outcome.release.model_dump()),
    )


def checkout_state() -> CodeState:
    """Return the commit of this checkout and whether files differ from it; both None where this is no checkout."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    commit, _, dirty = done.stdout.strip().partition("-")
    return CodeState(commit=commit or None, changed=bool(dirty) if commit else None)


def dataset(outcome: RunResult) -> DatasetFacts:
    """Return the part of `run.json` on the images. A key that a record has under its own name is the record's."""
    manifest, audit, splits = outcome.manifest, outcome.audit, outcome.splits
    renamed = {
        "source": outcome.source.name,
        "source_identity": outcome.source.identity,
        "digest": manifest.table.sha256,
        "splits_digest": splits.table.sha256,
        "layout": outcome.folder.layout,
        "left_alone": outcome.folder.left_alone,
        "held_back_from_training": splits.held_back,
        "different_images": audit.contents,
        "copy_baseline_accuracy": splits.lookup_accuracy,
        "brightness_auc": splits.shortcuts["brightness"].auc,
        "origins": [
            OriginFacts(**origin.model_dump(), unsettled=count_unsettled(origin.name, outcome.arrivals))
            for origin in manifest.origins
        ],
    }
    return DatasetFacts.model_validate({**vars(manifest), **vars(audit), **vars(splits), **renamed})


def crossfit(outcome: RunResult) -> CrossfitFacts | None:
    """Return the part of `run.json` on the judgments out of fold; None where no folds were asked for."""
    result, out_of_fold = outcome.evaluation.crossfit, outcome.out_of_fold
    if not result or not out_of_fold:
        return None
    models = [fold.model for fold in out_of_fold.folds]
    return CrossfitFacts(
        **vars(result.score),
        by_fold=[ScoreFacts.model_validate(fold) for fold in result.folds],
        slices={origin: ScoreFacts.model_validate(score) for origin, score in result.slices.items()},
        worst=list(result.worst),
        suspected_images=result.suspected_images,
        suspected_parts=result.suspected_parts,
        temperature=out_of_fold.temperature,
        cpu_seconds=round(sum(model.cpu_seconds for model in models), 2),
        wall_seconds=round(sum(model.wall_seconds for model in models), 2),
    )


def count_unsettled(origin: str, arrivals: Sequence[Arrival]) -> int:
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
