"""Spot checks: drawn by lot and secret, by part."""

import numpy as np

from tasks.monitoring.production import JudgedPhotograph
from tasks.monitoring.spot_checks import (
    Stratum,
    draw,
    drawn_parts,
    load_settings,
    lot,
    parts_by_stratum,
    save_settings,
    spot_check_secret,
)
from tasks.settings.settings import SpotCheckSettings

SECRET = b"secret"
FEW = SpotCheckSettings(share=0.0, least_a_week=5)


def judged(number: int, decision: str = "pass", **values: object) -> JudgedPhotograph:
    return JudgedPhotograph(f"{number:064x}", "s", "", "2026-W49", decision)._replace(**values)


def test_lots_are_uniform_and_follow_from_secret_and_part_alone():
    lots = np.array([lot(str(number), SECRET) for number in range(4_000)])
    assert lots.min() >= 0 and lots.max() < 1
    assert abs(lots.mean() - 0.5) < 0.03 and abs((lots < 0.02).mean() - 0.02) < 0.01
    assert lot("1", SECRET) == lots[1] != lot("1", b"another")


def test_the_secret_stays(places):
    assert spot_check_secret(places) == spot_check_secret(places)


def test_a_share_of_each_decision_is_drawn_and_at_least_so_many_a_week():
    rows = [judged(number, "pass" if number % 4 else "reject") for number in range(2_000)]
    rows += [judged(5_000 + number, "review") for number in range(100)]
    strata, settings = parts_by_stratum(rows), SpotCheckSettings(share=0.1, least_a_week=5)
    assert {stratum.decision for stratum in strata} == {"pass", "reject"}
    for parts in strata.values():
        drawn = draw(parts, SECRET, settings)
        assert all(lot(part, SECRET) < 0.1 for part in drawn)
        assert drawn == sorted(drawn, key=lambda part: lot(part, SECRET))
    assert 100 < len(drawn_parts(rows, SECRET, settings)) < 300
    assert [len(draw(parts, SECRET, FEW)) for parts in strata.values()] == [5, 5]


def test_what_was_drawn_by_the_share_stays_drawn_when_more_arrives():
    rows = [judged(number) for number in range(500)]
    settings = SpotCheckSettings(share=0.05, least_a_week=0)
    first, later = (drawn_parts(arrived, SECRET, settings) for arrived in (rows[:200], rows))
    assert first < later


def test_photographs_of_one_part_are_drawn_together_and_pass_if_one_passes():
    rows = [judged(1, "reject", part="p"), judged(2, "pass", part="p"), judged(3, "pass", part="q", station="other")]
    assert parts_by_stratum(rows) == {
        Stratum("s", "2026-W49", "pass"): ["s/p"],
        Stratum("other", "2026-W49", "pass"): ["other/q"],
    }


def test_a_file_that_was_too_large_to_be_read_is_not_drawn():
    assert parts_by_stratum([judged(1, sha256="")]) == {}


def test_the_settings_of_the_last_judging_are_those_of_the_estimate(places, capsys):
    assert load_settings(places) == SpotCheckSettings()
    save_settings(FEW, places)
    assert load_settings(places) == FEW
    path = places.artifacts / "spot_checks.json"
    before = path.stat().st_mtime_ns
    save_settings(FEW, places)
    assert path.stat().st_mtime_ns == before
    path.write_text("{")
    assert load_settings(places) == SpotCheckSettings()
    assert "spot_checks.json cannot be read" in capsys.readouterr().out
