"""Production: what was judged at the stations, week by week."""

from labeling.answers import answer
from monitoring.test_spot_checks import judged

from tasks.monitoring.batch_scoring import COLUMNS, FIRST_COLUMNS
from tasks.monitoring.production import (
    FoundErrors,
    found_errors,
    judged_photographs,
    sum_weeks,
    week_of,
    weekly_counts,
    weekly_means,
)
from tasks.storage.tables import write_rows


def write(places, folder: str, name: str, decisions: list[tuple[str, str]], columns=COLUMNS) -> None:
    rows = [
        {
            "path": f"{number}.png",
            "sha256": f"{number:064x}",
            "decision": decision,
            "judged": time,
            "cause": "below_limit",
        }
        for number, (decision, time) in enumerate(decisions)
    ]
    path = places.artifacts / "judged" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, rows, columns)


FIRST, SECOND = "2026-12-01T06:00:00+00:00", "2026-12-08T06:00:00+00:00"
TABLE = "version-1-0123456789ab.csv"


def test_weeks_stations_and_versions_are_counted_apart(places):
    write(places, "a/line-1", TABLE, [("pass", FIRST), ("review", FIRST), ("reject", SECOND)])
    write(places, "a/line-2", TABLE, [("pass", FIRST)], FIRST_COLUMNS)
    write(places, "a/line-1", "version-2-0123456789ab.csv", [("pass", SECOND)])
    counts = [(*row.key, *row[1:]) for row in weekly_counts(judged_photographs(places))]
    assert counts == [
        ("2026-W49", "line-1", 1, 2, 1, 1, 0),
        ("2026-W49", "line-2", 1, 1, 1, 0, 0),
        ("2026-W50", "line-1", 1, 1, 0, 0, 1),
        ("2026-W50", "line-1", 2, 1, 1, 0, 0),
    ]
    assert [row.judged for row in sum_weeks(weekly_counts(judged_photographs(places)))] == [3, 2]
    judged = judged_photographs(places)
    assert {version: len(rows) for version, rows in judged.items()} == {1: 4, 2: 1}
    assert {row.station for row in judged[1]} == {"line-1", "line-2"}


def test_a_table_that_cannot_be_read_costs_itself_alone(places, capsys):
    write(places, "line-1", TABLE, [("pass", FIRST)])
    other = places.artifacts / "judged/line-2" / TABLE
    other.parent.mkdir(parents=True)
    other.write_text("something else\n")
    assert len(weekly_counts(judged_photographs(places))) == 1
    assert len(judged_photographs(places)[1]) == 1
    assert "is not a table of judged images" in capsys.readouterr().out


def test_a_table_that_grew_is_counted_anew(places):
    write(places, "line-1", TABLE, [("pass", FIRST)])
    assert weekly_counts(judged_photographs(places))[0].judged == 1
    write(places, "line-1", TABLE, [("pass", FIRST)] * 3)
    assert weekly_counts(judged_photographs(places))[0].judged == 3


def test_a_year_begins_with_its_first_iso_week():
    assert week_of("2027-01-01T00:00:00+00:00") == "2026-W53"
    assert week_of("yesterday") == ""


def test_what_people_found_is_counted_by_the_model_s_answer():
    labels = [
        answer(1, f"{1:064x}", "defect", model_answer="pass"),
        answer(2, f"{2:064x}", "good", model_answer="reject"),
        answer(3, f"{3:064x}", "good", model_answer="pass"),
        answer(4, f"{4:064x}", "defect", model_answer="review"),
        answer(5, f"{5:064x}", "cannot_tell", model_answer="pass"),
    ]
    assert found_errors(labels) == {("2026-W49", "line-3"): FoundErrors(3, 1, 1)}


def test_measures_are_means_of_the_week_and_older_tables_have_none():
    photographs = {
        1: [judged(1, brightness=100.0, distance=0.5), judged(2, brightness=110.0)],
        2: [judged(3, brightness=60.0, week="2026-W48"), judged(4, week="")],
    }
    assert weekly_means(photographs, "brightness") == {"2026-W48": 60.0, "2026-W49": 105.0}
    assert weekly_means(photographs, "distance") == {"2026-W49": 0.5}
