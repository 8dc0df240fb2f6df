"""Crop gallery: a picture of training photographs with the box that the network sees of each."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tasks.images import loading
from tasks.images.crop_boxes import crop_shares
from tasks.records.rows import Row, stored_path
from tasks.reporting.audit_gallery import Picture
from tasks.reporting.contact_sheet import SIDE, SheetRow, Tile, sheet, wrap
from tasks.settings.crops import PART, WHOLE, Crop, Shares
from tasks.settings.settings import Places

ACROSS = 6  # photographs in a row
FINE = 2  # a photograph is drawn so many times larger than it is shown, so that lines are smooth
BOX, SHADE = (214, 20, 24), 0.45  # color of the box; what is left of the light outside of it


def pictures(rows: Sequence[Row], crop: Crop | None, places: Places) -> Iterator[Picture]:
    """Yield the picture; nothing where the network sees whole photographs."""
    train = sorted((row for row in rows if row.split == "train"), key=lambda row: row.sha256)
    if not crop or not train:
        return
    shares = crop_shares(train, crop, places)
    seen = list(zip(train, shares, strict=True))
    chosen = {"Some photographs, in the hash order of their content": seen[:ACROSS]}
    caption = "What lies outside of the box decides nothing."
    if crop == PART:
        by_area = sorted(seen, key=lambda pair: area(pair[1]))
        chosen |= {"The smallest boxes": by_area[:ACROSS], "The largest boxes": by_area[::-1][:ACROSS]}
        whole = sum(box == WHOLE for box in shares)
        caption += (
            f" It is about the part, found by its outline. {whole:,} of {len(seen):,} training photographs are seen whole: "
            "in them no part is found, or it fills nearly all."
        )
    sheet_rows = [
        SheetRow(heading, tuple(tile(row, box, places) for row, box in pairs)) for heading, pairs in chosen.items()
    ]
    yield Picture("crops", "Where the network looks", caption, sheet(sheet_rows))


def area(box: Shares) -> float:
    """Return which share of a picture lies in a box."""
    return (box.right - box.left) * (box.bottom - box.top)


def tile(row: Row, box: Shares, places: Places) -> Tile:
    """Return a photograph with the box on it, dark outside."""
    gray = loading.load_squares([stored_path(row, places)], FINE * SIDE)[0]
    left, top, right, bottom = (round(share * len(gray)) for share in box)
    drawn = (gray * SHADE).astype(np.uint8)
    drawn[top:bottom, left:right] = gray[top:bottom, left:right]
    image = Image.fromarray(drawn).convert("RGB")
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline=BOX, width=2 * FINE)
    return Tile(np.asarray(image), wrap(row.label))
