"""Stamps: station, part and time of a photograph, as its path or its camera says."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from tasks.images.exposure_time import exposure_time
from tasks.settings.escaping import for_utf8
from tasks.sources.pattern_search import SECONDS, search_groups

GROUPS = ("station", "part", "time")
FORMS = ("%Y%m%d-%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%d_%H%M%S", "%Y-%m-%d_%H-%M-%S", "%Y%m%d%H%M%S")  # beside ISO 8601


class Stamp(NamedTuple):
    """What a path or a camera says of a photograph; "" where it does not."""

    station: str = ""
    part: str = ""
    taken: str = ""
    """Time in ISO 8601, in the camera's own time zone."""


def require_groups(pattern: str) -> str:
    """Return a pattern that names what it finds. Raises ValueError where it is none, or names something else."""
    try:
        names = re.compile(pattern).groupindex.keys()
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if not names or not names <= set(GROUPS):
        found = ", ".join(names) or "none"
        raise ValueError(
            f"{pattern!r} has the named groups {found}: expected some of {', '.join(GROUPS)}, as (?P<station>[^/]+)/.*"
        )
    return pattern


StampPattern = Annotated[str, AfterValidator(require_groups)]


def path_stamps(names: Sequence[str], pattern: str | None, seconds: float = SECONDS) -> list[Stamp]:
    """Return what the names of photographs say by the pattern of `--stamp`. `names` are paths as people give them, posix.

    Raises BadInput where the pattern searches for longer than `seconds`.
    """
    if not pattern:
        return [Stamp()] * len(names)
    number_of = re.compile(pattern).groupindex
    stamps = []
    for groups in search_groups(pattern, names, "--stamp", seconds):
        found = {group: groups[number - 1] or "" for group, number in number_of.items()} if groups else {}
        taken = parse_time(found.get("time", ""))
        station, part = (for_utf8(found.get(group, "")) for group in ("station", "part"))
        stamps.append(Stamp(station, part, taken.isoformat() if taken else ""))
    return stamps


def add_camera_time(stamp: Stamp, path: Path) -> Stamp:
    """Return the stamp with the time of the camera that took the photograph at `path`, where its name says none."""
    taken = None if stamp.taken else exposure_time(path)
    return stamp._replace(taken=taken.isoformat()) if taken else stamp


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
