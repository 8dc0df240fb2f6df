"""Out of fold: a few judgments of three folds, two origins and four parts, for tests of their scores and of the report."""

from tasks.records.rows import Prediction
from tasks.settings.settings import Classes

CLASSES = Classes()


def make_prediction(
    fold: int, part: str, label: str, chance: float, number: int = 0, origin: str = "base"
) -> Prediction:
    return Prediction(
        path=f"{part}/{number}", sha256=f"{part}-{number}", split=f"fold {fold}", origin=origin, label=label, group=part,
        defect_probability=chance, decision="review", reason="", cause="between_limits",
    )  # fmt: skip


JUDGED = [
    make_prediction(2, "a", CLASSES.defect, 0.9),
    make_prediction(10, "b", CLASSES.defect, 0.1),
    make_prediction(10, "b", CLASSES.defect, 0.2, 1),
    make_prediction(1, "c", CLASSES.good, 0.1, origin="line 2"),
    make_prediction(2, "d", CLASSES.good, 0.7, origin="line 2"),
    make_prediction(2, "d", CLASSES.good, 0.3, 1, origin="line 2"),
]
