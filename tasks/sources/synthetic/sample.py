"""Sample: write a drawn data set with the layout of the published one, the requested faults, and the truth about every file."""

import csv
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from PIL import Image

from tasks.settings.settings import SampleSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS, encode, save
from tasks.sources.synthetic.defects import Defect, spoil
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.plan import TruthRow, plan
from tasks.sources.synthetic.rendering import photograph

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Date of every file: with the date of today, no two zips would be equal."""


class DrawnFile(NamedTuple):
    """The content of a path, and a PNG that shows where the defect is in its photograph; None where it shows none."""

    content: bytes
    mask: bytes | None


def write_sample(sample: SampleSettings, archive: Path, truth: Path) -> None:
    """Write the zip `archive`, and `truth/truth.csv` beside `truth/masks/STEM.png`.

    The same settings and library versions give the same bytes. A mask is gray, 300 x 300, 255 on the defect. Each
    readable photograph of a defective casting has one. A copy has none: the mask of its original applies, changed as the copy was.
    """
    rows = plan(sample)
    files = photograph_all([row for row in rows if not row.copy_of], sample.seed)
    for row in rows:
        if row.copy_of:
            original = files[row.copy_of].content
            files[row.path] = DrawnFile(TRANSFORMS[row.transform](original) if row.transform else original, mask=None)
    write_archive(archive, files)
    write_truth(truth, rows, files)


def photograph_all(rows: list[TruthRow], seed: int) -> dict[str, DrawnFile]:
    """Draw and photograph the castings of these rows, and return the files by path."""
    by_part: dict[int, list[TruthRow]] = defaultdict(list)
    for row in rows:
        by_part[row.part].append(row)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # numpy, scipy and Pillow let other threads run
        files_of_parts = pool.map(lambda part_rows: take_part(part_rows, seed), by_part.values())
        return {path: file for files in files_of_parts for path, file in files.items()}


def take_part(rows: list[TruthRow], seed: int) -> dict[str, DrawnFile]:
    """Draw one casting, photograph it for each row, and return the files by path."""
    part, kind, difficulty = rows[0].part, rows[0].defect, rows[0].difficulty
    rng = np.random.default_rng([seed, 1, part])
    casting = draw_casting(rng)
    if kind and difficulty:
        casting = spoil(casting, Defect(kind, difficulty), rng)
    cameras = {camera.name: camera for camera in (*CAMERAS, NEW_CAMERA)}
    files = {}
    for row in rows:
        camera = cameras[row.camera]
        picture = photograph(casting, camera, rng)
        jpeg = encode(picture.pixels, camera.quality)
        if row.fault == "corrupt":
            files[row.path] = DrawnFile(DAMAGES[row.transform](jpeg), mask=None)
        else:
            mask = save(Image.fromarray(picture.defect.astype(np.uint8) * 255), "PNG") if kind else None
            files[row.path] = DrawnFile(jpeg, mask)
    return files


def write_archive(archive: Path, files: dict[str, DrawnFile]) -> None:
    """Write the zip of all files in the order of their names, uncompressed: JPEGs do not shrink."""
    with ZipFile(archive, mode="w", compression=ZIP_STORED) as target:
        for path in sorted(files):
            target.writestr(ZipInfo(path, date_time=LONG_AGO), files[path].content)


def write_truth(truth: Path, rows: list[TruthRow], files: dict[str, DrawnFile]) -> None:
    """Write truth.csv in the order of its paths, and the masks."""
    masks = truth / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    for path, file in files.items():
        if file.mask:
            (masks / f"{Path(path).stem}.png").write_bytes(file.mask)
    with (truth / "truth.csv").open("w", newline="", encoding="utf-8") as target:
        table = csv.DictWriter(target, fieldnames=[field.name for field in fields(TruthRow)])
        table.writeheader()
        table.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.path))
