"""Gates: pairs of judgements for the tests of duels and of the gate."""

from tasks.evaluation.comparison import Pair
from tasks.records.rows import Prediction


def judged(decision: str, label: str, group: str, origin: str = "base") -> Prediction:
    return Prediction(f"{group}.jpeg", "aa", "test", origin, label, group, 0.5, decision, "", "between_limits")


def pairs(candidate: str, champion: str, count: int, label: str = "def_front", origin: str = "base", each: int = 1):
    """So many castings of this label, each on `each` images that the two decide about like this."""
    return [
        Pair(*(judged(one, label, f"{origin} {label} {candidate} {champion} {number}", origin) for one in (candidate, champion)))
        for number in range(count)
        for _ in range(each)
    ]  # fmt: skip
