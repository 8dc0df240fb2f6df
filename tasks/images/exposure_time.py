"""Exposure time: when a photograph was taken, as its camera wrote into its Exif."""

from datetime import datetime

from PIL import Image

from tasks.images.decoding import format_of

HEAD = 2**18  # bytes of a file that are read for it
EXIF_TAGS = 0x8769  # number of the table of Exif's own tags
TAKEN, CHANGED = 36_867, 306  # numbers of DateTimeOriginal, in that table, and of DateTime
FORM = "%Y:%m:%d %H:%M:%S"


def exposure_time(head: bytes) -> datetime | None:
    """Return the time in the Exif of a file that begins with `head`, in the camera's own time zone; None where there is none.

    Never raises: a photograph with damaged Exif has no time.
    """
    try:
        image_format = format_of(head)
        exif = image_format.exif(head) if image_format else None
        if not isinstance(exif, Image.Exif):
            return None
        return datetime.strptime(str(exif.get_ifd(EXIF_TAGS).get(TAKEN) or exif.get(CHANGED)).strip("\0 "), FORM)
    except Exception:  # whatever a parser of Exif raises at damaged bytes
        return None
