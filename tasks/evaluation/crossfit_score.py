"""Crossfit score: score the images that networks judged which never saw their parts, in all, by fold, by origin and by part."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tasks.dataset.corrections import Correction
from tasks.evaluation.label_suspects import correction_of, find_suspects
from tasks.evaluation.metrics import score
from tasks.records.results import Crossfit, PartErrors, Score
from tasks.records.rows import NO_PROBABILITY, Prediction, Suspect
from tasks.settings.settings import Classes, EvaluationSettings, Places
from tasks.storage.tables import store_table


def score_out_of_fold(
    predictions: Sequence[Prediction], classes: Classes, settings: EvaluationSettings, places: Places
) -> Crossfit:
    """Score the predictions, whose splits are `fold N`, and store them and the images whose label is probably wrong."""

    def scores_by(key: Callable[[Prediction], str]) -> dict[str, Score]:
        images: dict[str, list[Prediction]] = defaultdict(list)
        for prediction in predictions:
            images[key(prediction)].append(prediction)
        return {name: score(part, classes, settings) for name, part in images.items()}

    suspects = find_suspects(predictions, classes)
    folds = scores_by(lambda prediction: prediction.split)
    return Crossfit(
        predictions=store_table("out-of-fold-predictions", predictions, Prediction, places),
        score=score(predictions, classes, settings),
        folds=tuple(folds[name] for name in sorted(folds, key=lambda name: int(name.split()[1]))),
        slices=scores_by(lambda prediction: prediction.origin),
        worst=tuple(list_part_errors(predictions, classes)),
        suspects=store_table("suspects", suspects, Suspect, places),
        corrections=store_table("suspect-corrections", map(correction_of, suspects), Correction, places),
        suspected_images=len(suspects),
        suspected_parts=len({suspect.group or suspect.sha256 for suspect in suspects}),
    )


def list_part_errors(predictions: Iterable[Prediction], classes: Classes) -> list[PartErrors]:
    """Return the parts with an image at the wrong most likely class, those with the most errors first.

    An image that shows the network nothing is no error. Where parts are not known, there is none.
    """
    images: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if prediction.group and prediction.cause not in NO_PROBABILITY:
            images[prediction.group, prediction.label].append(prediction)
    errors = []
    for (part, label), judged in images.items():
        wrong = [image for image in judged if (image.defect_probability >= 0.5) != (label == classes.defect)]
        if wrong:
            errors.append(
                PartErrors(part=part, label=label, images=len(judged), errors=len(wrong), first=wrong[0].path)
            )
    return sorted(errors, key=lambda row: (-row.errors, row.part))
