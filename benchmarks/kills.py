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

from tasks.records.results import Corrections, Splits
from tasks.settings.settings import (
    AuditSettings,
    FetchSettings,
    Places,
    SampleSettings,
    SplitSettings,
    TrainingSettings,
    ValidationSettings,
)

TRAINING = TrainingSettings(model="compact", image_size=48, batch_size=16, deterministic=True)
SAMPLE = SampleSettings(parts=40, train_images=400, test_images=40)


class Ending(NamedTuple):
    """What a training that was left alone to its end says."""

    digest: str
    resumed_from_epoch: int | None
    seconds: float
    """From the first word of the process to the last."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--train", type=Path, help=argparse.SUPPRESS
    )  # what the processes are called with that are killed
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train, arguments.epochs)
    with tempfile.TemporaryDirectory() as room:
        figures = series(arguments.kills, arguments.epochs, random.Random(arguments.seed), Path(room))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if figures["equal"] < arguments.kills:
        raise SystemExit(f"{arguments.kills - figures['equal']} of {arguments.kills} trainings ended otherwise")
    return None


def series(kills: int, epochs: int, moments: random.Random, room: Path) -> dict:
    """So many kills of trainings of so many epochs; each is told as a row of a table."""
    (room / "splits.json").write_text(prepared(Places(data=room, artifacts=room)).model_dump_json(), encoding="utf-8")
    alone, trials = left_alone(room, epochs), []
    print(f"left alone: {alone.seconds:.1f} s, weights {alone.digest[:16]}")
    print(f"{'kill':>4} {'after, s':>9} {'epochs kept':>12} {'continued after':>16}  weights")
    for number in range(1, kills + 1):
        moment = moments.uniform(0, alone.seconds)
        kept = killed(room, epochs, moment)
        ended = left_alone(room, epochs)
        equal = ended.digest == alone.digest
        trials.append({"moment": moment, "epochs_kept": kept, **ended._asdict(), "equal": equal})
        goes_on = f"epoch {ended.resumed_from_epoch}" if ended.resumed_from_epoch else "anew"
        print(
            f"{number:>4} {moment:>9.2f} {kept:>12} {goes_on:>16}  {'equal' if equal else ended.digest[:16]}",
            flush=True,
        )
    matched = sum(trial["equal"] for trial in trials)
    print(
        f"{matched} of {kills} ended with equal weights; {sum(bool(one['epochs_kept']) for one in trials)} went on from a finished epoch"
    )
    return {"kills": kills, "equal": matched, "left_alone": alone._asdict(), "trials": trials}


def prepared(places: Places) -> Splits:
    """The sample, split. The words of the steps go to standard error."""
    from tasks.audit import audit
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.sources.locate import locate
    from tasks.split import split
    from tasks.validate import validate

    settings = FetchSettings(source="sample", sample=SAMPLE)
    with redirect_stdout(sys.stderr):
        folder = extract.fn(fetch.fn(locate(settings, places), places), settings.classes, places)
        manifest = validate.fn(folder, (), Corrections(), ValidationSettings(), places)
        return split.fn(manifest, audit.fn(manifest, AuditSettings(), places), SplitSettings(), places)


def train(room: Path, epochs: int) -> None:
    """What is killed: one training, as the pipeline runs it. Says when it begins and, at its end, what came of it."""
    from tasks.networks import networks  # noqa: F401  loaded before it begins
    from tasks.train import train
    from tasks.training import trainer  # noqa: F401  loaded before it begins

    print("begins", flush=True)
    splits = Splits.model_validate_json((room / "splits.json").read_bytes())
    recipe = TRAINING.model_copy(update={"epochs": epochs}).recipe()
    model = train.fn(splits, recipe, Places(data=room, artifacts=room))
    print(json.dumps([model.weights_sha256, model.resumed_from_epoch]), flush=True)


def begun(room: Path, epochs: int) -> "subprocess.Popen[str]":
    """A training in a process of its own, which has just begun."""
    command = [sys.executable, __file__, "--train", str(room), "--epochs", str(epochs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while process.stdout and process.stdout.readline().strip() != "begins":
        if process.poll() is not None:
            raise SystemExit(f"the training does not begin: {' '.join(command)}")
    return process


def left_alone(room: Path, epochs: int) -> Ending:
    with begun(room, epochs) as process:
        began = time.perf_counter()
        said, _ = process.communicate()
    digest, resumed = json.loads(said.splitlines()[-1])
    return Ending(digest, resumed, time.perf_counter() - began)


def killed(room: Path, epochs: int, moment: float) -> int:
    """Kills a training so many seconds after it began. Returns how many epochs it had kept; 0 where it had already ended."""
    with begun(room, epochs) as process:
        time.sleep(moment)
        process.kill()
    return max((int(path.name[:4]) for path in room.glob("training/*/0*.npz")), default=0)


if __name__ == "__main__":
    main()
