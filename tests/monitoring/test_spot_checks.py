"""Spot checks: drawn by lot and secret, by part, and what they show about production is neither too good nor too certain."""

import numpy as np
import pytest
from labeling.answers import answer

from tasks.monitoring.spot_checks import (
    draw,
    estimate_errors,
    lot,
    parts_by_stratum,
    spot_check_secret,
    summarize,
)
from tasks.settings.settings import SpotCheckSettings

SECRET = b"secret"
FEW = SpotCheckSettings(share=0.0, least_a_week=5)


def judged(number: int, decision: str = "pass", **values: object) -> dict[str, object]:
    row = {
        "path": f"{number}.png", "sha256": f"{number:064x}", "decision": decision, "judged": "2026-12-01T06:00:00+00:00",
        "station": "s", "part": "",
    }  # fmt: skip
    return row | values


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
    drawn = draw(rows, SECRET, SpotCheckSettings(share=0.1, least_a_week=5))
    assert {stratum.decision for stratum in drawn} == {"pass", "reject"}
    for parts in drawn.values():
        assert all(lot(part, SECRET) < 0.1 for part in parts)
        assert parts == sorted(parts, key=lambda part: lot(part, SECRET))
    assert 100 < sum(map(len, drawn.values())) < 300
    assert [len(parts) for parts in draw(rows, SECRET, FEW).values()] == [5, 5]


def test_what_was_drawn_by_the_share_stays_drawn_when_more_arrives():
    rows = [judged(number) for number in range(500)]
    settings = SpotCheckSettings(share=0.05, least_a_week=0)
    (first,) = draw(rows[:200], SECRET, settings).values()
    (later,) = draw(rows, SECRET, settings).values()
    assert set(first) <= set(later)


def test_photographs_of_one_part_are_drawn_together_and_pass_if_one_passes():
    rows = [judged(1, "reject", part="p"), judged(2, "pass", part="p"), judged(3, "pass", part="q", station="other")]
    strata = parts_by_stratum(rows)
    assert {(key.station, key.decision): parts for key, parts in strata.items()} == {
        ("s", "pass"): ["s/p"],
        ("other", "pass"): ["other/q"],
    }


def test_the_estimate_counts_drawn_parts_alone_and_each_week_by_its_size():
    rows = [judged(number) for number in range(100)]
    rows += [judged(200 + number, judged="2026-12-09T06:00:00+00:00") for number in range(300)]
    drawn = draw(rows, SECRET, FEW)
    first, second = sorted(drawn, key=lambda stratum: stratum.week)
    wrong = drawn[first][0]
    labels = [answer(int(part, 16), part, "good", queue="spot_check") for parts in drawn.values() for part in parts]
    labels += [answer(10_000, wrong, "defect", queue="spot_check")]
    undrawn = next(row["sha256"] for row in rows if row["sha256"] not in drawn[first] + drawn[second])
    labels += [
        answer(10_001, undrawn, "defect", queue="spot_check"),
        answer(10_002, drawn[second][0], "defect", queue="review"),
    ]
    rate = estimate_errors(rows, labels, "pass", SECRET, FEW)
    assert (rate.decided, rate.checked, rate.wrong) == (400, 10, 1)
    assert rate.rate == pytest.approx(0.25 * 1 / 5)
    assert rate.rate < rate.bound < 1


def test_a_good_part_that_was_rejected_is_a_false_reject():
    rows = [judged(1, "reject"), judged(2, "reject")]
    labels = [
        answer(1, rows[0]["sha256"], "good", queue="spot_check"),
        answer(2, rows[1]["sha256"], "defect", queue="spot_check"),
    ]
    assert estimate_errors(rows, labels, "reject", SECRET, FEW).rate == 0.5


def test_without_a_check_nothing_is_known():
    rate = estimate_errors([judged(1)], [], "pass", SECRET, FEW)
    assert (rate.decided, rate.checked, rate.rate, rate.bound, rate.more) == (1, 0, None, None, None)
    assert estimate_errors([], [], "pass", SECRET, FEW).decided == 0


def test_the_bound_of_equal_weeks_is_exact_and_says_how_many_are_missing():
    settings = SpotCheckSettings(max_wrong_share=0.05)
    rate = summarize(np.array([100.0, 100.0]), np.array([10.0, 10.0]), np.array([0.0, 0.0]), settings)
    assert rate.bound == pytest.approx(1 - 0.05 ** (1 / 20))
    assert rate.more == 59 - 20


def test_the_bound_holds_in_nearly_all_productions():
    random, held = np.random.default_rng(0), 0
    sizes, checks, truth = np.array([1_000.0, 200.0, 50.0]), np.array([20.0, 20.0, 20.0]), np.array([0.02, 0.05, 0.2])
    share = float((sizes * truth).sum() / sizes.sum())
    for _ in range(400):
        wrong = random.binomial(checks.astype(int), truth).astype(float)
        held += summarize(sizes, checks, wrong, SpotCheckSettings()).bound >= share
    assert held >= 0.93 * 400
