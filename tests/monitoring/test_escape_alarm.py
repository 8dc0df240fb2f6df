"""Escape alarm: it errs rarely however often it is asked, and it notices a jump."""

import numpy as np
import pytest

from tasks.monitoring.escape_alarm import BLOCK, FACTORS, log_capital, watch_escapes


def test_before_the_first_check_nothing_is_suspect():
    state = watch_escapes([], 0.02)
    assert (state.checked, state.escapes, state.evidence, state.is_suspect) == (0, 0, 1.0, False)


def test_good_parts_alone_never_raise_it():
    capital = log_capital(np.zeros(5_000, bool), 0.02)
    assert (capital <= 0).all() and np.isfinite(capital).all()


def test_the_capital_is_the_mean_of_the_bets_and_of_what_has_not_begun():
    hits = np.array([True, False, True])
    shares = FACTORS * 0.02
    bets = (shares / 0.02) ** 2 * (1 - shares) / 0.98
    assert np.exp(log_capital(hits, 0.02)[-1]) == pytest.approx(0.5 * bets.mean() + 0.5)


def test_the_expected_capital_is_one_while_the_accepted_share_is_true():
    """Exact, over all sequences of a few parts."""
    accepted, length = 0.3, 8
    sequences = (np.arange(2**length)[:, None] >> np.arange(length)) & 1
    chances = np.prod(np.where(sequences, accepted, 1 - accepted), axis=1)
    capital = np.exp([log_capital(hits.astype(bool), accepted)[-1] for hits in sequences])
    assert chances @ capital == pytest.approx(1)
    fewer = np.prod(np.where(sequences, 0.2, 0.8), axis=1)
    assert fewer @ capital < 1


def test_a_year_of_the_accepted_share_is_rarely_suspect():
    random = np.random.default_rng(1)
    alarms = sum(watch_escapes(random.random(1_040) < 0.02, 0.02).is_suspect for _ in range(300))
    assert alarms <= 0.08 * 300


def test_a_jump_is_noticed_though_good_months_came_before():
    hits = np.concatenate([np.zeros(40 * BLOCK, bool), np.tile([False, False, False, True], 60)])
    state = watch_escapes(hits, 0.02)
    assert state.is_suspect and 40 * BLOCK < state.alarm_after < 40 * BLOCK + 60
    assert state.evidence >= 20 and state.checked == len(hits) and state.escapes == 60


def test_the_alarm_stays_once_it_went_off():
    hits = np.concatenate([np.ones(20, bool), np.zeros(5_000, bool)])
    state = watch_escapes(hits, 0.02)
    assert state.is_suspect and state.evidence < 20
