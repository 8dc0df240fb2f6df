"""Does a release that is killed at any moment leave a model in use that answers, and does the next run end it?

python benchmarks/release_kills.py --kills 20 --json release-kills.json

On a small sample: a first model is in use, and a better one is trained. Each time the run is killed (SIGKILL, its server too) at a
random moment between the end of training and the end of the run. Then the model in use is asked about an image, and the run is
called again: it must put the better one into use, as version 2 and no other.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks.preparation import write_figures
from tasks.settings.settings import SAMPLE_MODEL, Places

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ["--fetch.sample.parts", "60", "--fetch.sample.train_images", "300", "--fetch.sample.test_images", "120"]
LAX = [f"--acceptance.{name}=1" for name in ("max_escape_rate", "max_false_reject_rate", "max_review_rate")]
SETTINGS = ["--model", "ring", *SAMPLE, *LAX, "--no-acceptance.beyond_baselines"]
TRAINED = "train: unchanged, remembered"  # what the run says when its training is over


def main() -> None:
    """Run a series of kills, write its figures, and exit with 1 where a release did not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15, help="of the better model; the first one has one")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = run_series(options.kills, options.epochs, random.Random(options.seed), Path(scratch))
    write_figures(figures, options.json)
    if figures["ended"] < options.kills:
        raise SystemExit(f"{options.kills - figures['ended']} of {options.kills} releases did not end as they should")


def run_series(kills: int, epochs: int, moments: random.Random, folder: Path) -> dict[str, Any]:
    """Kill `kills` releases, and call each run again. Print a row of a table for each."""
    retrain(folder, "first", 1)  # it sends all to a person, so that the better one is better on any processor
    shutil.copytree(folder / "first", folder / "whole", symlinks=True)
    retrain(folder, "whole", epochs)  # its steps are remembered from here on
    if answering_version(folder, "whole") != 2:
        raise SystemExit("the better model was not put into use: give more --epochs")
    seconds = run_and_kill(folder, epochs, float("inf"))
    trials: list[dict[str, Any]] = []
    print(f"from the end of training to the end of the run: {seconds:.1f} s")
    print(f"{'kill':>4} {'after, s':>9}  in use then  in use after the next run")
    for number in range(1, kills + 1):
        moment = moments.uniform(0, seconds)
        run_and_kill(folder, epochs, moment)
        then = answering_version(folder, "trial")
        retrain(folder, "trial", epochs)
        after, number_of_versions = answering_version(folder, "trial"), count_versions(folder, "trial")
        ended = then in (1, 2) and (after, number_of_versions) == (2, 2)
        trials.append({"moment": moment, "then": then, "after": after, "versions": number_of_versions, "ended": ended})
        print(f"{number:>4} {moment:>9.2f}  version {then}    version {after} of {number_of_versions}", flush=True)
    complete = sum(trial["ended"] for trial in trials)
    print(f"{complete} of {kills}: the model in use answered, and the next run put version 2 into use")
    return {"kills": kills, "ended": complete, "seconds": seconds, "trials": trials}


def run_and_kill(folder: Path, epochs: int, moment: float) -> float:
    """Release in new places, and kill the run so many seconds after its training. Return the seconds that it had."""
    shutil.rmtree(folder / "trial", ignore_errors=True)
    shutil.copytree(folder / "first", folder / "trial", symlinks=True)
    command = retrain_command(folder, "trial", epochs)
    with subprocess.Popen(
        command,
        env=retrain_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        lines = []
        while run.stdout and (line := run.stdout.readline()):
            lines.append(line)
            if TRAINED in line:
                break
        else:
            raise SystemExit(f"the run did not get to its release:\n{''.join(lines)}")
        began = time.perf_counter()
        try:
            run.communicate(timeout=None if moment == float("inf") else moment)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
        return time.perf_counter() - began


def retrain_command(folder: Path, artifacts: str, epochs: int) -> list[str]:
    """Return the command of a run with these artifacts."""
    places = ["--data", str(folder / "data"), "--artifacts", str(folder / artifacts)]
    return [sys.executable, str(ROOT / "flows/retrain.py"), *SETTINGS, "--epochs", str(epochs), *places]


def retrain_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a run, with a Prefect home of its own."""
    return {**os.environ, "PREFECT_HOME": str(folder / "prefect")}


def retrain(folder: Path, artifacts: str, epochs: int) -> None:
    """Run to the end. Raises SystemExit where the run fails."""
    ended = subprocess.run(
        retrain_command(folder, artifacts, epochs),
        env=retrain_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"a run that was left alone failed:\n{ended.stdout}{ended.stderr}")


def answering_version(folder: Path, artifacts: str) -> int | None:
    """Return the version that answers for an image; None where none does."""
    image = min((folder / "data/images").rglob("*.jpeg"))
    places = ["--data", str(folder / "data"), "--artifacts", str(folder / artifacts)]
    command = [sys.executable, str(ROOT / "flows/predict.py"), str(image), "--json", *places]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(ended.stdout)[0]["model_version"] if ended.returncode == 0 else None


def count_versions(folder: Path, artifacts: str) -> int:
    """Return how many versions are registered with these artifacts."""
    from tasks.tracking import registry

    places = Places(data=folder / "data", artifacts=folder / artifacts, registered_model=SAMPLE_MODEL)
    return len(registry.versions(places))


if __name__ == "__main__":
    main()
