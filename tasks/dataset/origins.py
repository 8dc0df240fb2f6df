"""Origins: what images each origin brought, so that people can compare cameras, lines and batches."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tasks.records.results import Origin, Spread
from tasks.records.rows import Entry, Refusal, Row


def summarize_origins(
    entries: Iterable[Entry], rows: Iterable[Row], refusals: Iterable[Refusal], repeats: Mapping[str, int]
) -> tuple[Origin, ...]:
    """Return a record of each origin, in the order of the files.

    The accepted, repeated and quarantined files of an origin are together all the files that it brought.
    """
    files = Counter(entry.origin for entry in entries)
    quarantined = Counter(refusal.origin for refusal in refusals)
    accepted: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        accepted[row.origin].append(row)
    return tuple(
        Origin(
            name=name,
            files_found=count,
            known=repeats.get(name, 0),
            quarantined=quarantined[name],
            by_class=dict(sorted(Counter(row.label for row in accepted[name]).items())),
            sizes=dict(Counter(f"{row.width} x {row.height}" for row in accepted[name]).most_common()),
            brightness=spread([row.brightness for row in accepted[name]]),
            sharpness=spread([row.sharpness for row in accepted[name]]),
        )
        for name, count in files.items()
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Return the 5 %, 50 % and 95 % quantiles of the values; None where there are no values."""
    if not values:
        return None
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95)).round(3).tolist()
    return Spread(low=low, median=median, high=high)
