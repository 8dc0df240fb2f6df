"""Sheets: photographs laid out in rows with a heading each, as one picture."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, GAP, LINE = 150, 6, 20  # pixels: a photograph, between two, a line of text
INK, PALE, PAPER = "#22313f", "#5f7285", "#ffffff"


class Tile(NamedTuple):
    """A photograph, uint8 (height, width), and what stands below it, in lines that should not be longer than it is wide."""

    pixels: np.ndarray
    caption: str


class Shelf(NamedTuple):
    """Photographs in one row."""

    heading: str
    tiles: tuple[Tile, ...]


def sheet(shelves: Sequence[Shelf]) -> Image.Image:
    """The rows below each other, as wide as the longest."""
    longest = max(len(shelf.tiles) for shelf in shelves)
    lines = max(tile.caption.count("\n") + 1 for shelf in shelves for tile in shelf.tiles)
    height = LINE + SIDE + lines * LINE + GAP
    picture = Image.new("RGB", (longest * (SIDE + GAP) + GAP, len(shelves) * height + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for row, shelf in enumerate(shelves):
        top = GAP + row * height
        draw.text((GAP, top), shelf.heading, fill=INK, font=letters())
        for column, tile in enumerate(shelf.tiles):
            left = GAP + column * (SIDE + GAP)
            photograph = Image.fromarray(tile.pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
            picture.paste(photograph.convert("RGB"), (left, top + LINE))
            draw.text((left, top + LINE + SIDE + 2), tile.caption, fill=PALE, font=letters())
    return picture


@cache
def letters() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=13)
