"""Stamps: station, part and time of a photograph, as its path or its camera says."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from tasks.images.exposure_time import HEAD, exposure_time
from tasks.settings.escaping import for_utf8

GROUPS = ("station", "part", "time")
FORMS = ("%Y%m%d-%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%d_%H%M%S", "%Y-%m-%d_%H-%M-%S", "%Y%m%d%H%M%S")  # beside ISO 8601


class Stamp(NamedTuple):
    """What a path says of a photograph; "" where it does not."""

    station: str = ""
    part: str = ""
    taken: str = ""
    """Time in ISO 8601, in the camera's own time zone."""


def require_groups(pattern: str) -> str:
    """Return a pattern that names what it finds. Raises ValueError where it is none, or names something else."""
    try:
        names = re.compile(pattern).groupindex.keys()
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if not names or not names <= set(GROUPS):
        found = ", ".join(names) or "none"
        raise ValueError(
            f"{pattern!r} has the named groups {found}: expected some of {', '.join(GROUPS)}, as (?P<station>[^/]+)/.*"
        )
    return pattern


StampPattern = Annotated[str, AfterValidator(require_groups)]


def read_stamp(name: str, path: Path, pattern: str | None) -> Stamp:
    """Return the stamp of a photograph: from its name by the pattern, and the time else from its camera.

    `name` is its path as people give it, posix; `path` is where its bytes lie.
    """
    match = re.search(pattern, name) if pattern else None
    found = match.groupdict() if match else {}
    taken = parse_time(found.get("time") or "") or exposure_time(read_head(path))
    return Stamp(
        for_utf8(found.get("station") or ""), for_utf8(found.get("part") or ""), taken.isoformat() if taken else ""
    )


def parse_time(text: str) -> datetime | None:
    """Return the time that a text means; None where it means none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb") as opened:
            return opened.read(HEAD)
    except OSError:
        return b""
