"""How fast does validation look at images, beside the bare decoder, and what do new images among known ones cost?

python benchmarks/validate.py --source castings.zip --images 7348 --json validate.json
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import simplejpeg

from benchmarks.apart import seconds
from benchmarks.photographs import photographs
from tasks.images.statistics import measure_files
from tasks.records.rows import Entry, images_root, stored_name
from tasks.settings.settings import Places, ValidationSettings
from tasks.storage.parallel import count_processors, map_chunks_in_threads
from tasks.storage.result_cache import NAME

NEW = 100  # images among the known ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", help="`sample`, a zip or a folder; else RECAST_ARCHIVE, else sample")
    parser.add_argument("--images", type=int, default=2_000, help="at most so many JPEGs are taken")
    parser.add_argument("--rounds", type=int, default=7, help="medians are over so many, taken in turn")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        places = Places(data=Path(room) / "data")
        contents = photographs(arguments.source)[: arguments.images]
        figures = measure(put(contents, places), contents, arguments.rounds, places)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value:>12,.3f}".removesuffix(".000"))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure(names: list[str], contents: list[bytes], rounds: int, places: Places) -> dict[str, int | float]:
    """Images per second, all with the same number of threads, and the ratios of neighbouring measurements."""
    cold, kept, bare, new = [], [], [], []
    for _ in range(rounds):
        bare.append(seconds(lambda: map_chunks_in_threads(decode, contents)))
        (places.data / NAME).unlink(missing_ok=True)
        cold.append(seconds(lambda: look(names, places)))
        kept.append(seconds(lambda: look(names, places)))
        (places.data / NAME).unlink()
        look(names[NEW:], places)
        new.append(seconds(lambda: look(names, places)))
    return {
        "images": len(names),
        "threads": count_processors(),
        "bare_decoder_per_second": len(names) / statistics.median(bare),
        "look_per_second": len(names) / statistics.median(cold),
        "kept_look_per_second": len(names) / statistics.median(kept),
        "look_to_bare_decoder": statistics.median(one / other for one, other in zip(bare, cold, strict=True)),
        f"seconds_with_{NEW}_new": statistics.median(new),
        "seconds_with_none_new": statistics.median(kept),
        "seconds_with_all_new": statistics.median(cold),
    }


def decode(contents: Sequence[bytes]) -> list[tuple[int, ...]]:
    """What there is to do at the least: the strict decoder on bytes that are in memory, and nothing kept."""
    return [simplejpeg.decode_jpeg(content, colorspace="GRAY").shape for content in contents]


def look(names: list[str], places: Places) -> int:
    return sum(not one.code for one in measure_files(names, ValidationSettings().max_megapixels, places))


def put(contents: list[bytes], places: Places) -> list[str]:
    """Puts the contents where validation finds them, and gives their names there."""
    names = [stored_name(Entry("1.jpeg", hashlib.sha256(content).hexdigest())) for content in contents]
    for name, content in zip(names, contents, strict=True):
        target = Path(images_root(places), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return names


if __name__ == "__main__":
    main()
