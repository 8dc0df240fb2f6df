"""Escape alarm: no bet gains on average where the limit holds, false alarms are rare however often one looks, and a change is found."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.monitoring.escape_alarm import ALPHA, evidence, watch_escapes

LIMITS = st.floats(0.001, 0.9)


def draw_sequences(share: float, parts: int, runs: int = 2_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, parts]).random((runs, parts)) < share


def alarms(defective: np.ndarray, limit: float) -> float:
    return float(np.mean(evidence(defective, limit).max(axis=-1) >= 1 / ALPHA))


@given(LIMITS, st.floats(0, 1), st.integers(1, 8))
def test_no_bet_gains_on_average_where_the_share_is_within_the_limit(limit, factor, parts):
    share = limit * factor
    sequences = np.array(list(product([False, True], repeat=parts)))
    chances = np.prod(np.where(sequences, share, 1 - share), axis=1)
    capital = evidence(sequences, limit)
    assert np.all(capital > 0)
    means = chances @ capital
    assert np.all(means <= 1 + 1e-9)
    assert np.all(np.diff(means) <= 1e-9)
    if factor == 1:
        assert means == pytest.approx(1), "a martingale at the limit itself"


@given(st.lists(st.booleans(), max_size=7), LIMITS)
def test_no_past_makes_the_next_bet_a_good_one(past, limit):
    """So the chance of each part may depend on all before it."""
    before = evidence(np.array(past), limit)[-1] if past else 1.0
    good, defective = (evidence(np.array([*past, flag]), limit)[-1] for flag in (False, True))
    assert good <= before <= defective
    assert limit * defective + (1 - limit) * good == pytest.approx(before)


@given(st.lists(st.booleans(), min_size=1, max_size=60), LIMITS, LIMITS)
def test_a_higher_limit_and_a_good_part_more_are_less_evidence(flags, limit, other):
    low, high = sorted((limit, other))
    assert evidence(np.array(flags), high)[-1] <= evidence(np.array(flags), low)[-1] * (1 + 1e-9)
    better = [False, *flags[1:]]
    assert evidence(np.array(better), limit)[-1] <= evidence(np.array(flags), limit)[-1] * (1 + 1e-9)


@pytest.mark.parametrize(("limit", "share"), [(0.01, 0.01), (0.01, 0.005), (0.05, 0.05), (0.2, 0.2), (0.5, 0.5)])
def test_false_alarms_are_rarer_than_promised_although_every_part_is_looked_at(limit, share):
    assert alarms(draw_sequences(share, 1_500), limit) < 0.065, "0.05 is promised, and 2,000 runs scatter by 0.005"


def test_a_good_past_does_not_hide_a_change():
    later = draw_sequences(0.05, 1_000, runs=300)
    for before in (draw_sequences(0.002, 1_000, runs=300), np.zeros((300, 2_000), bool)):
        capital = evidence(np.concatenate([before, later], axis=1), 0.01)
        found = capital[:, before.shape[1] :].max(axis=1) >= 1 / ALPHA
        assert np.mean(found) > 0.97
        assert np.mean(capital[:, : before.shape[1]].max(axis=1) >= 1 / ALPHA) < 0.05


def test_the_alarm_says_after_how_many_parts_and_stays():
    flags = [False] * 10 + [True] * 5 + [False] * 800
    alarm = watch_escapes(flags, 0.02)
    assert 10 < alarm.alarm_after <= 15
    assert (alarm.checked, alarm.escapes, alarm.is_suspect) == (815, 5, True)
    assert alarm.evidence < 1, "what came later speaks against it"
    sooner = watch_escapes(flags[: alarm.alarm_after], 0.02)
    assert sooner.alarm_after == alarm.alarm_after and sooner.evidence >= 20
    assert not watch_escapes(flags[: alarm.alarm_after - 1], 0.02).is_suspect


def test_a_smaller_chance_of_false_alarms_takes_more_parts():
    assert watch_escapes([True] * 10, 0.1, 0.001).alarm_after > watch_escapes([True] * 10, 0.1, 0.05).alarm_after


def test_without_a_checked_part_nothing_is_known():
    alarm = watch_escapes([], 0.01)
    assert (alarm.checked, alarm.escapes, alarm.evidence, alarm.is_suspect) == (0, 0, 1, False)


def test_defects_without_end_overflow_nothing():
    assert np.all(np.isfinite(evidence(np.ones(3_000, bool), 0.001)))


def test_mapie_agrees_and_takes_longer():
    """RiskMonitoring bounds the risk from below at all times (Podkopaev and Ramdas, 2022): valid too, for losses of any kind."""
    from mapie.exchangeability_testing import RiskMonitoring

    def found_after(flags: np.ndarray) -> float:
        # It keeps half of the level for a threshold that is estimated, and here it is given.
        monitor = RiskMonitoring("accuracy", test_level=2 * ALPHA, threshold=0.05, warn=False)
        monitor.update(np.zeros(len(flags), int), flags.astype(int))
        above = np.flatnonzero(monitor.online_risk_lower_bound_sequence_history > 0.05)
        return above[0] + 1 if len(above) else np.inf

    def ours_after(flags: np.ndarray) -> float:
        return watch_escapes(flags, 0.05).alarm_after or np.inf

    fine, bad = draw_sequences(0.03, 1_000, runs=20), draw_sequences(0.2, 500, runs=20)
    assert sum(found_after(flags) < np.inf for flags in fine) <= 4
    assert sum(ours_after(flags) < np.inf for flags in fine) <= 4
    theirs, ours = (np.median([found(flags) for flags in bad]) for found in (found_after, ours_after))
    assert ours < theirs < 500
