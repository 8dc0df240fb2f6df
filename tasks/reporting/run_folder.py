"""Run folder: the files of a run under `artifacts/runs/<run-id>/`, and the link `latest` to the newest one."""

import os
import re
import shutil
from datetime import datetime
from pathlib import Path, PurePosixPath

from tasks.reporting.run_json import RunResult, fill_run_json
from tasks.settings.errors import BadInput
from tasks.settings.settings import Config
from tasks.storage.files import json_object, publish, scratch_beside

RUN_ID = re.compile(r"\d{8}-\d{6}-\w+-[0-9a-f]{4}", re.ASCII)  # as `new_run_id` makes it


def new_run_id(started: datetime, config: Config) -> str:
    """Return a name that sorts by time and tells people what ran: 20261122-161500-compact-1f3a."""
    return f"{started:%Y%m%d-%H%M%S}-{config.training.model}-{os.urandom(2).hex()}"


def write_run(outcome: RunResult, page: str) -> Path:
    """Write `artifacts/runs/<run-id>/`, whole or not at all, and let the symlink `latest` lead to it.

    `page` is the report as HTML. Returns the folder.
    """
    places = outcome.config.places
    folder, manifest = places.runs / outcome.run_id, outcome.manifest
    files = {
        "predictions.csv": outcome.evaluation.predictions,
        "audit.csv": outcome.audit.pairs,
        "splits.csv": outcome.splits.table,
        "castings.csv": outcome.audit.groups,
        "quarantine.csv": manifest.refused,
        "corrections.csv": manifest.corrected,
        **({"label_changes.csv": manifest.label_changes} if manifest.label_changes else {}),
    }
    if crossfit := outcome.evaluation.crossfit:
        files |= {
            "out_of_fold.csv": crossfit.predictions,
            "suspects.csv": crossfit.suspects,
            "suspect_corrections.csv": crossfit.corrections,
        }
    for figure in outcome.figures.figures:
        files[f"figures/{figure.name}{PurePosixPath(figure.file.name).suffix}"] = figure.file
    with scratch_beside(folder) as scratch:
        (scratch / "figures").mkdir(parents=True)
        for name, file in files.items():
            shutil.copyfile(file.path(places), scratch / name)
        (scratch / "run.json").write_text(fill_run_json(outcome).model_dump_json(indent=2) + "\n", encoding="utf-8")
        (scratch / "report.html").write_text(page, encoding="utf-8")
        (scratch / "model.txt").write_text(outcome.model.summary + "\n", encoding="utf-8")
        publish(scratch, folder)
    lead_latest_to(folder)
    return folder


def lead_latest_to(run: Path) -> None:
    """Let the symlink `latest` lead to the folder of this run."""
    latest = run.with_name("latest")
    if latest.is_dir() and not latest.is_symlink():  # a copy of `artifacts` that followed the link
        os.replace(latest, run.with_name(f"{beginning_of_copy(latest)}copy-before-{run.name}"))
    with scratch_beside(latest) as link:
        link.symlink_to(run.name)
        os.replace(link, latest)


def beginning_of_copy(run: Path) -> str:
    """Return the beginning of the name for a copy of a run, so that the copy sorts beside its run.

    Without it the copy would count as the newest run, which is the one with the last name. Empty where `run.json` does not say.
    """
    try:
        name = str(json_object(run / "run.json").get("run_id"))
    except BadInput:
        return ""
    return f"{name}-" if RUN_ID.fullmatch(name) else ""
