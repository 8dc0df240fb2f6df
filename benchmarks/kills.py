"""Does a training that is killed at any moment end as one that is left alone?

python benchmarks/kills.py --kills 20 --json kills.json

On a small sample. Each time the training is killed (SIGKILL) at a random moment, from before its first batch to its end, and
then run again to the end. The digest of its weights is compared with that of a training nobody killed.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks.preparation import validate_images, write_figures
from tasks.records.results import PartNames, Splits
from tasks.settings.settings import AuditSettings, Places, SampleSettings, SplitSettings, TrainingSettings, ViewSettings

TRAINING = TrainingSettings(model="compact", image_size=48, batch_size=16, deterministic=True)
SAMPLE = SampleSettings(parts=40, train_images=400, test_images=40)


class FinishedTraining(NamedTuple):
    """The result of a training that nobody killed."""

    digest: str
    resumed_from_epoch: int | None
    seconds: float
    """From the first word of the process to the last."""


def main() -> None:
    """Run a series of kills, write its figures, and exit with 1 where a training ended with other weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # of the processes that are killed
    options = parser.parse_args()
    if options.train:
        return train(options.train, options.epochs)
    with tempfile.TemporaryDirectory() as scratch:
        figures = run_series(options.kills, options.epochs, random.Random(options.seed), Path(scratch))
    write_figures(figures, options.json)
    if figures["equal"] < options.kills:
        raise SystemExit(f"{options.kills - figures['equal']} of {options.kills} trainings ended otherwise")
    return None


def run_series(kills: int, epochs: int, moments: random.Random, folder: Path) -> dict:
    """Kill `kills` trainings of so many epochs, and run each again to its end. Print a row of a table for each."""
    splits = prepare_splits(Places(data=folder, artifacts=folder))
    (folder / "splits.json").write_text(splits.model_dump_json(), encoding="utf-8")
    reference, trials = finish_training(folder, epochs), []
    print(f"left alone: {reference.seconds:.1f} s, weights {reference.digest[:16]}")
    print(f"{'kill':>4} {'after, s':>9} {'epochs kept':>12} {'continued after':>16}  weights")
    for number in range(1, kills + 1):
        moment = moments.uniform(0, reference.seconds)
        epochs_kept = kill_training(folder, epochs, moment)
        finished = finish_training(folder, epochs)
        equal = finished.digest == reference.digest
        trials.append({"moment": moment, "epochs_kept": epochs_kept, **finished._asdict(), "equal": equal})
        resumed = f"epoch {finished.resumed_from_epoch}" if finished.resumed_from_epoch else "anew"
        print(
            f"{number:>4} {moment:>9.2f} {epochs_kept:>12} {resumed:>16}  {'equal' if equal else finished.digest[:16]}",
            flush=True,
        )
    matching = sum(trial["equal"] for trial in trials)
    resumed_trials = sum(bool(trial["epochs_kept"]) for trial in trials)
    print(f"{matching} of {kills} ended with equal weights; {resumed_trials} went on from a finished epoch")
    return {"kills": kills, "equal": matching, "left_alone": reference._asdict(), "trials": trials}


def prepare_splits(places: Places) -> Splits:
    """Return the sample, split. What the steps print goes to standard error."""
    from tasks.audit import audit
    from tasks.split import split

    manifest = validate_images("sample", (), places, SAMPLE)
    with redirect_stdout(sys.stderr):
        audited = audit.fn(manifest, PartNames(), AuditSettings(), places)
        return split.fn(manifest, audited, SplitSettings(), ViewSettings(), False, places)


def train(folder: Path, epochs: int) -> None:
    """Run one training as the pipeline runs it, in the process that is killed.

    Print `begins`, and at the end the digest of the weights and the epoch after which it went on, as JSON.
    """
    from tasks.networks import networks  # noqa: F401  loaded before it begins
    from tasks.train import train
    from tasks.training import trainer  # noqa: F401  loaded before it begins

    print("begins", flush=True)
    splits = Splits.model_validate_json((folder / "splits.json").read_bytes())
    recipe = TRAINING.model_copy(update={"epochs": epochs}).recipe()
    model = train.fn(splits, recipe, Places(data=folder, artifacts=folder))
    print(json.dumps([model.weights_sha256, model.resumed_from_epoch]), flush=True)


def start_training(folder: Path, epochs: int) -> "subprocess.Popen[str]":
    """Start a training in a process of its own, and return as soon as it begins."""
    command = [sys.executable, __file__, "--train", str(folder), "--epochs", str(epochs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while process.stdout and process.stdout.readline().strip() != "begins":
        if process.poll() is not None:
            raise SystemExit(f"the training does not begin: {' '.join(command)}")
    return process


def finish_training(folder: Path, epochs: int) -> FinishedTraining:
    """Run a training to its end. It goes on from what an earlier one left in the folder."""
    with start_training(folder, epochs) as process:
        began = time.perf_counter()
        output, _ = process.communicate()
    digest, resumed = json.loads(output.splitlines()[-1])
    return FinishedTraining(digest, resumed, time.perf_counter() - began)


def kill_training(folder: Path, epochs: int, moment: float) -> int:
    """Kill a training so many seconds after it began. Return how many epochs it had saved; 0 where it had already ended."""
    with start_training(folder, epochs) as process:
        time.sleep(moment)
        process.kill()
    return max((int(path.name[:4]) for path in folder.glob("training/*/0*.npz")), default=0)


if __name__ == "__main__":
    main()
