"""Sample: write a drawn data set with the layout of the published one, the requested faults, and the truth about every file."""

import csv
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from PIL import Image

from tasks.settings.settings import DrawnSettings, SampleSettings, TilesSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA, Camera
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS, encode, save
from tasks.sources.synthetic.defects import Defect, spoil
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.plan import TruthRow, plan
from tasks.sources.synthetic.rendering import Photograph, photograph
from tasks.sources.synthetic.tile_defects import spoil_tile
from tasks.sources.synthetic.tile_plan import plan_tiles
from tasks.sources.synthetic.tile_rendering import LAMPS, NEW_LAMP, Lamp, photograph_tile
from tasks.sources.synthetic.tile_surface import draw_tile

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Date of every file: with the date of today, no two zips would be equal."""


class DrawnFile(NamedTuple):
    """The content of a path, and a PNG that shows where the defect is in its photograph; None where it shows none."""

    content: bytes
    mask: bytes | None


class Product(NamedTuple):
    """The functions that draw a product, and the way its masks are delivered."""

    plan: Callable[[Any], list[TruthRow]]
    """From the settings of the product."""
    draw: Callable[[np.random.Generator], Any]
    """A good part."""
    spoil: Callable[[Any, Defect, np.random.Generator], Any]
    """A part with the defect."""
    photograph: Callable[[Any, Any, np.random.Generator], Photograph]
    """A part under one of the cameras."""
    cameras: tuple[Camera | Lamp, ...]
    masks_in_archive: bool
    """Each photograph has a mask beside it, an empty one where the part is good."""


CASTINGS = Product(plan, draw_casting, spoil, photograph, (*CAMERAS, NEW_CAMERA), masks_in_archive=False)
TILES = Product(plan_tiles, draw_tile, spoil_tile, photograph_tile, (*LAMPS, NEW_LAMP), masks_in_archive=True)
PRODUCTS: dict[type[DrawnSettings], Product] = {SampleSettings: CASTINGS, TilesSettings: TILES}


def write_sample(sample: DrawnSettings, archive: Path, truth: Path) -> None:
    """Write the zip `archive`, and `truth/truth.csv` beside `truth/masks/STEM.png`.

    The same settings and library versions give the same bytes. A mask is gray, of the size of its photograph, 255 on the defect. Each
    readable photograph of a defective part has one. A copy has none: the mask of its original applies, changed as the copy was.
    """
    product = PRODUCTS[type(sample)]
    rows = product.plan(sample)
    files = photograph_all([row for row in rows if not row.copy_of], sample.seed, product)
    for row in rows:
        if row.copy_of:
            original = files[row.copy_of].content
            files[row.path] = DrawnFile(TRANSFORMS[row.transform](original) if row.transform else original, mask=None)
    masks = {path: file.mask for path, file in files.items() if file.mask}
    contents = {path: file.content for path, file in files.items()}
    if product.masks_in_archive:
        contents |= {str(PurePosixPath(path).with_suffix(".png")): mask for path, mask in masks.items()}
    write_archive(archive, contents)
    write_truth(truth, rows, masks)


def photograph_all(rows: list[TruthRow], seed: int, product: Product) -> dict[str, DrawnFile]:
    """Draw and photograph the parts of these rows, and return the files by path."""
    by_part: dict[int, list[TruthRow]] = defaultdict(list)
    for row in rows:
        by_part[row.part].append(row)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # numpy, scipy and Pillow let other threads run
        files_of_parts = pool.map(lambda part_rows: take_part(part_rows, seed, product), by_part.values())
        return {path: file for files in files_of_parts for path, file in files.items()}


def take_part(rows: list[TruthRow], seed: int, product: Product) -> dict[str, DrawnFile]:
    """Draw one part, photograph it for each row, and return the files by path."""
    number, kind, difficulty = rows[0].part, rows[0].defect, rows[0].difficulty
    rng = np.random.default_rng([seed, 1, number])
    part = product.draw(rng)
    if kind and difficulty:
        part = product.spoil(part, Defect(kind, difficulty), rng)
    cameras = {camera.name: camera for camera in product.cameras}
    files = {}
    for row in rows:
        camera = cameras[row.camera]
        picture = product.photograph(part, camera, rng)
        jpeg = encode(picture.pixels, camera.quality)
        if row.fault == "corrupt":
            files[row.path] = DrawnFile(DAMAGES[row.transform](jpeg), mask=None)
        else:
            masked = kind or product.masks_in_archive
            mask = save(Image.fromarray(picture.defect.astype(np.uint8) * 255), "PNG") if masked else None
            files[row.path] = DrawnFile(jpeg, mask)
    return files


def write_archive(archive: Path, contents: dict[str, bytes]) -> None:
    """Write the zip of all files in the order of their names, uncompressed: JPEGs do not shrink."""
    with ZipFile(archive, mode="w", compression=ZIP_STORED) as target:
        for path in sorted(contents):
            target.writestr(ZipInfo(path, date_time=LONG_AGO), contents[path])


def write_truth(truth: Path, rows: list[TruthRow], masks: dict[str, bytes]) -> None:
    """Write truth.csv in the order of its paths, and the masks of these paths."""
    folder = truth / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    for path, mask in masks.items():
        (folder / f"{Path(path).stem}.png").write_bytes(mask)
    with (truth / "truth.csv").open("w", newline="", encoding="utf-8") as target:
        table = csv.DictWriter(target, fieldnames=[field.name for field in fields(TruthRow)])
        table.writeheader()
        table.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.path))
