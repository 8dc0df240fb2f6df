"""Sample: a drawn data set laid out as the published one, the faults asked for, and the truth about every file."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from io import BytesIO
from itertools import count, cycle, islice
from pathlib import Path
from typing import Literal, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from PIL import Image

from tasks.runs.config import Sample
from tasks.sources.castings import draw_casting
from tasks.sources.defects import KINDS, Defect, Difficulty, spoil
from tasks.sources.faults import DAMAGES, TRANSFORMS, encode
from tasks.sources.photographs import CAMERAS, NEW_CAMERA, photograph

Split = Literal["train", "test"]

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "easy", "hard", "medium")
"""In turn over the defective castings; five, so that each of the six kinds meets all of them."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Date of every file: a zip that told today's would never be the same twice."""


class Part(NamedTuple):
    """A casting and what is wrong with it, if anything."""

    number: int
    defect: Defect | None


class Shot(NamedTuple):
    """A photograph to take."""

    split: Split
    part: Part
    camera: str
    fault: str = ""
    damage: str = ""


@dataclass(frozen=True)
class Row:
    """One file, as a line of truth.csv tells it."""

    path: str
    """Inside the zip."""
    part: int
    label: str
    """Class folder."""
    defect: str
    """Kind; empty for a good casting."""
    difficulty: str
    camera: str
    copy_of: str = ""
    """Path of the original."""
    transform: str = ""
    """How a copy was changed or a file damaged, a name in `faults`."""
    fault: str = ""
    """shared_part, new_camera, corrupt, exact_copy or transformed_copy; empty for a file as it should be."""


class File(NamedTuple):
    """What a path holds, and a PNG of where its photograph shows the defect, if it does."""

    content: bytes
    mask: bytes | None


def write_sample(sample: Sample, archive: Path, truth: Path) -> None:
    """Writes the zip `archive`, and `truth/truth.csv` beside `truth/masks/STEM.png`.

    The same settings and library versions give the same bytes. A mask is 255 on the defect, 300 x 300; each whole
    photograph of a defective casting has one, copies apart: theirs is that of their original, changed as they were.
    """
    rows = plan(sample)
    files = take(rows, sample.seed)
    for row in rows:
        if row.copy_of:
            original = files[row.copy_of].content
            files[row.path] = File(TRANSFORMS[row.transform](original) if row.transform else original, mask=None)
    write_archive(archive, files)
    write_truth(truth, rows, files)


def plan(sample: Sample) -> list[Row]:
    """Every file of the sample: the photographs, then the faults, which thereby change no other file."""
    rng = np.random.default_rng([sample.seed, 0])
    parts = [Part(number, defect_of(number)) for number in range(sample.parts)]
    num_tested = round(sample.parts * sample.test_images / (sample.test_images + sample.train_images))
    num_tested = min(max(num_tested, 2), sample.parts - 2)  # two parts in a row are one of each class
    tested, rest = parts[:num_tested], parts[num_tested:]
    shared = tested[: round(sample.shared_parts * num_tested)]
    trained = shared + rest
    shots = [*shots_of("test", tested, sample.test_images, rng)]
    shots += [shot._replace(fault="shared_part" if shot.part in shared else "") for shot in shots_of("train", trained, sample.train_images, rng)]
    shots = [shots[index] for index in rng.permutation(len(shots))]
    shots += [Shot("train", part, NEW_CAMERA.name, "new_camera") for part in islice(cycle(rest), sample.new_camera_images)]
    shots += [Shot("train", part, CAMERAS[0].name, "corrupt", damage) for part, damage in zip(islice(cycle(rest), sample.corrupt_files), cycle(DAMAGES), strict=False)]
    numbers = defaultdict(count)
    rows = [row_of(shot, numbers) for shot in shots]
    return rows + copies(rows, sample, numbers, rng)


def defect_of(number: int) -> Defect | None:
    """Even parts are defective, kinds and difficulties in turn."""
    if number % 2:
        return None
    turn = number // 2
    return Defect(KINDS[turn % len(KINDS)], DIFFICULTIES[turn % len(DIFFICULTIES)])


