"""Frames: at which size a network sees whole pictures, chosen from their sizes and from the defects that masks mark."""

from math import sqrt

from pydantic import BaseModel, ConfigDict

from tasks.settings.crops import Crop
from tasks.settings.model_specs import InputSize

STEP = 32  # pixels: a few new pictures change no frame, and the map has whole places of 8 pixels
USUAL_AREA, MAX_AREA = 400**2, 640**2  # pixels of a frame: where nothing asks for more, and the most that is chosen
VISIBLE = 4.0  # pixels of the frame: narrower marks are lost in the texture


class PictureSizes(BaseModel):
    """The sizes of what the network sees of the training pictures, and of the marked defects on them, in pixels of the photographs."""

    model_config = ConfigDict(frozen=True)
    width: int
    """Median of the crops, as is the height."""
    height: int
    defect_width: float | None = None
    """Width of the narrow defects: nine tenths of the masks are wider at their widest place. None where no mask tells."""
    crop: Crop | None = None
    """Where in each picture the network looks; None: everywhere."""
    whole: int = 0
    """Training pictures that are seen whole although a crop is asked for: in them no part is found, or it fills nearly all."""


def choose_frame(pictures: PictureSizes, longest: int | None = None) -> tuple[int, int]:
    """Return the height and width at which pictures are seen, their aspect kept.

    The frame has about `longest` pixels along its longer side where it is given. Else it has 400 x 400 pixels in all, or more, up to
    640 x 640, where the narrow defects need them to be four pixels wide. Then it is never much larger than the pictures.
    """
    width, height = pictures.width, pictures.height
    scale = sqrt(USUAL_AREA / (width * height))
    if longest:
        scale = longest / max(width, height)
    else:
        if pictures.defect_width:
            scale = max(scale, min(VISIBLE / pictures.defect_width, sqrt(MAX_AREA / (width * height))))
        scale = min(scale, 1.0)
    return whole_steps(height * scale), whole_steps(width * scale)


def sides(size: InputSize) -> tuple[int, int]:
    """Return height and width in pixels."""
    return (size, size) if isinstance(size, int) else size


def in_pixels(size: InputSize) -> str:
    """Return a size in words, the width first."""
    height, width = sides(size)
    return f"{width} x {height} pixels"


def whole_steps(side: float) -> int:
    """Return a side in whole steps of 32 pixels, one at least."""
    return STEP * max(1, round(side / STEP))


def visible_width(pictures: PictureSizes, frame: tuple[int, int]) -> float:
    """Return how wide a defect must be to be seen in the frame, in pixels of the photograph."""
    return VISIBLE / min(frame[0] / pictures.height, frame[1] / pictures.width)
