"""What does the audit cost at 7 thousand, 20 thousand and 100 thousand images, and how does that grow? Does it use all cores?

python benchmarks/audit.py --source castings.zip --images 7284 20000 100000 --json audit.json
python benchmarks/audit.py --source castings.zip --images --cores 1 2 4

More images than there are photographs are made of them: turned, mirrored, moved, lit, with noise, and every fiftieth ring is a
new casting, patched together from the rings of others. Each size runs in a process of its own, which gives its peak memory.
`--cores` times the whole step on the source itself, from decoding on, in a process that may use so many cores.
"""

import argparse
import math
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.isolation import peak_bytes, run_isolated
from benchmarks.preparation import validate_images, working_places, write_figures
from benchmarks.source_jpegs import read_jpegs
from tasks.dataset.grouping import GroupHints, assign_groups
from tasks.dataset.near_duplicates import find_near_duplicates
from tasks.dataset.registration import SIDE
from tasks.images import ring_search, rings
from tasks.images.decoding import decode
from tasks.images.views import square
from tasks.records.results import Manifest, PartNames
from tasks.settings.settings import AuditSettings, Places
from tasks.storage.parallel import count_processors
from tasks.storage.result_cache import NAME
from tasks.training.stopwatch import Elapsed

RINGS = 200  # photographs on which ring finding is timed
PATCHES = 8  # rings that make a new one
PER_CASTING = 50  # images, as in the published set


