"""How fast does validation look at images, beside the bare decoder, and how long does it take for new images among cached ones?

python benchmarks/validate.py --source castings.zip --images 7348 --json validate.json
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
from collections.abc import Sequence
from operator import truediv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import simplejpeg

from benchmarks.isolation import wall_seconds
from benchmarks.preparation import write_figures
from benchmarks.source_jpegs import read_jpegs
from tasks.images.statistics import measure_files
from tasks.records.rows import Entry, images_root, stored_name
from tasks.settings.settings import Places, ValidationSettings
from tasks.storage.parallel import count_processors, map_chunks_in_threads
from tasks.storage.result_cache import NAME

NEW = 100  # images that are new among cached ones


def main() -> None:
    """Measure, print the figures, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--images", type=int, default=2_000, help="at most so many JPEGs are taken")
    parser.add_argument("--rounds", type=int, default=7, help="medians are over so many, taken in turn")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(data=Path(scratch) / "data")
        contents = read_jpegs(options.source)[: options.images]
        figures = measure(store_images(contents, places), contents, options.rounds, places)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value:>12,.3f}".removesuffix(".000"))
    write_figures(figures, options.json)


def measure(names: list[str], contents: list[bytes], rounds: int, places: Places) -> dict[str, int | float]:
    """Return images per second, all with the same number of threads, and the ratios of neighboring measurements."""
    uncached, cached, decoder, with_new = [], [], [], []
    for _ in range(rounds):
        decoder.append(wall_seconds(lambda: map_chunks_in_threads(decode_only, contents)))
        (places.data / NAME).unlink(missing_ok=True)
        uncached.append(wall_seconds(lambda: count_readable(names, places)))
        cached.append(wall_seconds(lambda: count_readable(names, places)))
        (places.data / NAME).unlink()
        count_readable(names[NEW:], places)
        with_new.append(wall_seconds(lambda: count_readable(names, places)))
    return {
        "images": len(names),
        "threads": count_processors(),
        "bare_decoder_per_second": len(names) / statistics.median(decoder),
        "look_per_second": len(names) / statistics.median(uncached),
        "kept_look_per_second": len(names) / statistics.median(cached),
        "look_to_bare_decoder": statistics.median(map(truediv, decoder, uncached)),
        f"seconds_with_{NEW}_new": statistics.median(with_new),
        "seconds_with_none_new": statistics.median(cached),
        "seconds_with_all_new": statistics.median(uncached),
    }


def decode_only(contents: Sequence[bytes]) -> list[tuple[int, ...]]:
    """Decode bytes that are in memory, and return the shapes: the least work that there is."""
    return [simplejpeg.decode_jpeg(content, colorspace="GRAY").shape for content in contents]


def count_readable(names: list[str], places: Places) -> int:
    """Look at files as validation does, and return how many of them are good."""
    return sum(not image.code for image in measure_files(names, ValidationSettings().max_megapixels, places))


def store_images(contents: list[bytes], places: Places) -> list[str]:
    """Store the contents where validation finds them, and return their names there."""
    names = [stored_name(Entry("1.jpeg", hashlib.sha256(content).hexdigest())) for content in contents]
    for name, content in zip(names, contents, strict=True):
        target = Path(images_root(places), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return names


if __name__ == "__main__":
    main()
