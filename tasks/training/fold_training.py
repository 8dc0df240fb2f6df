"""Fold training: train a network without the parts of one fold, and judge them with it, in a process of its own where asked.

python -m tasks.training.fold_training < PLAN

Such a process reads the plan and the places as two lines of JSON. It stores its result, which the caller finds by the plan.
"""

import hashlib
import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from tasks.inference.decision import DECIDED_BY_PROBABILITY, Evidence
from tasks.inference.rule_fitting import fit_decision_rule
from tasks.inference.scoring import collect_evidence, judge
from tasks.pipeline.record_cache import cached_record, stored_record
from tasks.records.results import Fold, FoldPlan, Model
from tasks.records.rows import OutOfFoldRow, Prediction, Row
from tasks.settings.cli import exit_status
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import EvaluationSettings, Places
from tasks.storage.code_version import ROOT, code_digest
from tasks.storage.locks import exclusive_lock
from tasks.storage.tables import read_table, store_table
from tasks.training import training_run
from tasks.training.training_run import train_network

FOLD, NETWORK = "fold", "network of a fold"  # kinds of stored records


def train_fold(plan: FoldPlan, places: Places) -> Fold:
    """Train without the fold's parts, and judge them. A training or a whole fold that is stored already is not repeated.

    Where another process works on the same training, wait for it.
    """
    key, folder = digest_of(plan, "number", "of", "unlike_share"), places.data_root / "training"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / f"{key}.lock"):
        if fold := stored_fold(plan, places):
            return fold
        training = partial(train_network, plan.images, plan.recipe, places)
        model = cached_record(NETWORK, code_digest(Path(training_run.__file__)), key, Model, training, places)
        return cached_record(
            FOLD, code_digest(Path(__file__)), digest_of(plan), Fold, lambda: judge_fold(plan, model, places), places
        )


def stored_fold(plan: FoldPlan, places: Places) -> Fold | None:
    """Return the fold where it is stored and whole; else None."""
    return stored_record(FOLD, code_digest(Path(__file__)), digest_of(plan), Fold, places)


def digest_of(plan: FoldPlan, *without: str) -> str:
    """Return the beginning of the sha256 of a plan, without these fields."""
    return hashlib.sha256(plan.model_dump_json(exclude=set(without)).encode()).hexdigest()[:16]


def judge_fold(plan: FoldPlan, model: Model, places: Places) -> Fold:
    """Judge the test images of the plan with its network, by a rule that was fitted to the other images."""
    from tasks.networks import networks  # late, with TensorFlow

    rows = read_table(plan.images.table.path(places), Row)
    evidence = collect_evidence(
        networks.load(model.file.path(places)), rows, model.view, model.image_size, places, model.crop
    )
    settings = EvaluationSettings(unlike_share=plan.unlike_share)  # costs decide later, about all folds at once
    rule = fit_decision_rule(rows, evidence, plan.images.classes, model, settings)
    judged = [
        out_of_fold_row(prediction, image, plan.number)
        for prediction, image in zip(judge(rows, evidence, rule), evidence, strict=True)
        if prediction.split == "test"
    ]
    return Fold(judged=store_table("fold", judged, OutOfFoldRow, places), model=model, temperature=rule.temperature)


def out_of_fold_row(prediction: Prediction, image: Evidence, fold: int) -> OutOfFoldRow:
    """Return the row of an image: its margin, and why a person must look at it whatever the margin says."""
    by_probability = prediction.cause in DECIDED_BY_PROBABILITY
    visible = by_probability or prediction.cause == "unlike_training"
    return OutOfFoldRow(
        path=prediction.path,
        sha256=prediction.sha256,
        origin=prediction.origin,
        label=prediction.label,
        group=prediction.group,
        fold=fold,
        margin=float(image.margin) if visible else 0.0,
        review_cause="" if by_probability else prediction.cause,
        reason="" if by_probability else prediction.reason,
        kind=prediction.kind,
    )


def train_in_process(plan: FoldPlan, places: Places) -> None:
    """Run `train_fold` in a process of its own, which leaves memory and devices free at its end, and repeat what it says.

    The process does not outlive this call. Raises BadInput where the images do not allow it, and RuntimeError where the process fails.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with ExitStack() as stack:
        errors = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))
        process = stack.enter_context(subprocess.Popen(
            [sys.executable, "-m", "tasks.training.fold_training"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}, encoding="utf-8", errors="replace",
        ))  # fmt: skip
        stack.callback(process.kill)
        assert process.stdin and process.stdout
        process.stdin.write(f"{plan.model_dump_json()}\n{places.model_dump_json()}\n")
        process.stdin.close()
        for line in process.stdout:
            say(f"fold {plan.number} of {plan.of}: {line.rstrip()}")
        status = process.wait()
        errors.seek(0)
        last = "".join(errors.readlines()[-20:]).strip()
    if status == 2:
        lines = [line.removeprefix("error: ") for line in last.splitlines() if line.startswith("error: ")]
        raise BadInput(f"fold {plan.number} of {plan.of}: {lines[-1] if lines else last}")
    if status:
        raise RuntimeError(f"the process of fold {plan.number} of {plan.of} ended with status {status}: {last}")


def main() -> None:
    """Train and judge the fold whose plan and places come on the standard input."""
    plan, places = sys.stdin.readline(), sys.stdin.readline()
    train_fold(FoldPlan.model_validate_json(plan), Places.model_validate_json(places))


if __name__ == "__main__":
    sys.exit(exit_status(main))
