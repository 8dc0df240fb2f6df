"""Production section: what spot checks show of the decisions at the stations, as a table and a sentence."""

from collections.abc import Sequence

from tasks.records.run import ErrorRate, ProductionFacts
from tasks.reporting.markdown import out_of, table

HEADS = (
    "Version",
    "Parts",
    "Wrong in the check",
    "Estimate",
    "At most",
    "Still to check",
    "Missing for the accepted share",
)
NAMES = {"passed": "passed, and defective", "rejected": "rejected, and good"}
LEAD = (
    "People look at a random share of the parts that a version passed or rejected, and do not know the decision. The estimate is for all "
    "parts of the weeks of which enough is checked. With the confidence of the settings no more than the bound are wrong."
)


def production_section(facts: Sequence[ProductionFacts]) -> str:
    """Return the section on what spot checks show, as Markdown; "" where nothing was checked."""
    rows = [
        row_of(version, name, rate)
        for version in facts
        for name, rate in (("passed", version.passed), ("rejected", version.rejected))
    ]
    return f"{LEAD}\n\n{table(HEADS, rows)}" if rows else ""


def row_of(version: ProductionFacts, name: str, rate: ErrorRate) -> tuple[str, ...]:
    """Return the cells of one decision of a version."""
    return (
        "all" if version.version is None else str(version.version),
        NAMES[name],
        out_of(rate.wrong, rate.checked),
        *("" if share is None else f"{share:.1%}" for share in (rate.rate, rate.bound)),
        f"{rate.waiting:,}",
        "" if rate.more is None or name == "rejected" else f"{rate.more:,} parts without a defect",
    )


def production_metrics(facts: ProductionFacts) -> dict[str, float]:
    """Return the figures of a version as metrics of its run in MLflow; nothing of a decision of which too little is checked."""
    return {
        f"production.{name}.{figure}": float(value)
        for name, rate in (("passed", facts.passed), ("rejected", facts.rejected))
        for figure, value in (("checked", rate.checked), ("wrong_share", rate.rate), ("wrong_share_bound", rate.bound))
        if value is not None
    }
