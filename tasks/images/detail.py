"""Detail: the fine detail of a whole picture, its aspect kept. Light, shading and most of what a camera adds disappear."""

from typing import NamedTuple

import numpy as np
from PIL import Image

DARK = 10.0  # gray levels added before the logarithm: below them a sensor shows noise
NEAR, FAR = 17, 49  # pixels: side of the square that a level is compared with, and of the square of its deviation
QUIET = 0.02  # of the logarithm: a smoother surface counts as even
STEP, UNIT = 300, 32  # steps of the two planes: for a logarithm of 1, and for one deviation
NOTHING = 128  # where a plane shows no detail


class Box(NamedTuple):
    """Where a picture lies in its frame, or a crop in its picture, in pixels of the frame or of the picture."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Return the rows and the columns that the box fills."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def content_box(shape: tuple[int, int], frame: tuple[int, int]) -> Box:
    """Return where a picture of `shape` lies in the `frame`, (height, width) each: as large as fits, in the middle, aspect kept."""
    scale = min(side / length for side, length in zip(frame, shape, strict=True))
    height, width = (min(side, max(1, round(length * scale))) for side, length in zip(frame, shape, strict=True))
    return Box((frame[0] - height) // 2, (frame[1] - width) // 2, height, width)


def letterbox(pixels: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """Return gray levels uint8 (height, width) in the middle of a frame of (rows, columns): uint8 (rows, columns), 0 beside them."""
    box = content_box(pixels.shape, frame)
    framed = np.zeros(frame, np.uint8)
    framed[box.slices] = resize(pixels, (box.height, box.width))
    return framed


def resize(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize gray levels, uint8 (height, width), to `shape`: averaged when reduced, aspect ratio not kept."""
    if pixels.shape == shape:
        return pixels
    is_reduced = all(length >= side for length, side in zip(pixels.shape, shape, strict=True))
    resampling = Image.Resampling.BOX if is_reduced else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize(shape[::-1], resampling))


def detail(framed: np.ndarray, box: Box) -> np.ndarray:
    """Return the detail of a picture that fills the `box` of a frame, uint8 (rows, columns): uint8 (rows, columns, 2).

    The first plane is the logarithm of the gray level less its mean over 17 x 17 pixels. So it does not depend on how bright the light is.
    The second is the first divided by its deviation over 49 x 49 pixels, so a mark stands out by the texture around it. Both are
    128 where nothing is, and beside the picture.
    """
    from scipy import ndimage  # late: other views do without it

    logarithm = np.log(framed[box.slices].astype(np.float32) + DARK)
    planes = np.full((*framed.shape, 2), NOTHING, np.uint8)
    planes[box.slices] = planes_of(logarithm - ndimage.uniform_filter(logarithm, NEAR, mode="reflect"))
    return planes


def planes_of(difference: np.ndarray) -> np.ndarray:
    """Return both planes of the detail, uint8 (rows, columns, 2), from the first as differences of a logarithm, float (rows, columns)."""
    from scipy import ndimage  # late, as above

    deviation = np.sqrt(ndimage.uniform_filter(difference**2, FAR, mode="reflect").clip(0) + QUIET**2)
    levels = STEP * difference, UNIT * difference / deviation
    return np.stack([(level + NOTHING).clip(0, 255) for level in levels], axis=-1).astype(np.uint8)
