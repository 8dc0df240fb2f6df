"""Exposure time: when a photograph was taken, as its camera wrote into its Exif."""

import io
import warnings
from datetime import datetime
from pathlib import Path

from PIL import Image

from tasks.images.decoding import TIFF, format_of

HEAD = 2**18  # bytes of a file that are read for it
DIRECTORIES = 2**22  # bytes more of a TIFF, whose directories may lie anywhere, with values of any size
EXIF_TAGS = 0x8769  # number of the table of Exif's own tags
TAKEN, CHANGED = 36_867, 306  # numbers of DateTimeOriginal, in that table, and of DateTime
FORM = "%Y:%m:%d %H:%M:%S"


class LimitedFile(io.FileIO):
    """A file that is opened for reading, and of which at most so many bytes are read in all."""

    def __init__(self, path: Path, most: int) -> None:
        """Open the file. `most` is the number of bytes."""
        super().__init__(path)
        self.left = most

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes. Raises ValueError where too few are left."""
        if size is None or not 0 <= size <= self.left:
            raise ValueError(f"{size} bytes are asked for, at most {self.left} are left")
        self.left -= size
        return super().read(size) or b""


def exposure_time(path: Path) -> datetime | None:
    """Return the time in the Exif of a file, in the camera's own time zone; None where there is none.

    Decode no pixels. Never raises: a file that cannot be read, or has damaged Exif, has no time.
    """
    try:
        # Pillow warns of damage.
        with LimitedFile(path, HEAD + DIRECTORIES) as file, warnings.catch_warnings(action="ignore"):
            exif = read_exif(file)
            if exif is None:
                return None
            return datetime.strptime(str(exif.get_ifd(EXIF_TAGS).get(TAKEN) or exif.get(CHANGED)).strip("\0 "), FORM)
    except Exception:  # whatever a parser of Exif raises at damaged bytes
        return None


def read_exif(file: LimitedFile) -> Image.Exif | None:
    """Return the Exif of a file; None where its format has none. That of a TIFF is read as long as the file is open."""
    head = file.read(HEAD)
    image_format = format_of(head)
    if image_format is TIFF:
        exif = Image.Exif()
        file.seek(0)
        exif.load_from_fp(file)  # the directories of a TIFF have the same form and tags as Exif
        return exif
    tags = image_format.exif(head) if image_format else None
    return tags if isinstance(tags, Image.Exif) else None
