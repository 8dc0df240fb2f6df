"""Spot checks: a random share of what the model passed and rejected, which a person looks at blind, and what follows for production.

Who is drawn follows from a secret and the part alone. So nobody can foresee it, and everybody who knows the secret can check it afterwards.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tasks.evaluation.intervals import parts_needed, upper_bound
from tasks.labeling.label_log import valid_rows
from tasks.monitoring.production import week_of
from tasks.records.rows import LabelRow
from tasks.settings.settings import Places, SpotCheckSettings
from tasks.storage.private_files import load_secret

QUEUE: Literal["spot_check"] = "spot_check"
SECRET = ".spot-check-secret"
DECIDED = ("pass", "reject")


class Stratum(NamedTuple):
    """The parts of one week at a station with one decision."""

    station: str
    week: str
    decision: str


class ErrorRate(NamedTuple):
    """How many of the parts with one decision are wrong, by what people found in the spot check."""

    decided: int
    """Parts with this decision."""
    checked: int
    """So many of them a person judged."""
    wrong: int
    """So many of these were decided wrongly: a defective part passed, or a good one rejected."""
    rate: float | None
    """Estimated share of wrong ones among all decided; None where nobody looked."""
    bound: float | None
    """With the confidence asked for, the share is no larger."""
    more: int | None
    """Parts more, none of them wrong, that would show the accepted limit; None where there is none, or no number can."""


def spot_check_secret(places: Places) -> bytes:
    """Return the secret by which parts are drawn; make it where there is none. Raises BadInput where it cannot be used."""
    return load_secret(places.artifacts_root / SECRET).encode()


def part_of(row: Mapping[str, Any]) -> str:
    """Return the key of the part that a judged photograph shows: station and part where its path tells, else its content."""
    return f"{row['station']}/{row['part']}" if row.get("part") else str(row["sha256"])


def lot(part: str, secret: bytes) -> float:
    """Return the number that a part draws, uniform in [0, 1)."""
    return int.from_bytes(hmac.digest(secret, part.encode(errors="surrogatepass"), hashlib.sha256)[:8]) / 2**64


def parts_by_stratum(rows: Iterable[Mapping[str, Any]]) -> dict[Stratum, list[str]]:
    """Return the parts of each stratum. A part counts in the week of its first photograph, as passed if one photograph passes.

    The rows have stations, as `production.with_station` gives them.
    """
    weeks: dict[str, tuple[str, str]] = {}
    decisions: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["sha256"]:
            part = part_of(row)
            weeks.setdefault(part, (str(row["station"]), week_of(str(row["judged"]))))
            decisions[part].add(str(row["decision"]))
    strata: dict[Stratum, list[str]] = defaultdict(list)
    for part, week in weeks.items():
        if decision := next((name for name in DECIDED if name in decisions[part]), None):
            strata[Stratum(*week, decision)].append(part)
    return strata


def draw(rows: Iterable[Mapping[str, Any]], secret: bytes, settings: SpotCheckSettings) -> dict[Stratum, list[str]]:
    """Return the drawn parts of each stratum, the one to look at first in front.

    Drawn are all parts whose number lies below the share, and at least `least_a_week` of each stratum: those with the smallest numbers.
    While a week goes on, a later part with a smaller number takes the place of one that was drawn only to reach that number.
    """
    drawn = {}
    for stratum, parts in parts_by_stratum(rows).items():
        numbers = sorted((lot(part, secret), part) for part in parts)
        below = sum(number < settings.share for number, _ in numbers)
        drawn[stratum] = [part for _, part in numbers[: max(below, settings.least_a_week)]]
    return drawn


def estimate_errors(
    rows: Sequence[Mapping[str, Any]],
    labels: Iterable[LabelRow],
    decision: str,
    secret: bytes,
    settings: SpotCheckSettings,
) -> ErrorRate:
    """Estimate how many of all parts with a decision are wrong, from the drawn parts that people judged blind.

    Weeks have different shares of checked parts, so each week counts by its parts (the stratified mean; Cochran, Sampling Techniques,
    1977, chapter 5). The bound is exact for as many parts as tell as much as those of unequal weights (Kish's effective size).
    """
    strata, drawn = parts_by_stratum(rows), draw(rows, secret, settings)
    faults = judged_faults(rows, labels)
    sizes, checks, wrong = [], [], []
    for stratum, parts in strata.items():
        if stratum.decision == decision:
            answered = [faults[part] for part in drawn[stratum] if part in faults]
            sizes.append(len(parts))
            checks.append(len(answered))
            wrong.append(sum(fault == decision for fault in answered))
    return summarize(np.array(sizes, float), np.array(checks, float), np.array(wrong, float), settings)


def judged_faults(rows: Iterable[Mapping[str, Any]], labels: Iterable[LabelRow]) -> dict[str, str]:
    """Return for each part that was judged in the spot check which decision would be wrong: "pass" of a defective one, else "reject".

    A part is defective if one of its photographs was called so. The last answer about a photograph counts.
    """
    answers = {row.sha256: row.label for row in valid_rows(labels) if row.queue == QUEUE}
    by_part: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if answers.get(str(row["sha256"])) in ("good", "defect"):
            by_part[part_of(row)].add(answers[str(row["sha256"])])
    return {part: "pass" if "defect" in said else "reject" for part, said in by_part.items()}


def summarize(sizes: np.ndarray, checks: np.ndarray, wrong: np.ndarray, settings: SpotCheckSettings) -> ErrorRate:
    """Return the rate over strata with these numbers of parts, of checked ones and of wrong ones; each float (strata,).

    A stratum in which nobody looked is left out of rate and bound: nothing is known about it.
    """
    seen = checks > 0
    counts = int(sizes.sum()), int(checks.sum()), int(wrong.sum())
    if not seen.any():
        return ErrorRate(*counts, None, None, None)
    weights = sizes[seen] / sizes[seen].sum()
    rate = float((weights * wrong[seen] / checks[seen]).sum())
    effective = float(1 / (weights**2 / checks[seen]).sum())
    bound = upper_bound(rate * effective, effective, settings.confidence)
    needed = parts_needed(rate * effective, settings.max_wrong_share, settings.confidence)
    more = None if needed is None else max(0, int(np.ceil(needed - effective)))
    return ErrorRate(*counts, rate, bound, more)
