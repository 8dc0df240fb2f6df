"""Looks: what people answered in the agreement study, and which photographs each of them has still to see, for the first or second time."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.labeling.label_log import SECOND_LOOK, time_of, valid_rows
from tasks.labeling.study import StudyPhotograph
from tasks.records.rows import LabelRow

REPEAT_DAYS = 3  # after which the same person is asked again: sooner, the photograph would be remembered
REPEAT = timedelta(days=REPEAT_DAYS)
ROUNDS = (1, 2)


class Look(NamedTuple):
    """A person's answer about a photograph of the study."""

    sha256: str
    person: str
    round: int
    """1, or 2 for the same person's second look."""
    label: str
    """As in `LabelRow`."""
    time: datetime


class MissingLooks(NamedTuple):
    """How many photographs a person has still to look at."""

    person: str
    first: int
    second: int


def looks_of(rows: Iterable[LabelRow], study: Sequence[StudyPhotograph]) -> list[Look]:
    """Return the first and the second looks at the photographs of the study, in the order of the answers.

    An answer from before the draw belongs to another study. One that comes sooner than `REPEAT_DAYS` after the first is left out, and so
    is a third one.
    """
    if not study:
        return []
    drawn = datetime.fromisoformat(study[0].drawn)
    contents = {photograph.sha256 for photograph in study}
    earlier = defaultdict[tuple[str, str], list[datetime]](list)
    looks = []
    for row in valid_rows(rows):
        time = time_of(row)
        if row.queue != SECOND_LOOK or row.sha256 not in contents or time < drawn:
            continue
        times = earlier[row.sha256, row.person]
        if not times or len(times) < len(ROUNDS) and time - times[0] >= REPEAT:
            times.append(time)
            looks.append(Look(row.sha256, row.person, len(times), row.label, time))
    return looks


def open_looks(
    looks: Iterable[Look], study: Sequence[StudyPhotograph], person: str, now: datetime
) -> list[StudyPhotograph]:
    """Return the photographs that this person should look at now: first those never seen, then those seen `REPEAT_DAYS` ago.

    Each person has another order in each round, so that neighbors do not lead.
    """
    times = defaultdict[str, list[datetime]](list)
    for look in looks:
        if look.person == person:
            times[look.sha256].append(look.time)
    due = [
        photograph
        for photograph in study
        if not times[photograph.sha256]
        or len(times[photograph.sha256]) < len(ROUNDS)
        and now - times[photograph.sha256][0] >= REPEAT
    ]

    def order(photograph: StudyPhotograph) -> tuple[int, str]:
        seen = len(times[photograph.sha256])
        text = f"{photograph.seed} {seen} {person} {photograph.sha256}"
        return seen, hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    return sorted(due, key=order)


def missing_looks(looks: Iterable[Look], study: Sequence[StudyPhotograph], person: str) -> list[MissingLooks]:
    """Return what each person who takes part has still to look at, by name. `person` takes part, answers or not."""
    counts = Counter((look.person, look.round) for look in looks)
    return [
        MissingLooks(name, *(len(study) - counts[name, round_number] for round_number in ROUNDS))
        for name in sorted({person, *(name for name, _ in counts)})
    ]
