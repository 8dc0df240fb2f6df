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

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ["--fetch.sample.parts", "60", "--fetch.sample.train_images", "300", "--fetch.sample.test_images", "120"]
LAX = [f"--acceptance.{name}=1" for name in ("max_escape_rate", "max_false_reject_rate", "max_review_rate")]
SETTINGS = ["--model", "ring", *SAMPLE, *LAX]
TRAINED = "train: unchanged, remembered"  # what the run says when its training is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15, help="of the better model; the first one has one")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        figures = series(arguments.kills, arguments.epochs, random.Random(arguments.seed), Path(room))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if figures["ended"] < arguments.kills:
        raise SystemExit(
            f"{arguments.kills - figures['ended']} of {arguments.kills} releases did not end as they should"
        )


def series(kills: int, epochs: int, moments: random.Random, room: Path) -> dict[str, Any]:
    """So many kills of a release; each is told as a row of a table."""
    retrain(room, "first", 1)  # it sends all to a person, so that the better one is better on any processor
    shutil.copytree(room / "first", room / "whole", symlinks=True)
    retrain(room, "whole", epochs)  # its steps are remembered from here on
    if answer(room, "whole") != 2:
        raise SystemExit("the better model was not put into use: give more --epochs")
    seconds = window(room, epochs, float("inf"))
    trials: list[dict[str, Any]] = []
    print(f"from the end of training to the end of the run: {seconds:.1f} s")
    print(f"{'kill':>4} {'after, s':>9}  in use then  in use after the next run")
    for number in range(1, kills + 1):
        moment = moments.uniform(0, seconds)
        window(room, epochs, moment)
        then = answer(room, "trial")
        retrain(room, "trial", epochs)
        after, made = answer(room, "trial"), versions(room, "trial")
        ended = then in (1, 2) and (after, made) == (2, 2)
        trials.append({"moment": moment, "then": then, "after": after, "versions": made, "ended": ended})
        print(f"{number:>4} {moment:>9.2f}  version {then}    version {after} of {made}", flush=True)
    well = sum(trial["ended"] for trial in trials)
    print(f"{well} of {kills}: the model in use answered, and the next run put version 2 into use")
    return {"kills": kills, "ended": well, "seconds": seconds, "trials": trials}


def window(room: Path, epochs: int, moment: float) -> float:
    """A release in new places, killed so many seconds after its training; the seconds that it had."""
    shutil.rmtree(room / "trial", ignore_errors=True)
    shutil.copytree(room / "first", room / "trial", symlinks=True)
    command = words(room, "trial", epochs)
    with subprocess.Popen(
        command,
        env=surroundings(room),
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


def words(room: Path, artifacts: str, epochs: int) -> list[str]:
    places = ["--data", str(room / "data"), "--artifacts", str(room / artifacts)]
    return [sys.executable, str(ROOT / "flows/retrain.py"), *SETTINGS, "--epochs", str(epochs), *places]


def surroundings(room: Path) -> dict[str, str]:
    return {**os.environ, "PREFECT_HOME": str(room / "prefect")}


def retrain(room: Path, artifacts: str, epochs: int) -> None:
    """A run that is left alone."""
    said = subprocess.run(
        words(room, artifacts, epochs), env=surroundings(room), capture_output=True, text=True, check=False
    )
    if said.returncode:
        raise SystemExit(f"a run that was left alone failed:\n{said.stdout}{said.stderr}")


def answer(room: Path, artifacts: str) -> int | None:
    """The version that answers for an image; None where none does."""
    image = min((room / "data/images").rglob("*.jpeg"))
    places = ["--data", str(room / "data"), "--artifacts", str(room / artifacts)]
    command = [sys.executable, str(ROOT / "flows/predict.py"), str(image), "--json", *places]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(said.stdout)[0]["model_version"] if said.returncode == 0 else None


def versions(room: Path, artifacts: str) -> int:
    sys.path.insert(0, str(ROOT))
    from tasks.settings.settings import SAMPLE_MODEL, Places
    from tasks.tracking import registry

    places = Places(data=room / "data", artifacts=room / artifacts, registered_model=SAMPLE_MODEL)
    return len(registry.versions(places))


if __name__ == "__main__":
    main()
