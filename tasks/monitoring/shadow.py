"""Shadow: how a version that waits for approval decides about the photographs of stations, beside the model in use."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.evaluation.comparison import Pair, PairedComparison, compare
from tasks.labeling.label_log import latest_labels
from tasks.monitoring.batch_scoring import Rows, read, table_name
from tasks.monitoring.production import JUDGED
from tasks.records.rows import LabelRow, Prediction
from tasks.settings.settings import Classes, EvaluationSettings, Places
from tasks.tracking import registry

SHADOW = "shadow"  # folder of the tables below `artifacts` that decide nothing


class StationComparison(NamedTuple):
    """How two versions decided about the same photographs of stations."""

    judged: int
    """Photographs that both judged, equal contents once."""
    different: int
    """So many of them they decided differently."""
    answered: int
    """About so many of these a person said what they show."""
    comparison: PairedComparison | None
    """What the decisions about the answered ones cost, part by part where parts are known; None where there are none."""


def rows_decided_otherwise(champion: Iterable[Mapping[str, Any]], challenger: Iterable[Mapping[str, Any]]) -> Rows:
    """Return the rows of the challenger whose content the champion decided otherwise, each content once."""
    decisions = {row["sha256"]: row["decision"] for row in champion if row["sha256"]}
    rows = {row["sha256"]: dict(row) for row in challenger}
    return [row for sha256, row in rows.items() if sha256 in decisions and decisions[sha256] != row["decision"]]


def rows_of_both(champion: registry.Version, challenger: registry.Version, places: Places) -> tuple[Rows, Rows]:
    """Return the rows of both versions about the photographs that both judged, in the same order, equal contents once.

    Reads the tables below `artifacts/judged` and `artifacts/shadow`.
    """
    shadow, judged = (places.artifacts_root / name for name in (SHADOW, JUDGED))
    pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for table in sorted(shadow.rglob(table_name(challenger))):
        decided = read(judged / table.parent.relative_to(shadow) / table_name(champion))
        rows = {row["sha256"]: row for row in decided if row["sha256"]}
        pairs |= {row["sha256"]: (rows[row["sha256"]], row) for row in read(table) if row["sha256"] in rows}
    return [first for first, _ in pairs.values()], [second for _, second in pairs.values()]


def compare_at_stations(
    champion: Sequence[Mapping[str, Any]],
    challenger: Sequence[Mapping[str, Any]],
    labels: Iterable[LabelRow],
    classes: Classes,
    costs: EvaluationSettings,
) -> StationComparison:
    """Compare the decisions of two versions about the same photographs, as `rows_of_both` returns them.

    Only photographs that are decided differently can tell the versions apart, and people are asked about these. So the comparison of
    costs rests on the answered ones among them.
    """
    pairs = [pair for pair in zip(champion, challenger, strict=True) if pair[0]["decision"] != pair[1]["decision"]]
    answers = {sha256: row for sha256, row in latest_labels(labels).items() if row.label in ("good", "defect")}
    answered = [pair for pair in pairs if pair[0]["sha256"] in answers]
    judged = [
        Pair(candidate=as_prediction(second, label, classes), champion=as_prediction(first, label, classes))
        for first, second in answered
        for label in [answers[first["sha256"]].label]
    ]
    return StationComparison(
        len(champion), len(pairs), len(answered), compare(judged, classes, costs) if judged else None
    )


def as_prediction(row: Mapping[str, Any], label: str, classes: Classes) -> Prediction:
    """Return the row of a judged photograph with the label that a person gave it. The part is the station's, where it is known."""
    part = f"{row.get('station') or ''}/{row['part']}" if row.get("part") else ""
    return Prediction(
        path=row["path"], sha256=row["sha256"], split="", origin=str(row.get("station") or ""),
        label=classes.defect if label == "defect" else classes.good, group=part,
        defect_probability=float(row["defect_probability"] or 0.5), decision=row["decision"],
        reason=row["reason"], cause=row["cause"],
    )  # fmt: skip
