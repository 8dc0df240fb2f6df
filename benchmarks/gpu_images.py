"""Images for `benchmarks/gpu.py`: packed into one file for another machine, and as arrays that its parts load.

The file holds the photographs as they came, each once: a strip of a ring takes ten times as much, and is made of one in
11 ms. It has all images of validation and test, and all of training but those that `cleaned` holds back, or `--images`
leaves out.
"""

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.prepared import prepared, room
from tasks.images.manifest import SPLITS, Row, is_defect, stored
from tasks.images.sides import assign
from tasks.runs.config import ModelName, Sample, Splitting, Training
from tasks.runs.errors import BadInput
from tasks.runs.files import write_whole

if TYPE_CHECKING:
    from tasks.images.batches import Examples

NETWORKS: tuple[ModelName, ...] = ("compact", "ring", "tutorial_dropout")
PACKED = "images.npz"  # in the folder of `--prepare`
MOST_BYTES = 60_000_000  # of that folder: it must travel to a machine without a network
SMALL = Sample(parts=16, train_images=40, test_images=16)  # of the short form


class Pack(NamedTuple):
    """Photographs with their labels and splits."""

    contents: np.ndarray
    """uint8: all files, one after the other."""
    ends: np.ndarray
    """int64 (images,): where each file ends."""
    labels: np.ndarray
    """uint8 (images,), 1 for a defect."""
    splits: np.ndarray
    """uint8 (images,), a place in `SPLITS`."""

    def files(self, split: str) -> list[bytes]:
        starts = np.concatenate([[0], self.ends[:-1]])
        chosen = np.flatnonzero(self.splits == SPLITS.index(split))
        return [self.contents[starts[number] : self.ends[number]].tobytes() for number in chosen]


def pack(source: str | None, most: int | None) -> Pack:
    """Pack the images of a source as `cleaned` splits them, with at most so many of training."""
    with room(None) as places:
        data = prepared(source, (), places)
        rows = chosen(assign(data.rows, data.copies, Splitting()), most)
        files = [stored(row, places).read_bytes() for row in rows]
    return Pack(
        np.frombuffer(b"".join(files), np.uint8),
        np.cumsum([len(file) for file in files]),
        np.array([is_defect(row, data.classes) for row in rows], np.uint8),
        np.array([SPLITS.index(row.split) for row in rows], np.uint8),
    )


def chosen(rows: Sequence[Row], most: int | None) -> list[Row]:
    """Return what trains, validates and tests; of the first at most so many rows, evenly spread."""
    sides = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return [*spread(sides["train"], most), *sides["validation"], *sides["test"]]


def spread(rows: Sequence, most: int | None) -> list:
    """Return at most so many of the rows, evenly spread."""
    number = min(len(rows), most or len(rows))
    return [rows[place * len(rows) // number] for place in range(number)]


def write_pack(packed: Pack, folder: Path) -> int:
    """Write the file that another machine reads, and return its bytes. Raises BadInput where it is too large to travel."""
    file = io.BytesIO()
    np.savez_compressed(file, **packed._asdict())  # the heads of the photographs are alike: 6 % less
    size, training = file.tell(), int(np.sum(packed.splits == SPLITS.index("train")))
    if size > MOST_BYTES:
        excess = (size - MOST_BYTES) / (size / len(packed.ends))
        fewer = max(1, int(training - 1.02 * excess))
        raise BadInput(
            f"the {len(packed.ends):,} images take {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} MB are allowed: "
            f"with --images {fewer} the folder holds as many of the {training} training images, and fits"
        )
    write_whole(folder / PACKED, file.getvalue())
    return size


def read_pack(folder: Path) -> Pack:
    with np.load(folder / PACKED, allow_pickle=False) as arrays:
        return Pack(**{name: arrays[name] for name in Pack._fields})


def packed_from(source: str | None, most: int | None, scratch: Path) -> Pack:
    """Return the images of a source, or those that lie packed in it; without one, a few drawn castings."""
    if source and (Path(source) / PACKED).exists():
        return read_pack(Path(source))
    if not source:
        from tasks.sources.sample import write_sample

        source = str(scratch / "sample.zip")
        write_sample(SMALL, Path(source), truth=scratch / "truth")
    return pack(source, most)


def write_arrays(packed: Pack, folder: Path, emit: Callable[[str, dict], None]) -> None:
    """Write what each network sees of each split, where it sees anything."""
    for network in NETWORKS:
        began, counts = time.perf_counter(), {}
        recipe = Training.model_validate({"model": network}).recipe()
        for split in ("train", "validation", "test"):
            levels = seen(packed.files(split), partial(levels_of, view=recipe.view, size=recipe.image_size))
            labels = packed.labels[packed.splits == SPLITS.index(split)]
            shown = [number for number, one in enumerate(levels) if one is not None]
            if not shown:
                raise BadInput(f"{network} sees nothing on the {len(levels)} {split} images: take another --source")
            counts[split] = len(shown)
            pixels = np.stack([one for one in levels if one is not None])
            np.savez(folder / f"{network}-{split}.npz", pixels=pixels, labels=labels[shown])
        emit(network, {**counts, "seconds": time.perf_counter() - began})


def seen(files: Sequence[bytes], look: Callable[[bytes], np.ndarray | None]) -> list[np.ndarray | None]:
    """Return what is seen on each file, by all processors where they are many."""
    from tasks.images.strips import FEW, leave_with_parent
    from tasks.runs.threads import processors

    if len(files) < FEW:
        return list(map(look, files))
    with ProcessPoolExecutor(processors(), mp_context=get_context("spawn"), initializer=leave_with_parent) as pool:
        return list(pool.map(look, files, chunksize=16))


def levels_of(content: bytes, view: str, size: int) -> np.ndarray | None:
    """Return a photograph as a network sees it, uint8 (height, width, planes); None where the view shows nothing."""
    from tasks.images.pixels import Unseen, see_sent

    found = see_sent(content, view, size)  # type: ignore[arg-type]  # a recipe's view
    if isinstance(found, Unseen):
        raise BadInput(f"an image cannot be read: {found.reason}")
    return found.sight.levels if found.sight else None


def examples(folder: Path, network: ModelName, split: str, most: int | None = None) -> "Examples":
    """Return the images that `write_arrays` wrote, or at most so many of them. Raises BadInput where it did not get so far."""
    path = folder / f"{network}-{split}.npz"
    if not path.exists():
        raise BadInput(f"there are no {split} images for {network}: see what became of the part `prepare`")
    with np.load(path, allow_pickle=False) as arrays:
        pixels, labels = arrays["pixels"], arrays["labels"].astype(np.int32)
    from tasks.images.batches import Examples  # late: with TensorFlow

    shown = spread(range(len(labels)), most)
    return Examples(pixels[shown] if most else pixels, labels[shown], np.zeros(len(shown), np.int32))
