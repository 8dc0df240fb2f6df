"""Plan: decide about every file of a sample of castings before anything is drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, cycle, islice
from typing import Literal, NamedTuple

import numpy as np

from tasks.settings.settings import DrawnSettings, SampleSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS
from tasks.sources.synthetic.defects import KINDS, Defect, Difficulty

Split = Literal["train", "test"]

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "easy", "hard", "medium")
"""Taken in turn over the defective parts. They are five, so that each of six or two kinds gets all of them."""


@dataclass(frozen=True)
class TruthRow:
    """One file, as a row of truth.csv."""

    path: str
    """Inside the zip."""
    part: int
    """Number of the physical part."""
    label: str
    """Class folder."""
    defect: str
    """Kind of the defect; empty for a good part, as is its difficulty."""
    difficulty: Difficulty | Literal[""]
    camera: str
    copy_of: str = ""
    """Path of the original."""
    transform: str = ""
    """How a copy was changed or a file damaged, a name in `corruptions`."""
    fault: str = ""
    """shared_part, new_camera, corrupt, exact_copy or transformed_copy; empty for a file as it should be."""


class Part(NamedTuple):
    """A part and what is wrong with it, if anything."""

    number: int
    defect: Defect | None


class Shot(NamedTuple):
    """A photograph to take."""

    split: Split
    part: Part
    camera: str
    fault: str = ""
    damage: str = ""


def plan(sample: SampleSettings) -> list[TruthRow]:
    """Return the rows of all files: the ordinary photographs, then the planted faults.

    A planted fault changes no other file. Only shared parts also change how the photographs of train are shared out.
    """
    rng = np.random.default_rng([sample.seed, 0])
    test_parts, train_parts = divide(sample)
    shared = test_parts[: round(sample.shared_parts * len(test_parts))]
    shots = [
        *shots_of("test", test_parts, sample.test_images, rng),
        *shots_of("train", shared + train_parts, sample.train_images, rng, shared),
    ]
    # otherwise the file names would reveal the castings
    shots = [shots[index] for index in rng.permutation(len(shots))]
    shots += [
        Shot("train", part, NEW_CAMERA.name, "new_camera")
        for part in islice(cycle(train_parts), sample.new_camera_images)
    ]
    shots += [
        Shot("train", part, CAMERAS[0].name, "corrupt", damage)
        for damage, part in zip(islice(cycle(DAMAGES), sample.corrupt_files), cycle(train_parts), strict=False)
    ]
    numbers = {"def_front": count(), "ok_front": count()}
    rows = [row_of(shot, numbers) for shot in shots]
    tests = [row for row in rows if "/test/" in row.path]
    return rows + copies(tests, sample, lambda row: next_path("train", row.label, numbers), rng)


def divide(sample: SampleSettings) -> tuple[list[Part], list[Part]]:
    """Return the castings for test and for train, in proportion to their photographs. Defective and good castings alternate."""
    parts = [Part(number, None if number % 2 else defect_of(number // 2, KINDS)) for number in range(sample.parts)]
    test_share = sample.test_images / (sample.test_images + sample.train_images)
    num_test_parts = min(
        max(round(sample.parts * test_share), 2), sample.parts - 2
    )  # two in a row are one of each class
    return parts[:num_test_parts], parts[num_test_parts:]


def defect_of(turn: int, kinds: Sequence[str]) -> Defect:
    """Return the defect of a defective part: kinds and difficulties in turn."""
    return Defect(kinds[turn % len(kinds)], DIFFICULTIES[turn % len(DIFFICULTIES)])


def shots_of(
    split: Split, parts: list[Part], num_shots: int, rng: np.random.Generator, shared: Sequence[Part] = ()
) -> Iterator[Shot]:
    """Yield `num_shots` photographs by random cameras: at least one of each part while they last, and many more of some parts.

    Those of a `shared` part have the fault that the other split shows it too.
    """
    parts = parts[:num_shots]
    more = rng.multinomial(num_shots - len(parts), rng.dirichlet(np.full(len(parts), 4)))
    for part, extra in zip(parts, more, strict=True):
        for camera in rng.integers(len(CAMERAS), size=1 + extra):
            yield Shot(split, part, CAMERAS[camera].name, "shared_part" if part in shared else "")


def row_of(shot: Shot, numbers: Mapping[str, Iterator[int]]) -> TruthRow:
    """Return the row of a photograph. The name of its file has the next number of its class."""
    label = "def_front" if shot.part.defect else "ok_front"
    kind, difficulty = shot.part.defect or ("", "")
    return TruthRow(
        next_path(shot.split, label, numbers), shot.part.number, label, kind, difficulty, shot.camera,
        transform=shot.damage, fault=shot.fault,
    )  # fmt: skip


def next_path(split: Split, label: str, numbers: Mapping[str, Iterator[int]]) -> str:
    """Return a path as in the published archive, with the next number of its class."""
    return (
        f"casting_data/casting_data/{split}/{label}/cast_{label.removesuffix('_front')}_0_{next(numbers[label])}.jpeg"
    )


def copies(
    originals: list[TruthRow], sample: DrawnSettings, new_path: Callable[[TruthRow], str], rng: np.random.Generator
) -> list[TruthRow]:
    """Return the files that repeat others: exact copies, then transformed ones, of different originals while they last.

    `new_path` returns a path for a copy of an original.
    """
    turns = cycle([originals[index] for index in rng.permutation(len(originals))])
    transforms = islice(cycle(TRANSFORMS), sample.transformed_copies)
    changes = [("exact_copy", "")] * sample.exact_copies + [("transformed_copy", transform) for transform in transforms]
    return [
        replace(row, path=new_path(row), copy_of=row.path, transform=transform, fault=fault)
        for (fault, transform), row in zip(changes, turns, strict=False)
    ]