def shots_of(split: Split, parts: list[Part], num_shots: int, rng: np.random.Generator) -> Iterator[Shot]:
    """`num_shots` photographs by any camera, at least one of each part while they last, of some parts many more."""
    parts = parts[:num_shots]
    more = rng.multinomial(num_shots - len(parts), rng.dirichlet(np.full(len(parts), 4)))
    for part, extra in zip(parts, more, strict=True):
        for camera in rng.integers(len(CAMERAS), size=1 + extra):
            yield Shot(split, part, CAMERAS[camera].name)


def row_of(shot: Shot, numbers: dict[str, Iterator[int]]) -> Row:
    """The row of a photograph, its file named with the next number of its class."""
    label = "def_front" if shot.part.defect else "ok_front"
    kind, difficulty = shot.part.defect or ("", "")
    return Row(next_path(shot.split, label, numbers), shot.part.number, label, kind, difficulty, shot.camera, transform=shot.damage, fault=shot.fault)


def next_path(split: Split, label: str, numbers: dict[str, Iterator[int]]) -> str:
    """A path as the published archive has it."""
    return f"casting_data/casting_data/{split}/{label}/cast_{label.removesuffix('_front')}_0_{next(numbers[label])}.jpeg"


def copies(rows: list[Row], sample: Sample, numbers: dict[str, Iterator[int]], rng: np.random.Generator) -> list[Row]:
    """Train files that repeat test files: the exact ones, then the transformed ones, of other originals while they last."""
    tests = [row for row in rows if "/test/" in row.path]
    originals = cycle(tests[index] for index in rng.permutation(len(tests)))
    changes = [("exact_copy", "")] * sample.exact_copies
    changes += [("transformed_copy", transform) for transform in islice(cycle(TRANSFORMS), sample.transformed_copies)]
    return [
        replace(row, path=next_path("train", row.label, numbers), copy_of=row.path, transform=transform, fault=fault)
        for (fault, transform), row in zip(changes, originals, strict=False)
    ]


def take(rows: Iterable[Row], seed: int) -> dict[str, File]:
    """The files of all photographs that are no copies, by path."""
    rolls = defaultdict(list)
    for row in rows:
        if not row.copy_of:
            rolls[row.part].append(row)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # numpy, scipy and Pillow leave the interpreter free
        done = pool.map(lambda roll: photograph_part(roll, seed), rolls.values())
    return {path: file for files in done for path, file in files.items()}


def photograph_part(rows: list[Row], seed: int) -> dict[str, File]:
    """The photographs of one casting, drawn once, by path."""
    first = rows[0]
    rng = np.random.default_rng([seed, 1, first.part])
    casting = draw_casting(rng)
    if first.defect:
        casting = spoil(casting, Defect(first.defect, first.difficulty), rng)
    cameras = {camera.name: camera for camera in (*CAMERAS, NEW_CAMERA)}
    files = {}
    for row in rows:
        camera = cameras[row.camera]
        picture = photograph(casting, camera, rng)
        jpeg = encode(picture.pixels, camera.quality)
        if row.fault == "corrupt":
            files[row.path] = File(DAMAGES[row.transform](jpeg), mask=None)
        else:
            files[row.path] = File(jpeg, mask=png(picture.defect) if first.defect else None)
    return files


def png(mask: np.ndarray) -> bytes:
    """A grey PNG of a bool mask, 255 where it holds."""
    file = BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG")
    return file.getvalue()


def write_archive(archive: Path, files: dict[str, File]) -> None:
    """The zip of all files, in the order of their names, uncompressed: JPEGs do not shrink."""
    with ZipFile(archive, "w", compression=ZIP_STORED) as target:
        for path in sorted(files):
            target.writestr(ZipInfo(path, date_time=LONG_AGO), files[path].content)


def write_truth(truth: Path, rows: list[Row], files: dict[str, File]) -> None:
    """truth.csv in the order of its paths, and the masks."""
    masks = truth / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    for path, file in files.items():
        if file.mask:
            (masks / Path(path).with_suffix(".png").name).write_bytes(file.mask)
    with (truth / "truth.csv").open("w", newline="", encoding="utf-8") as target:
        table = csv.DictWriter(target, fieldnames=[field.name for field in fields(Row)])
        table.writeheader()
        table.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.path))
