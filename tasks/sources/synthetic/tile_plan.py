"""Tile plan: decide about every file of a sample of tiles before anything is drawn."""

from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np

from tasks.settings.settings import TilesSettings
from tasks.sources.synthetic.corruptions import DAMAGES
from tasks.sources.synthetic.plan import Part, TruthRow, copies, defect_of
from tasks.sources.synthetic.tile_defects import TILE_KINDS
from tasks.sources.synthetic.tile_rendering import LAMPS, NEW_LAMP

NUMBERS = 1_000_000
"""Names of files have a number below this, drawn at random: a running one would reveal the tiles."""


def plan_tiles(sample: TilesSettings) -> list[TruthRow]:
    """Return the rows of all files: the ordinary photographs, then the planted faults, which change no other file."""
    rng = np.random.default_rng([sample.seed, 0])
    numbers = iter(rng.permutation(NUMBERS).tolist())
    tiles = [Part(number, None if number % 3 else defect_of(number // 3, TILE_KINDS)) for number in range(sample.parts)]
    rows = [
        row_of(tile, LAMPS[lamp].name, numbers)
        for tile in tiles
        for lamp in sorted(rng.permutation(len(LAMPS))[: rng.integers(2, len(LAMPS) + 1)])
    ]
    more = [
        row_of(tile, NEW_LAMP.name, numbers, "new_camera") for tile in islice(cycle(tiles), sample.new_camera_images)
    ]
    damaged = [
        row_of(tile, LAMPS[0].name, numbers, "corrupt", damage)
        for damage, tile in zip(islice(cycle(DAMAGES), sample.corrupt_files), cycle(tiles), strict=False)
    ]
    return [*rows, *more, *damaged, *copies(rows, sample, lambda row: next_path(row.label, row.camera, numbers), rng)]


def row_of(tile: Part, lamp: str, numbers: Iterator[int], fault: str = "", damage: str = "") -> TruthRow:
    """Return the row of a photograph."""
    kind, difficulty = tile.defect or ("", "")
    label = kind.capitalize() or "Free"
    return TruthRow(
        next_path(label, lamp, numbers), tile.number, label, kind, difficulty, lamp, transform=damage, fault=fault
    )


def next_path(label: str, lamp: str, numbers: Iterator[int]) -> str:
    """Return a path as in the published archive of magnetic tiles: a folder a kind, with lamp and number in the name."""
    return f"tiles/{label}/Imgs/{lamp}_num_{next(numbers):06d}.jpg"
