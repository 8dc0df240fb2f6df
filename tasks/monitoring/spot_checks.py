"""Spot checks: draw a random share of what the model passed and rejected, at which a person looks blind.

Who is drawn follows from a secret and the part alone. So nobody can foresee it, and everybody who knows the secret can check it afterwards.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tasks.monitoring.production import JudgedPhotograph
from tasks.settings.messages import say
from tasks.settings.settings import Places, SpotCheckSettings
from tasks.storage.files import write_whole
from tasks.storage.private_files import load_secret

QUEUE: Literal["spot_check"] = "spot_check"
SECRET, SETTINGS = ".spot-check-secret", "spot_checks.json"
DECIDED = ("pass", "reject")


class Stratum(NamedTuple):
    """The parts of one week at a station with one decision."""

    station: str
    week: str
    decision: str


def spot_check_secret(places: Places) -> bytes:
    """Return the secret by which parts are drawn; make it where there is none. Raises BadInput where it cannot be used."""
    return load_secret(places.artifacts_root / SECRET).encode()


def save_settings(settings: SpotCheckSettings, places: Places) -> None:
    """Keep the settings by which parts are drawn, for those who estimate from the checks: pages and reports."""
    content = settings.model_dump_json().encode()
    path = places.artifacts_root / SETTINGS
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


def load_settings(places: Places) -> SpotCheckSettings:
    """Return the settings of the last judging; the defaults before the first, and, with a line, where their file is damaged."""
    path = places.artifacts_root / SETTINGS
    try:
        return SpotCheckSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return SpotCheckSettings()
    except (OSError, ValueError):
        say(f"{path} cannot be read: the default settings of spot checks count until flows/judge.py writes it again")
        return SpotCheckSettings()


def lot(part: str, secret: bytes) -> float:
    """Return the number that a part draws, uniform in [0, 1)."""
    return int.from_bytes(hmac.digest(secret, part.encode(errors="surrogatepass"), hashlib.sha256)[:8]) / 2**64


def parts_by_stratum(judged: Iterable[JudgedPhotograph]) -> dict[Stratum, list[str]]:
    """Return the keys of the parts of each stratum.

    A part counts in the week of its first photograph, as passed if one photograph passes.
    """
    weeks: dict[str, tuple[str, str]] = {}
    decisions: dict[str, set[str]] = defaultdict(set)
    for row in judged:
        if row.sha256:
            weeks.setdefault(row.part_key, (row.station, row.week))
            decisions[row.part_key].add(row.decision)
    strata: dict[Stratum, list[str]] = defaultdict(list)
    for part, week in weeks.items():
        if decision := next((name for name in DECIDED if name in decisions[part]), None):
            strata[Stratum(*week, decision)].append(part)
    return strata


def draw(parts: Iterable[str], secret: bytes, settings: SpotCheckSettings) -> list[str]:
    """Return the drawn parts of one stratum, the one to look at first in front.

    Drawn are all parts whose number lies below the share, and at least `least_a_week`: those with the smallest numbers. While a week
    goes on, a later part with a smaller number takes the place of one that was drawn only to reach that number.
    """
    numbers = sorted((lot(part, secret), part) for part in parts)
    below = sum(number < settings.share for number, _ in numbers)
    return [part for _, part in numbers[: max(below, settings.least_a_week)]]


def drawn_parts(judged: Iterable[JudgedPhotograph], secret: bytes, settings: SpotCheckSettings) -> set[str]:
    """Return the drawn parts of all strata."""
    return {part for parts in parts_by_stratum(judged).values() for part in draw(parts, secret, settings)}
