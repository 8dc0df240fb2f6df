"""Drift section: how new images differ from those that the model in use learned from, as a table."""

from collections.abc import Sequence

from tasks.monitoring.drift import Drift
from tasks.records.rows import CAUSES
from tasks.reporting.markdown import code, counts, out_of, table

HEADS = (
    "New images of", "", "Size", "For a person", "Defects passed", "Good parts rejected", "Brightness", "Sharpness", "Distance",
)  # fmt: skip


def drift_section(drifts: Sequence[Drift]) -> str:
    """Return a table with a row for each origin, as Markdown."""
    return table(HEADS, map(row_of, drifts))


def row_of(drift: Drift) -> tuple[str, ...]:
    """Return the cells of one origin."""
    total = sum(drift.by_class.values())
    why = next((CAUSES[cause] for cause in drift.causes), "")
    sizes = [*drift.sizes, "cannot be read"] if drift.unreadable else list(drift.sizes)
    return (
        code(drift.origin),
        counts({code(label): count for label, count in drift.by_class.items()}),
        ", ".join(sizes[:3]) + (" and others" if len(sizes) > 3 else ""),
        out_of(drift.decisions.get("review", 0), total) + (f", mostly {why}" if why else ""),
        f"{drift.escapes:,}",
        f"{drift.refusals:,}",
        *(
            f"{shift.found:g}, usual {shift.usual:g} ± {shift.spread:g}" if shift else ""
            for shift in (drift.brightness, drift.sharpness)
        ),
        "" if drift.distance is None else f"{drift.distance:g} of the limit",
    )
