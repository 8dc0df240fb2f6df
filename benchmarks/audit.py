"""What does the audit cost at 7 thousand, 20 thousand and 100 thousand images, and how does that grow? Does it use all cores?

python benchmarks/audit.py --source castings.zip --images 7284 20000 100000 --json audit.json
python benchmarks/audit.py --source castings.zip --images --cores 1 2 4

More images than there are photographs are made of them: turned, mirrored, moved, lit, with noise, and every fiftieth ring is a
new casting, patched together from the rings of others. Each size runs in a process of its own, whose peak memory is told.
`--cores` times the whole step on the source itself, from decoding on, in a process that may use so many cores.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.apart import apart, peak_bytes
from benchmarks.photographs import photographs
from benchmarks.prepared import room, validated, write
from tasks.dataset.grouping import GroupHints, assign_groups
from tasks.dataset.near_duplicates import find_near_duplicates
from tasks.dataset.registration import SIDE
from tasks.images import ring_search, rings
from tasks.images.decoding import decode
from tasks.images.views import square
from tasks.records.results import Manifest
from tasks.settings.settings import AuditSettings, Places
from tasks.storage.parallel import count_processors
from tasks.storage.result_cache import NAME
from tasks.training.stopwatch import Elapsed

RINGS = 200  # photographs on which ring finding is timed
PATCHES = 8  # rings that make a new one
PER_CASTING = 50  # images, as in the published set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--images", type=int, nargs="*", default=[7_284, 20_000, 100_000], help="sizes, ascending")
    parser.add_argument("--cores", type=int, nargs="*", default=[], help="numbers of cores, ascending")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    if arguments.cores and max(arguments.cores) > count_processors():
        parser.error(f"--cores asks for {max(arguments.cores)}, and this process may use {count_processors()}")
    figures = sizes(arguments.source, arguments.images) if arguments.images else {}
    if arguments.cores:
        figures |= cores(arguments.source, arguments.cores)
    write(figures, arguments.json)


def sizes(source: str | None, images: Sequence[int]) -> dict:
    """Measure the search for copies and castings among so many images."""
    grey = [decode(content, ".jpeg", 40).pixels for content in photographs(source)]
    found = [one for one in grey if one is not None]
    milliseconds, strips = unwrapped(found)
    print(f"ring finding and unwrapping, one core: {milliseconds:.1f} ms an image (median of {min(RINGS, len(found))})")
    thumbnails = np.stack([square(one, SIDE) for one in found])
    print(f"{'images':>8} {'copies, s':>10} {'castings, s':>12} {'pairs':>9} {'castings':>9} {'peak, MiB':>10}")
    measured = []
    for size in images:
        one = apart(measure, thumbnails, strips, size)
        measured.append(one)
        print(
            f"{size:>8,} {one['copies_seconds']:>10.1f} {one['castings_seconds']:>12.1f} {one['pairs']:>9,} "
            f"{one['castings']:>9,} {one['peak_mebibytes']:>10,.0f}",
            flush=True,
        )
    powers = growth(measured)
    print(", ".join(f"{name} grows with the power {power:.2f} of the images" for name, power in powers.items()))
    return {"ring_milliseconds": milliseconds, "sizes": measured, "growth": powers}


def cores(source: str | None, numbers: Sequence[int]) -> dict:
    """Time the whole step on so many cores, and say what share of it runs on one core only."""
    print(f"{'cores':>8} {'audit, s':>10} {'processor, s':>13} {'serial share':>13}")
    with room(None) as places:
        manifest = validated(source, (), places)
        rows: list[dict] = []
        for number in numbers:
            spent = apart(step, manifest, places, number)
            row = {"cores": number, "seconds": spent.wall, "processor_seconds": spent.cpu}
            rows.append(row | {"serial_share": serial_share({one["cores"]: one["seconds"] for one in [*rows, row]})})
            shown = "" if rows[-1]["serial_share"] is None else f"{rows[-1]['serial_share']:.1%}"
            print(f"{number:>8} {spent.wall:>10.1f} {spent.cpu:>13.1f} {shown:>13}", flush=True)
    return {"cores": rows}


def step(manifest: Manifest, places: Places, number: int) -> Elapsed:
    """Run the audit on the first cores that this process may use, and with nothing remembered of the images."""
    from tasks.audit import audit

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    (places.data / NAME).unlink(missing_ok=True)
    began = Elapsed.now()
    with redirect_stdout(sys.stderr):
        audit.fn(manifest, AuditSettings(), places)
    return Elapsed.now() - began


def serial_share(seconds: dict[int, float]) -> float | None:
    """Return the share of the work that no second core takes part in, by the fewest and the most cores (Amdahl, 1967).

    On n cores the time is that on one, times s + (1 - s) / n. None where only one number of cores was measured.
    """
    fewest, most = min(seconds), max(seconds)
    if fewest == most:
        return None
    ratio = seconds[most] / seconds[fewest]
    serial = (ratio / fewest - 1 / most) / (1 - 1 / most - ratio * (1 - 1 / fewest))
    return max(0.0, serial)


def unwrapped(grey: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Median milliseconds a ring takes on one core, and strips uint8 (n, 96, 512)."""
    spent, strips = [], []
    for one in grey[:: max(1, len(grey) // RINGS)]:
        began = time.process_time()
        ring = ring_search.find(one)
        strips += [rings.unwrap(one, ring)] if ring else []
        spent.append(1e3 * (time.process_time() - began))
    return statistics.median(spent), np.stack(strips)


def measure(thumbnails: np.ndarray, strips: np.ndarray, images: int) -> dict:
    """Seconds and peak memory of finding copies and castings among so many images."""
    auditing, rng = AuditSettings(), np.random.default_rng(0)
    many = np.stack(list(changed(thumbnails, images, rng)))
    began = time.perf_counter()
    pairs = find_near_duplicates(many, np.arange(images) < images // 10, auditing.copy_limit)
    copied = time.perf_counter()
    names = [str(number) for number in range(images)]
    members = assign_groups(
        names, (GroupHints(one, 0.0, None, 0.0) for one in turned(strips, images, rng)), auditing.casting_limit
    )
    return {
        "images": images,
        "copies_seconds": copied - began,
        "castings_seconds": time.perf_counter() - copied,
        "pairs": len(pairs.earlier),
        "castings": len({member.group for member in members}),
        "peak_mebibytes": peak_bytes() / 2**20,
    }


def changed(thumbnails: np.ndarray, images: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The thumbnails, then changed ones for as long as images are wanted."""
    yield from thumbnails[:images]
    for number in range(len(thumbnails), images):
        one = np.rot90(thumbnails[number % len(thumbnails)], int(rng.integers(4)))
        one = np.roll(one[:, :: int(rng.choice([1, -1]))], rng.integers(-2, 3, 2), axis=(0, 1))
        noise = rng.normal(0, 2, one.shape).astype(np.float32)
        yield (one * rng.uniform(0.8, 1.2) + noise).clip(0, 255).astype(np.uint8)


def turned(strips: np.ndarray, images: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Strips of one casting for every 50 images, new castings patched together from pieces of others; each turned and with noise."""
    castings: list[np.ndarray] = []
    for number in range(images):
        if number % PER_CASTING == 0:
            pieces = rng.integers(len(strips), size=PATCHES)
            width = strips.shape[2] // PATCHES
            castings.append(
                np.concatenate(
                    [strips[piece][:, n * width : (n + 1) * width] for n, piece in enumerate(pieces)], axis=1
                )
            )
        one = np.roll(castings[rng.integers(len(castings))], rng.integers(strips.shape[2]), axis=1)
        noise = rng.integers(-2, 3, one.shape, dtype=np.int16)
        yield (one + noise).clip(0, 255).astype(np.uint8)


def growth(sizes: list[dict]) -> dict[str, float]:
    """The exponent with which each figure grows from the smallest to the largest size."""
    first, last = sizes[0], sizes[-1]
    if first["images"] == last["images"]:
        return {}
    times = math.log(last["images"] / first["images"])
    keys = {
        "time for copies": "copies_seconds",
        "time for castings": "castings_seconds",
        "peak memory": "peak_mebibytes",
    }
    return {name: math.log(last[key] / first[key]) / times for name, key in keys.items()}


if __name__ == "__main__":
    main()
