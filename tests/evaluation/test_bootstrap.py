"""Bootstrap: castings are counted as by hand, and the intervals are wider for fewer castings."""

import numpy as np

from tasks.evaluation.bootstrap import casting_intervals
from tasks.settings.settings import EvaluationSettings

SETTINGS = EvaluationSettings()


def count_castings(groups: list[str], defect: list[int], missed: list[int], refused: list[int], settings=SETTINGS):
    return casting_intervals(groups, *(np.array(one, bool) for one in (defect, missed, refused)), settings=settings)


def test_the_castings_behind_each_count_are_counted():
    found = count_castings(list("aabbcc"), [1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0])
    assert (found.defective, found.good, found.missed, found.refused) == (2, 2, 1, 1)


def test_where_castings_are_not_known_there_is_nothing_to_say():
    assert count_castings(["", ""], [1, 0], [0, 0], [0, 0]) is None
    assert count_castings([], [], [], []) is None


def test_mistakes_of_one_casting_move_the_rate_further_than_scattered_ones():
    groups = [f"{number // 10:02d}" for number in range(200)]
    together, scattered = [int(number < 10) for number in range(200)], [int(number % 20 == 0) for number in range(200)]
    defect, none = [1] * 200, [0] * 200
    wide = count_castings(groups, defect, together, none).escape_rate_interval
    narrow = count_castings(groups, defect, scattered, none).escape_rate_interval
    assert wide.low == 0 < narrow.low < 0.05 < narrow.high < wide.high
    accuracy = count_castings(groups, defect, together, none).accuracy_interval
    assert np.allclose([accuracy.low, accuracy.high], [1 - wide.high, 1 - wide.low])


def test_a_class_that_is_not_there_has_no_interval():
    found = count_castings(list("ab"), [1, 1], [1, 0], [0, 0])
    assert found.false_reject_rate_interval is None
    assert (found.escape_rate_interval.low, found.escape_rate_interval.high) == (0, 1)


def test_equal_seeds_draw_equal_castings():
    case = (list("abcdefghij"), [1] * 10, [1, 0] * 5, [0] * 10)
    other = EvaluationSettings(seed=1, resamples=200)
    assert count_castings(*case) == count_castings(*case)
    assert count_castings(*case, settings=other) != count_castings(
        *case, settings=EvaluationSettings(seed=2, resamples=101)
    )
