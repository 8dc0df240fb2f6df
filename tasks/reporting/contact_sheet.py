"""Contact sheet: photographs laid out in rows, each row below a heading, as one picture."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from math import ceil
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tasks.settings.escaping import for_picture

SIDE, GAP, LINE = 150, 6, 20  # pixels: a photograph, between two, a line of text
INK, PALE, PAPER = "#22313f", "#5f7285", "#ffffff"


class Tile(NamedTuple):
    """A photograph, uint8 (height, width) or (height, width, 3), and the caption below it.

    The lines of the caption should not be wider than the photograph; `wrap` makes such lines.
    """

    pixels: np.ndarray
    caption: str


class SheetRow(NamedTuple):
    """Photographs in one row, below a heading of one line."""

    heading: str
    tiles: tuple[Tile, ...]


def sheet(rows: Sequence[SheetRow], side: int = SIDE) -> Image.Image:
    """Draw the rows below each other, as wide as the longest. Each photograph is `side` pixels wide and high."""
    longest = max(len(row.tiles) for row in rows)
    lines = max(tile.caption.count("\n") + 1 for row in rows for tile in row.tiles)
    height = LINE + side + lines * LINE + GAP
    picture = Image.new("RGB", (longest * (side + GAP) + GAP, len(rows) * height + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for place, row in enumerate(rows):
        top = GAP + place * height
        draw.text((GAP, top), wrap(row.heading, picture.width - 2 * GAP, 1), fill=INK, font=font())
        for column, tile in enumerate(row.tiles):
            left = GAP + column * (side + GAP)
            photograph = Image.fromarray(tile.pixels).resize((side, side), Image.Resampling.BOX)
            picture.paste(photograph.convert("RGB"), (left, top + LINE))
            draw.text((left, top + LINE + side + 2), tile.caption, fill=PALE, font=font())
    return picture


def stack_pictures(top: Image.Image, bottom: Image.Image) -> Image.Image:
    """Return one picture above another, both at the left."""
    picture = Image.new("RGB", (max(top.width, bottom.width), top.height + bottom.height), PAPER)
    picture.paste(top, (0, 0))
    picture.paste(bottom, (0, top.height))
    return picture


def wrap(text: str, width: int = SIDE, most: int = 3) -> str:
    """Break the text into at most `most` lines, none wider than `width` pixels. Dots stand where text is left out.

    Letters that the font lacks become their Python escapes, and so do line ends.
    """
    lines = [""]
    for word in for_picture(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if font().getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines += [truncate(word, width)]
    lines = [line for line in lines if line] or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} ..."]
    return "\n".join(lines)


def truncate(word: str, width: int) -> str:
    """Return the word, or as much of its beginning as fits into so many pixels, followed by dots."""
    if font().getlength(word) <= width:
        return word
    fitting = bisect_right(range(len(word)), width, key=lambda length: ceil(font().getlength(f"{word[:length]}...")))
    return f"{word[: max(0, fitting - 1)]}..."


@cache
def font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font of all text on these pictures."""
    return ImageFont.load_default(size=13)
