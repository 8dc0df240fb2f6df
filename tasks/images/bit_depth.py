"""Bit depth: turn samples of 16 bits into gray levels of 8 bits, by the picture alone."""

import numpy as np
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras deliver; they write them into the low end of 16


def deep_gray(samples: np.ndarray) -> Image.Image:
    """Return the gray picture, mode L, of uint16 (height, width, channels). One or two channels are gray, more begin with RGB.

    The picture's depth is the least of `DEPTHS` that holds its greatest sample, and the upper 8 of these bits are kept. A division by
    256 would show 12 bits nearly black. A stretch to the greatest sample would make each picture equally bright.
    """
    colors = samples[..., : 3 if samples.shape[2] > 2 else 1]
    greatest = int(colors.max())
    depth = next(bits for bits in DEPTHS if greatest < 1 << bits)
    levels = (colors >> (depth - 8)).astype(np.uint8)
    return Image.fromarray(levels if levels.shape[2] > 1 else levels[..., 0]).convert("L")
