"""Plan: every file of a sample, decided before anything is drawn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, cycle, islice
from typing import Literal, NamedTuple

import numpy as np

from tasks.settings.settings import SampleSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS
from tasks.sources.synthetic.defects import KINDS, Defect, Difficulty, Kind

Split = Literal["train", "test"]

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "easy", "hard", "medium")
"""In turn over the defective castings; five, so that each of the six kinds meets all of them."""


@dataclass(frozen=True)
class Row:
    """One file, as a line of truth.csv tells it."""

    path: str
    """Inside the zip."""
    part: int
    """Number of the physical casting."""
    label: str
    """Class folder."""
    defect: Kind | Literal[""]
    """Empty for a good casting, as is its difficulty."""
    difficulty: Difficulty | Literal[""]
    camera: str
    copy_of: str = ""
    """Path of the original."""
    transform: str = ""
    """How a copy was changed or a file damaged, a name in `faults`."""
    fault: str = ""
    """shared_part, new_camera, corrupt, exact_copy or transformed_copy; empty for a file as it should be."""


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


def plan(sample: SampleSettings) -> list[Row]:
    """The ordinary photographs, then the faults. Planting a fault changes no other file; only shared parts deal train out anew."""
    rng = np.random.default_rng([sample.seed, 0])
    tested, trained = divide(sample)
    shared = tested[: round(sample.shared_parts * len(tested))]
    shots = [
        *shots_of("test", tested, sample.test_images, rng),
        *shots_of("train", shared + trained, sample.train_images, rng),
    ]
    shots = [shots[index] for index in rng.permutation(len(shots))]  # or the file names would tell the castings
    shots = [
        shot._replace(fault="shared_part") if shot.split == "train" and shot.part in shared else shot for shot in shots
    ]
    shots += [
        Shot("train", part, NEW_CAMERA.name, "new_camera") for part in islice(cycle(trained), sample.new_camera_images)
    ]
    damages = islice(cycle(DAMAGES), sample.corrupt_files)
    shots += [
        Shot("train", part, CAMERAS[0].name, "corrupt", damage)
        for damage, part in zip(damages, cycle(trained), strict=False)
    ]
    numbers = {"def_front": count(), "ok_front": count()}
    rows = [row_of(shot, numbers) for shot in shots]
    return rows + copies(rows, sample, numbers, rng)


def divide(sample: SampleSettings) -> tuple[list[Part], list[Part]]:
    """The castings for test and for train, in proportion to their photographs, defective and good ones in turn."""
    parts = [Part(number, None if number % 2 else defect_of(number // 2)) for number in range(sample.parts)]
    num_tested = round(sample.parts * sample.test_images / (sample.test_images + sample.train_images))
    num_tested = min(max(num_tested, 2), sample.parts - 2)  # two in a row are one of each class
    return parts[:num_tested], parts[num_tested:]


def defect_of(turn: int) -> Defect:
    """Kinds and difficulties in turn."""
    return Defect(KINDS[turn % len(KINDS)], DIFFICULTIES[turn % len(DIFFICULTIES)])


def shots_of(split: Split, parts: list[Part], num_shots: int, rng: np.random.Generator) -> Iterator[Shot]:
    """`num_shots` photographs by any camera, at least one of each part while they last, of some parts many more."""
    parts = parts[:num_shots]
    more = rng.multinomial(num_shots - len(parts), rng.dirichlet(np.full(len(parts), 4)))
    for part, extra in zip(parts, more, strict=True):
        for camera in rng.integers(len(CAMERAS), size=1 + extra):
            yield Shot(split, part, CAMERAS[camera].name)


def row_of(shot: Shot, numbers: Mapping[str, Iterator[int]]) -> Row:
    """The row of a photograph, its file named with the next number of its class."""
    label = "def_front" if shot.part.defect else "ok_front"
    kind, difficulty = shot.part.defect or ("", "")
    path = next_path(shot.split, label, numbers)
    return Row(path, shot.part.number, label, kind, difficulty, shot.camera, transform=shot.damage, fault=shot.fault)


def next_path(split: Split, label: str, numbers: Mapping[str, Iterator[int]]) -> str:
    """A path as the published archive has it."""
    return (
        f"casting_data/casting_data/{split}/{label}/cast_{label.removesuffix('_front')}_0_{next(numbers[label])}.jpeg"
    )


def copies(
    rows: list[Row], sample: SampleSettings, numbers: Mapping[str, Iterator[int]], rng: np.random.Generator
) -> list[Row]:
    """Train files that repeat test files: the exact ones, then the transformed ones, of other originals while they last."""
    tests = [row for row in rows if "/test/" in row.path]
    originals = cycle([tests[index] for index in rng.permutation(len(tests))])
    changes = [("exact_copy", "")] * sample.exact_copies
    changes += [("transformed_copy", transform) for transform in islice(cycle(TRANSFORMS), sample.transformed_copies)]
    return [
        replace(row, path=next_path("train", row.label, numbers), copy_of=row.path, transform=transform, fault=fault)
        for (fault, transform), row in zip(changes, originals, strict=False)
    ]
