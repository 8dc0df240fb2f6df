"""Marks: the pixels of defects, as the masks beside photographs mark them, in the frame of a network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.images.crop_boxes import crop_shares
from tasks.images.crops import cut
from tasks.images.decoding import WHOLE
from tasks.images.detail import letterbox
from tasks.images.loading import load_levels
from tasks.records.rows import Row, images_root, is_defect
from tasks.settings.crops import Crop, Shares
from tasks.settings.settings import Classes, Places
from tasks.storage.parallel import map_chunks_in_threads

DEFECT, UNKNOWN, SOUND = 255, 128, 0
COVERED = 0.25  # share of a pixel of the frame from which on it shows the defect: a thin crack covers no whole one


def load_marks(
    images: Sequence[Row], frame: tuple[int, int], classes: Classes, places: Places, crop: Crop | None = None
) -> np.ndarray:
    """Return which pixels of each image's `crop` show its defect, uint8 (images, rows, columns): 255 a defect, 0 none, 128 unknown.

    A good part shows none anywhere. Of a defective part without a mask nothing is known, nor of one whose mask marks
    nothing within the crop.
    """
    marks = np.full((len(images), *frame), SOUND, np.uint8)
    marks[[bool(is_defect(image, classes)) for image in images]] = UNKNOWN
    masked = [number for number, image in enumerate(images) if shows_mask(image, classes)]
    if not masked:
        return marks
    shares = dict(zip(masked, crop_shares([images[number] for number in masked], crop, places), strict=True))
    marks[masked] = map_chunks_in_threads(
        lambda chunk: [mark(cut(pixels_of(images[number], places), shares[number]), frame) for number in chunk], masked
    )
    return marks


def shows_mask(image: Row, classes: Classes) -> bool:
    """Return whether an image shows a defect that a mask marks."""
    return bool(image.mask) and bool(is_defect(image, classes))


def mark(pixels: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """Return the marks of a defect, uint8 (rows, columns), as in `load_marks`, from its marked pixels, bool (height, width)."""
    if not pixels.any():
        return np.full(frame, UNKNOWN, np.uint8)  # a defect that its mask does not show
    covered = letterbox(pixels.astype(np.uint8) * 255, frame) >= 255 * COVERED
    return np.where(covered, DEFECT, SOUND).astype(np.uint8)


def defect_widths(images: Sequence[Row], classes: Classes, places: Places) -> np.ndarray:
    """Return how wide the marked defects are at their widest place, in pixels of the photographs: float (marked defects,)."""
    masked = [image for image in images if shows_mask(image, classes)]
    widths = np.array(
        map_chunks_in_threads(lambda chunk: [width_of(pixels_of(image, places)) for image in chunk], masked)
    )
    return widths[widths > 0]


def pixels_of(image: Row, places: Places) -> np.ndarray:
    """Return which pixels of a stored image its mask marks, bool (height, width)."""
    return marked_pixels(Path(images_root(places), image.mask), (image.height, image.width))


def marked_box(images: Sequence[Row], classes: Classes, places: Places) -> Shares | None:
    """Return the box about all marked defects, wherever they lie in their pictures; None where no mask marks any."""
    masked = [image for image in images if shows_mask(image, classes)]
    found = map_chunks_in_threads(lambda chunk: [box_about(pixels_of(image, places)) for image in chunk], masked)
    boxes = np.array([box for box in found if box])
    return Shares(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()) if len(boxes) else None


def box_about(pixels: np.ndarray) -> Shares | None:
    """Return the box about the marked pixels, bool (height, width), as shares; None where none is marked."""
    if not pixels.any():
        return None
    (top, bottom), (left, right) = (
        (places[0] / side, (places[-1] + 1) / side)
        for places, side in zip((np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0)), pixels.shape, strict=True)
    )
    return Shares(left, top, right, bottom)


def width_of(pixels: np.ndarray) -> float:
    """Return twice the greatest distance of a marked pixel, bool (height, width), from those that are not; below 0 where none is marked."""
    from scipy import ndimage  # late: most data sets have no masks

    return 2 * float(ndimage.distance_transform_edt(np.pad(pixels, 1)).max()) - 1


def marked_pixels(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return which pixels of a photograph of `shape` (height, width) its mask marks: bool (height, width).

    These are nearer to the lightest level of the mask than to the darkest. A mask of one level marks none, and one of another size is
    scaled.
    """
    levels = load_levels(path, WHOLE).astype(int)
    marked = Image.fromarray(2 * levels > levels.min() + levels.max())
    return np.asarray(marked.resize(shape[::-1], Image.Resampling.NEAREST))
