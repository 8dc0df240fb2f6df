"""Shadow: a waiting version is held against the model in use where they differ, and by what people say there."""

import pytest
from labeling.answers import answer

from tasks.monitoring.batch_scoring import COLUMNS, table_name
from tasks.monitoring.shadow import compare_at_stations, rows_decided_otherwise, rows_of_both
from tasks.settings.settings import Classes, EvaluationSettings
from tasks.storage.tables import write_rows
from tasks.tracking.registry import Version

OLD, NEW = (
    Version(number=number, model=f"{number}" * 64, run_id="r", reason="", champion_before=None, tracked="t")
    for number in (1, 2)
)


def row(number: int, decision: str, **values: object) -> dict[str, object]:
    return {
        "path": f"{number}.png", "sha256": f"{number:064x}", "decision": decision, "defect_probability": 0.4, "reason": "",
        "cause": "between_limits", "judged": "2026-12-01T06:00:00+00:00", "station": "s", "part": "",
    } | values  # fmt: skip


def test_only_what_both_judged_differently_is_a_difference():
    champion = [row(1, "pass"), row(2, "pass"), row(4, "review")]
    challenger = [row(1, "pass"), row(2, "reject"), row(3, "reject"), row(2, "reject", path="twin.png")]
    assert [found["sha256"] for found in rows_decided_otherwise(champion, challenger)] == [f"{2:064x}"]


def test_the_tables_of_both_are_joined_by_content(places):
    for place, version, rows in (
        ("judged", OLD, [row(1, "pass"), row(2, "pass")]),
        ("shadow", NEW, [row(2, "reject"), row(3, "pass")]),
    ):
        folder = places.artifacts / place / "line/station"
        folder.mkdir(parents=True)
        write_rows(folder / table_name(version), rows, COLUMNS)
    champion, challenger = rows_of_both(OLD, NEW, places)
    assert [found["decision"] for found in champion] == ["pass"]
    assert [found["decision"] for found in challenger] == ["reject"]


def test_without_tables_nothing_was_judged_by_both(places):
    assert rows_of_both(OLD, NEW, places) == ([], [])


@pytest.mark.parametrize(("part", "unit"), [("p", 1), ("", None)])
def test_what_people_say_of_the_differences_is_what_counts(part, unit):
    champion = [row(1, "pass", part=part), row(2, "pass", part=part), row(3, "pass"), row(4, "pass")]
    challenger = [row(1, "reject", part=part), row(2, "reject", part=part), row(3, "reject"), row(4, "pass")]
    labels = [answer(1, f"{1:064x}", "defect"), answer(2, f"{2:064x}", "defect"), answer(3, f"{4:064x}", "defect")]
    result = compare_at_stations(champion, challenger, labels, Classes(), EvaluationSettings())
    assert (result.judged, result.different, result.answered) == (4, 3, 2)
    assert result.comparison.castings == unit
    assert result.comparison.candidate_cost == 0 and result.comparison.champion_cost == EvaluationSettings().escape_cost
    assert compare_at_stations(champion, challenger, [], Classes(), EvaluationSettings()).comparison is None
