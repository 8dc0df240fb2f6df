"""Gates: make pairs of decisions about the same images, for the tests of the comparison and of the promotion rules."""

from tasks.evaluation.comparison import Pair
from tasks.records.rows import Prediction


def make_prediction(decision: str, label: str, group: str, origin: str = "base") -> Prediction:
    return Prediction(f"{group}.jpeg", "aa", "test", origin, label, group, 0.5, decision, "", "between_limits")


def make_pairs(
    candidate: str, champion: str, count: int, label: str = "def_front", origin: str = "base", each: int = 1
):
    """So many castings of this label, each on `each` images that the two decide about like this."""
    return [
        Pair(*(make_prediction(one, label, f"{origin} {label} {candidate} {champion} {number}", origin) for one in (candidate, champion)))
        for number in range(count)
        for _ in range(each)
    ]  # fmt: skip
