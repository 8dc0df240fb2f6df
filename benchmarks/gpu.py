"""What does a GPU do for recast? Its ceilings, the steps, what they wait for, whole trainings: in one call of some minutes.

python benchmarks/gpu.py --source castings.zip --json gpu.json

It needs no network and no server. Each part has a process and a time limit of its own, and the file is written anew as
figures come, so that a run that is cut short leaves what it has measured. The audit of the images takes a minute or more; for a
machine that is lent by the minute it is done beforehand, into a folder of at most 60 MB:

python benchmarks/gpu.py --source castings.zip --prepare folder     then, on the other machine, --source folder

Of the archive it holds all images, for `cleaned`: 5,219 to train, 583 to validate and 715 to test, in 59.9 MB.

`--device cpu` measures the processors. `--beside cpu.json` shows the figures of whole trainings that such a call wrote.
`--short` does a little of all on the processors, to see that all parts work.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks import gpu_device, gpu_steps, gpu_trainings
from benchmarks.gpu_device import Job, Sizes
from benchmarks.gpu_images import NETWORKS, pack_images, split_source, write_pack
from benchmarks.preparation import split_names
from benchmarks.supervisor import Part, run_parts
from tasks.settings.errors import BadInput
from tasks.storage.files import json_object, write_whole

GPU = Sizes(
    networks=NETWORKS, product=8_192, copied=2**27, batches=(32, 512, 128, 1_024), precisions=("bfloat16", "tf32", "float32"),
    executions=(8, 32), fed=(32, 512), least=0.4, trained="ring", images=2_048, epochs=4,
)  # fmt: skip
CPU = Sizes(
    networks=NETWORKS, product=1_024, copied=2**24, batches=(32, 128), precisions=("float32", "bfloat16"),
    executions=(8,), fed=(32,), least=0.5, trained="compact", images=512, epochs=3,
)  # fmt: skip
SHORT = Sizes(
    networks=("ring",), product=256, copied=2**16, batches=(2,), precisions=("float32",),
    executions=(2,), fed=(2,), least=0.0, trained="compact", images=16, epochs=3, whole=1,
)  # fmt: skip
CLEARING = 4  # seconds at the end: scratch of 1 GB is removed
IMAGES = ("whole", "deterministic", "pair", "input")  # begin the names of the parts that need what `prepare` makes


def make_parts(job: Job) -> list[Part]:
    """Return all parts with their weights and the seconds that they need at least, the most informative first.

    A weight is about twice the seconds that a GPU takes, so that each has enough. That of `prepare` is for an audit on two
    processors: most others need its images. `xla` comes last, since it compiles for 20 s a figure.
    """
    compact, ring, tutorial = (partial(gpu_trainings.train_whole, network=network) for network in NETWORKS)
    works: dict[str, tuple[Callable, float, float]] = {
        "device": (gpu_device.measure_device, 150, 10),
        "prepare": (gpu_device.prepare_images, 1_200, 10),
        "whole compact": (compact, 80, 30),
        "whole ring": (ring, 100, 30),
        "whole tutorial_dropout": (tutorial, 80, 30),
        "steps": (gpu_steps.measure_steps, 80, 15),
        "deterministic": (gpu_trainings.measure_determinism, 140, 40),
        "pair": (gpu_trainings.measure_pair, 60, 25),
        "input": (gpu_steps.measure_feeds, 80, 15),
        "xla": (partial(gpu_steps.measure_steps, xla=True), 100, 15),
    }
    return [Part(name, partial(work, job), weight, least) for name, (work, weight, least) in works.items()]


def select_parts(parts: Sequence[Part], words: Sequence[str]) -> list[Part]:
    """Return the parts whose names begin with one of the words, and the part that prepares their images. No words: all parts.

    Raises BadInput where no name begins with a word.
    """
    if unknown := [word for word in words if not any(part.name.startswith(word) for part in parts)]:
        raise BadInput(f"there is no part {', '.join(unknown)}: choose of {', '.join(part.name for part in parts)}")
    words = words or [part.name for part in parts]
    selected = [part for part in parts if part.name.startswith(tuple(words))]
    needs_images = any(part.name.startswith(IMAGES) for part in selected)
    return [part for part in parts if part in selected or (needs_images and part.name == "prepare")]


def main() -> None:
    """Measure, or pack the images for another machine."""
    began = time.monotonic()
    parser = make_parser()
    options = parser.parse_args()
    source = options.source or (None if options.short else os.environ.get("RECAST_ARCHIVE", "sample"))
    try:
        if options.prepare:
            with split_source(source, options.images) as data:
                size = write_pack(pack_images(data), options.prepare)
            print(f"{options.prepare}: {size / 1e6:.1f} MB; elsewhere: benchmarks/gpu.py --source {options.prepare}")
        else:
            run_benchmark(options, source, began)
    except BadInput as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def run_benchmark(options: argparse.Namespace, source: str | None, began: float) -> None:
    """Run the parts of the options. Exits with an error where one failed; a part that ran out of time did not fail."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    minutes = options.minutes or (2 if options.short else 8)
    gpu = options.device == "gpu" or not (options.device or options.short)
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the parts' processes take it over
    sizes = SHORT if options.short else GPU if gpu else CPU
    header = {"source": source, "gpu": gpu, "short": options.short, "minutes": minutes}
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(gpu, sizes, Path(scratch), source, options.images, read_earlier(options.beside))
        parts = select_parts(make_parts(job), options.parts)
        publish = partial(write_results, header, began, options.json)
        results = run_parts(parts, job.folder, began + 60 * minutes - CLEARING, publish)
    if failed := [name for name, result in results.items() if "error" in result]:
        raise SystemExit(f"failed: {', '.join(failed)}")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    option = parser.add_argument
    option("--source", help="`sample`, a zip, a folder, or one that --prepare wrote; else RECAST_ARCHIVE, else sample")
    option("--prepare", type=Path, metavar="FOLDER", help="only write what --source takes on another machine")
    option("--images", type=int, help="at most so many training images; else all")
    option("--device", choices=("gpu", "cpu"), help="else gpu, with --short cpu")
    option("--minutes", type=float, help="for all of it; else 8, with --short 2")
    option("--short", action="store_true", help="a little of all, on a few drawn castings unless --source is given")
    words = "of device, steps, whole, deterministic, pair, input, xla; else all"
    option("--parts", type=split_names, default=[], help=words)
    option("--beside", type=Path, metavar="JSON", help="an earlier --json, whose whole trainings are shown beside")
    option("--json", type=Path, help="file for the figures")
    return parser


def read_earlier(path: Path | None) -> dict[str, dict]:
    """Return the figures of the whole trainings of an earlier call, by network."""
    parts = json_object(path).get("parts", {}) if path else {}
    return {network: parts.get(f"whole {network}", {}).get("figures", {}).get(network, {}) for network in NETWORKS}


def write_results(header: dict, began: float, path: Path | None, results: dict[str, dict]) -> None:
    """Write the file whole, with the results so far."""
    document = {**header, "seconds": round(time.monotonic() - began, 1), "parts": results}
    if path:
        write_whole(path, json.dumps(document, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
