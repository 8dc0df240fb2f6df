"""Images for `benchmarks/gpu.py`: packed into one file for another machine, and as arrays that its parts load.

The file holds the photographs as they came, each once: a strip of a ring takes ten times as much, and is made of one in
11 ms. It has all images of validation and test, and all of training but those that `cleaned` holds back, or `--images`
leaves out.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.limited import Emit
from benchmarks.prepared import Prepared, prepared, room
from tasks.dataset.group_split import assign
from tasks.records.rows import SPLITS, Row, is_defect, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import Recipe, SampleSettings, SplitSettings, TrainingSettings
from tasks.storage.files import write_whole

if TYPE_CHECKING:
    from tasks.training.input_pipeline import Examples

NETWORKS: tuple[ModelName, ...] = ("compact", "ring", "tutorial_dropout")
PACKED = "images.npz"  # in the folder of `--prepare`
MOST_BYTES = 60_000_000  # of that folder: it must travel to a machine without a network
SMALL = SampleSettings(parts=16, train_images=40, test_images=16)  # of the short form


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

    def files(self, side: str) -> list[bytes]:
        starts = np.concatenate([[0], self.ends[:-1]])
        chosen = np.flatnonzero(self.splits == SPLITS.index(side))
        return [self.contents[starts[number] : self.ends[number]].tobytes() for number in chosen]


@contextmanager
def split(source: str | None, most: int | None) -> Iterator[Prepared]:
    """Yield the images of a source as `cleaned` splits them, with at most so many of training, until their files are removed."""
    with room(None) as places:
        data = prepared(source, (), places)
        yield data._replace(rows=chosen(assign(data.rows, data.copies, SplitSettings()), most))


def pack(data: Prepared) -> Pack:
    files = [stored_path(row, data.places).read_bytes() for row in data.rows]
    return Pack(
        np.frombuffer(b"".join(files), np.uint8),
        np.cumsum([len(file) for file in files]),
        np.array([is_defect(row, data.classes) for row in data.rows], np.uint8),
        np.array([SPLITS.index(row.split) for row in data.rows], np.uint8),
    )


def chosen(rows: Sequence[Row], most: int | None) -> list[Row]:
    """Return what trains, validates and tests; of the first at most so many rows, evenly spread."""
    sides = {side: [row for row in rows if row.split == side] for side in SPLITS}
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


def write_images(source: str | None, most: int | None, folder: Path, emit: Emit) -> None:
    """Write what each network sees of a source, or of what lies packed in it; without one, of a few drawn castings."""
    if source and (Path(source) / PACKED).exists():
        if most:
            raise BadInput(
                f"{source} is packed, and --images {most} chooses while it is: give --images beside --prepare"
            )
        return write_arrays(partial(seen_of_pack, read_pack(Path(source))), folder, emit)
    if not source:
        from tasks.sources.synthetic.sample import write_sample

        source = str(folder / "sample.zip")
        write_sample(SMALL, Path(source), truth=folder / "truth")
    with split(source, most) as data:
        write_arrays(partial(seen_of_rows, data), folder, emit)
    return None


def write_arrays(seen: Callable[[str, Recipe], tuple[np.ndarray, np.ndarray]], folder: Path, emit: Emit) -> None:
    """Write the images and labels that are seen of each split by each network."""
    for network in sorted(NETWORKS, key=lambda network: network == "ring"):  # which takes longest
        began, counts = time.perf_counter(), {}
        for side in ("train", "validation", "test"):
            pixels, labels = seen(side, TrainingSettings.model_validate({"model": network}).recipe())
            if not len(labels):
                raise BadInput(f"{network} sees nothing on the {side} images: take another --source")
            counts[side] = len(labels)
            np.savez(folder / f"{network}-{side}.npz", pixels=pixels, labels=labels)
        emit(network, {**counts, "seconds": time.perf_counter() - began})


def seen_of_rows(data: Prepared, side: str, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return what is seen of a split, uint8 (images, height, width, planes), and the labels; rings are those of the audit."""
    from tasks.images.loading import load_inputs

    rows = [row for row in data.rows if row.split == side]
    found = load_inputs(rows, recipe.view, recipe.image_size, data.places)
    shown = ~np.isnan(found.residuals)
    return found.levels[shown], np.array([is_defect(row, data.classes) for row in rows], np.uint8)[shown]


def seen_of_pack(packed: Pack, side: str, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of packed images, by all processors where they are many."""
    from tasks.images.strips import FEW, leave_with_parent
    from tasks.storage.parallel import count_processors

    files, look = packed.files(side), partial(levels_of, view=recipe.view, size=recipe.image_size)
    if len(files) < FEW:
        levels = list(map(look, files))
    else:
        with ProcessPoolExecutor(count_processors(), get_context("spawn"), leave_with_parent) as pool:
            levels = list(pool.map(look, files, chunksize=16))
    shown = np.array([one is not None for one in levels], bool)
    pixels = [one for one in levels if one is not None]
    return np.array(pixels, np.uint8), packed.labels[packed.splits == SPLITS.index(side)][shown]


def levels_of(content: bytes, view: str, size: int) -> np.ndarray | None:
    """Return a photograph as a network sees it, uint8 (height, width, planes); None where the view shows nothing."""
    from tasks.images.loading import Unreadable, see_sent

    found = see_sent(content, view, size)  # type: ignore[arg-type]  # a recipe's view
    if isinstance(found, Unreadable):
        raise BadInput(f"an image cannot be read: {found.reason}")
    return found.sight.levels if found.sight else None


def examples(folder: Path, network: ModelName, side: str, most: int | None = None) -> "Examples":
    """Return the images that `write_arrays` wrote, or at most so many of them. Raises BadInput where it did not get so far."""
    path = folder / f"{network}-{side}.npz"
    if not path.exists():
        raise BadInput(f"there are no {side} images for {network}: see what became of the part `prepare`")
    with np.load(path, allow_pickle=False) as arrays:
        pixels, labels = arrays["pixels"], arrays["labels"].astype(np.int32)
    from tasks.training.input_pipeline import Examples  # late: with TensorFlow

    shown = spread(range(len(labels)), most)
    return Examples(pixels[shown] if most else pixels, labels[shown], np.zeros(len(shown), np.int32))