def main() -> None:
    """Measure what the options ask for, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--images", type=int, nargs="*", default=[7_284, 20_000, 100_000], help="sizes, ascending")
    parser.add_argument("--cores", type=int, nargs="*", default=[], help="numbers of cores, ascending")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    if options.cores and max(options.cores) > count_processors():
        parser.error(f"--cores asks for {max(options.cores)}, and this process may use {count_processors()}")
    figures = measure_sizes(options.source, options.images) if options.images else {}
    if options.cores:
        figures |= measure_cores(options.source, options.cores)
    write_figures(figures, options.json)


def measure_sizes(source: str | None, images: Sequence[int]) -> dict:
    """Measure the search for copies and castings among each of these numbers of images, and print a table."""
    decoded = [decode(content, ".jpeg", 40).pixels for content in read_jpegs(source)]
    pictures = [picture for picture in decoded if picture is not None]
    milliseconds, strips = unwrap_rings(pictures)
    print(
        f"ring finding and unwrapping, one core: {milliseconds:.1f} ms an image (median of {min(RINGS, len(pictures))})"
    )
    thumbnails = np.stack([square(picture, SIDE) for picture in pictures])
    print(f"{'images':>8} {'copies, s':>10} {'castings, s':>12} {'pairs':>9} {'castings':>9} {'peak, MiB':>10}")
    rows = []
    for size in images:
        row = run_isolated(measure_search, thumbnails, strips, size)
        rows.append(row)
        print(
            f"{size:>8,} {row['copies_seconds']:>10.1f} {row['castings_seconds']:>12.1f} {row['pairs']:>9,} "
            f"{row['castings']:>9,} {row['peak_mebibytes']:>10,.0f}",
            flush=True,
        )
    powers = growth_exponents(rows)
    print(", ".join(f"{name} grows with the power {power:.2f} of the images" for name, power in powers.items()))
    return {"ring_milliseconds": milliseconds, "sizes": rows, "growth": powers}


def measure_cores(source: str | None, numbers: Sequence[int]) -> dict:
    """Time the whole step on each of these numbers of cores, and print a table with the share of the work that runs on one core only."""
    print(f"{'cores':>8} {'audit, s':>10} {'processor, s':>13} {'serial share':>13}")
    with working_places(None) as places:
        manifest = validate_images(source, (), places)
        rows, seconds = [], dict[int, float]()
        for number in numbers:
            elapsed = run_isolated(time_audit, manifest, places, number)
            seconds[number] = elapsed.wall
            share = serial_share(seconds)
            row = {"cores": number, "seconds": elapsed.wall, "processor_seconds": elapsed.cpu, "serial_share": share}
            rows.append(row)
            cell = "" if share is None else f"{share:.1%}"
            print(f"{number:>8} {elapsed.wall:>10.1f} {elapsed.cpu:>13.1f} {cell:>13}", flush=True)
    return {"cores": rows}


def time_audit(manifest: Manifest, places: Places, number: int) -> Elapsed:
    """Run the audit on the first `number` cores that this process may use, with nothing cached of the images, and return its time."""
    from tasks.audit import audit

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    (places.data / NAME).unlink(missing_ok=True)
    began = Elapsed.now()
    with redirect_stdout(sys.stderr):
        audit.fn(manifest, PartNames(), AuditSettings(), places)
    return Elapsed.now() - began


def serial_share(seconds: dict[int, float]) -> float | None:
    """Return the share of the work that no second core takes part in, by the fewest and the most cores (Amdahl, 1967).

    `seconds` are by number of cores. On n cores the time is that on one, times s + (1 - s) / n. None where only one number of cores was
    measured.
    """
    fewest, most = min(seconds), max(seconds)
    if fewest == most:
        return None
    ratio = seconds[most] / seconds[fewest]
    serial = (ratio / fewest - 1 / most) / (1 - 1 / most - ratio * (1 - 1 / fewest))
    return max(0.0, serial)


def unwrap_rings(pictures: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the median milliseconds that a ring takes on one core, and strips uint8 (n, 96, 512)."""
    milliseconds, strips = [], []
    for picture in pictures[:: max(1, len(pictures) // RINGS)]:
        began = Elapsed.now()
        ring = ring_search.find(picture)
        strips += [rings.unwrap(picture, ring)] if ring else []
        milliseconds.append(1e3 * (Elapsed.now() - began).cpu)
    return statistics.median(milliseconds), np.stack(strips)


def measure_search(thumbnails: np.ndarray, strips: np.ndarray, images: int) -> dict:
    """Return seconds and peak memory of the search for copies and castings among so many images."""
    settings, rng = AuditSettings(), np.random.default_rng(0)
    squares = np.stack(list(generate_thumbnails(thumbnails, images, rng)))
    began = Elapsed.now()
    pairs = find_near_duplicates(squares, np.arange(images) < images // 10, settings.copy_limit)
    copies_end = Elapsed.now()
    names = [str(number) for number in range(images)]
    hints = (GroupHints(strip, 0.0, None, 0.0) for strip in generate_strips(strips, images, rng))
    members = assign_groups(names, hints, settings.casting_limit)
    return {
        "images": images,
        "copies_seconds": (copies_end - began).wall,
        "castings_seconds": (Elapsed.now() - copies_end).wall,
        "pairs": len(pairs.earlier),
        "castings": len({member.group for member in members}),
        "peak_mebibytes": peak_bytes() / 2**20,
    }


def generate_thumbnails(thumbnails: np.ndarray, images: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the thumbnails, then altered ones until there are as many as `images`."""
    yield from thumbnails[:images]
    for number in range(len(thumbnails), images):
        thumbnail = np.rot90(thumbnails[number % len(thumbnails)], int(rng.integers(4)))
        thumbnail = np.roll(thumbnail[:, :: int(rng.choice([1, -1]))], rng.integers(-2, 3, 2), axis=(0, 1))
        noise = rng.normal(0, 2, thumbnail.shape).astype(np.float32)
        yield (thumbnail * rng.uniform(0.8, 1.2) + noise).clip(0, 255).astype(np.uint8)


def generate_strips(strips: np.ndarray, images: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield strips, each turned and with noise. Every 50 images a new casting is patched together from pieces of `strips`."""
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
        strip = np.roll(castings[rng.integers(len(castings))], rng.integers(strips.shape[2]), axis=1)
        noise = rng.integers(-2, 3, strip.shape, dtype=np.int16)
        yield (strip + noise).clip(0, 255).astype(np.uint8)


def growth_exponents(sizes: list[dict]) -> dict[str, float]:
    """Return the exponent with which each figure grows from the smallest to the largest size; nothing where there is only one size."""
    first, last = sizes[0], sizes[-1]
    if first["images"] == last["images"]:
        return {}
    ratio = math.log(last["images"] / first["images"])
    keys = {
        "time for copies": "copies_seconds",
        "time for castings": "castings_seconds",
        "peak memory": "peak_mebibytes",
    }
    return {name: math.log(last[key] / first[key]) / ratio for name, key in keys.items()}


if __name__ == "__main__":
    main()
