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

from benchmarks.preparation import PreparedImages, prepare_images, working_places
from benchmarks.supervisor import Emit
from tasks.dataset.group_split import assign
from tasks.records.rows import SPLITS, Row, is_defect, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.model_specs import InputSize, ModelName
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

    def files(self, split: str) -> list[bytes]:
        """Return the files of a split."""
        starts = np.concatenate([[0], self.ends[:-1]])
        numbers = np.flatnonzero(self.splits == SPLITS.index(split))
        return [self.contents[starts[number] : self.ends[number]].tobytes() for number in numbers]


@contextmanager
def split_source(source: str | None, most: int | None) -> Iterator[PreparedImages]:
    """Yield the images of a source as `cleaned` splits them, with at most so many of training, until their files are removed."""
    with working_places(None) as places:
        data = prepare_images(source, (), places)
        yield data._replace(rows=select_rows(assign(data.rows, data.copies, SplitSettings()), most))


def pack_images(data: PreparedImages) -> Pack:
    """Return the photographs of the rows, packed."""
    files = [stored_path(row, data.places).read_bytes() for row in data.rows]
    return Pack(
        np.frombuffer(b"".join(files), np.uint8),
        np.cumsum([len(file) for file in files]),
        np.array([is_defect(row, data.classes) for row in data.rows], np.uint8),
        np.array([SPLITS.index(row.split) for row in data.rows], np.uint8),
    )


def select_rows(rows: Sequence[Row], most: int | None) -> list[Row]:
    """Return the rows that train, validate and test. Of those that train, at most `most`, evenly spread."""
    sides = {side: [row for row in rows if row.split == side] for side in SPLITS}
    return [*spread_evenly(sides["train"], most), *sides["validation"], *sides["test"]]


def spread_evenly(rows: Sequence, most: int | None) -> list:
    """Return at most `most` of the rows, evenly spread."""
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
    """Read the file that `write_pack` wrote."""
    with np.load(folder / PACKED, allow_pickle=False) as arrays:
        return Pack(**{name: arrays[name] for name in Pack._fields})


def write_images(source: str | None, most: int | None, folder: Path, emit: Emit) -> None:
    """Write what each network sees of a source, or of a pack that lies in it; without a source, of a few drawn castings."""
    if source and (Path(source) / PACKED).exists():
        if most:
            raise BadInput(
                f"{source} is packed, and --images {most} chooses while it is: give --images beside --prepare"
            )
        return write_arrays(partial(load_pack, read_pack(Path(source))), folder, emit)
    if not source:
        from tasks.sources.synthetic.sample import write_sample

        source = str(folder / "sample.zip")
        write_sample(SMALL, Path(source), truth=folder / "truth")
    with split_source(source, most) as data:
        write_arrays(partial(load_rows, data), folder, emit)
    return None


def write_arrays(load: Callable[[str, Recipe], tuple[np.ndarray, np.ndarray]], folder: Path, emit: Emit) -> None:
    """Write the images and labels of each split for each network."""
    for network in sorted(NETWORKS, key=lambda network: network == "ring"):  # which takes longest
        began, counts = time.perf_counter(), {}
        for side in ("train", "validation", "test"):
            pixels, labels = load(side, TrainingSettings.model_validate({"model": network}).recipe())
            if not len(labels):
                raise BadInput(f"{network} sees nothing on the {side} images: take another --source")
            counts[side] = len(labels)
            np.savez(folder / f"{network}-{side}.npz", pixels=pixels, labels=labels)
        emit(network, {**counts, "seconds": time.perf_counter() - began})


def load_rows(data: PreparedImages, side: str, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return a split as the network sees it, uint8 (images, height, width, planes), and its labels, uint8 (images,).

    Rings are those of the audit. Images that show no ring are left out where the network needs one.
    """
    from tasks.images.loading import load_inputs

    rows = [row for row in data.rows if row.split == side]
    inputs = load_inputs(rows, recipe.view, recipe.image_size, data.places)
    visible = ~np.isnan(inputs.residuals)
    return inputs.levels[visible], np.array([is_defect(row, data.classes) for row in rows], np.uint8)[visible]


def load_pack(packed: Pack, side: str, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of packed images, by all processors where they are many."""
    from tasks.images.strips import FEW, leave_with_parent
    from tasks.storage.parallel import count_processors

    files, load = packed.files(side), partial(load_levels, view=recipe.view, size=recipe.image_size)
    if len(files) < FEW:
        levels = list(map(load, files))
    else:
        with ProcessPoolExecutor(count_processors(), get_context("spawn"), leave_with_parent) as pool:
            levels = list(pool.map(load, files, chunksize=16))
    visible = np.array([image is not None for image in levels], bool)
    pixels = [image for image in levels if image is not None]
    return np.array(pixels, np.uint8), packed.labels[packed.splits == SPLITS.index(side)][visible]


def load_levels(content: bytes, view: str, size: InputSize) -> np.ndarray | None:
    """Return a photograph as a network sees it, uint8 (height, width, planes); None where the view shows nothing."""
    from tasks.images.loading import Unreadable, load_bytes

    result = load_bytes(content, view, size)  # type: ignore[arg-type]  # a recipe's view
    if isinstance(result, Unreadable):
        raise BadInput(f"an image cannot be read: {result.reason}")
    return result.network_input.levels if result.network_input else None


def load_examples(folder: Path, network: ModelName, side: str, most: int | None = None) -> "Examples":
    """Return the images that `write_arrays` wrote, at most `most` of them. Raises BadInput where it has not written them."""
    path = folder / f"{network}-{side}.npz"
    if not path.exists():
        raise BadInput(f"there are no {side} images for {network}: see what became of the part `prepare`")
    with np.load(path, allow_pickle=False) as arrays:
        pixels, labels = arrays["pixels"], arrays["labels"].astype(np.int32)
    from tasks.training.input_pipeline import Examples  # late: with TensorFlow

    numbers = spread_evenly(range(len(labels)), most)
    return Examples(pixels[numbers] if most else pixels, labels[numbers], np.zeros(len(numbers), np.int32))
