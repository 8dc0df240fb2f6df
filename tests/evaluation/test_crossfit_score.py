"""Crossfit score: every image counts once, in all, in its fold, in its origin, and in its part."""

from out_of_fold import CLASSES, JUDGED

from tasks.evaluation.crossfit_score import list_part_errors, score_out_of_fold
from tasks.records.rows import Prediction
from tasks.settings.settings import EvaluationSettings
from tasks.storage.tables import read_table


def test_folds_are_in_the_order_of_their_numbers_and_origins_have_their_own_scores(places):
    result = score_out_of_fold(JUDGED, CLASSES, EvaluationSettings(), places)
    assert [fold.images for fold in result.folds] == [1, 3, 2]
    assert {origin: score.images for origin, score in result.slices.items()} == {"base": 3, "line 2": 3}
    assert (result.score.missed_defects, result.score.false_rejects, result.score.images) == (2, 1, 6)
    assert result.score.decided.review.parts == 4
    assert read_table(result.predictions.path(places), Prediction) == JUDGED


def test_parts_with_errors_are_listed_the_worst_first():
    assert [
        (part.part, part.label, part.errors, part.images, part.first) for part in list_part_errors(JUDGED, CLASSES)
    ] == [
        ("b", CLASSES.defect, 2, 2, "b/0"),
        ("d", CLASSES.good, 1, 2, "d/0"),
    ]
    assert list_part_errors([image._replace(group="") for image in JUDGED], CLASSES) == [], "no part is known"
