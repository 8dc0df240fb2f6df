"""Scoring: run a network over stored images, and decide about them."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import compress
from pathlib import Path
from typing import cast

import numpy as np

from tasks.images import loading
from tasks.inference import forward, model_folder
from tasks.inference.calibration import probability
from tasks.inference.decision import DecisionRule, Evidence, ImageDecision
from tasks.inference.predictor import Predictor
from tasks.inference.runtimes import Network
from tasks.records.results import OutOfFold
from tasks.records.rows import Cause, DecisionName, OutOfFoldRow, Prediction, Row
from tasks.settings.crops import Crop
from tasks.settings.model_specs import InputSize, ViewName
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.result_cache import cached_map
from tasks.storage.tables import read_table

BLOCK = 512  # images in memory at a time
UNSEEN = 0.5  # the probability of a part that the network could not see: as likely the one as the other


def collect_evidence(
    network: Network,
    rows: Sequence[Row],
    view: ViewName,
    image_size: InputSize,
    places: Places,
    crop: Crop | None = None,
) -> list[Evidence]:
    """Run the network once over the `crop` of each image, and return the evidence in order. Raises BadInput when one cannot be read."""
    evidence: list[Evidence] = []
    for start in range(0, len(rows), BLOCK):
        inputs = loading.load_inputs(rows[start : start + BLOCK], view, image_size, places, crop)
        evidence += forward.evidence(network, inputs.levels, inputs.residuals, inputs.small_squares)
    return evidence


def judge(rows: Sequence[Row], images: Sequence[Evidence], rule: DecisionRule) -> list[Prediction]:
    """Return a prediction for each row, in order."""
    return [
        prediction(row, UNSEEN if chance is None else chance, name, reason, cause)
        for row, (name, cause, reason, chance) in zip(rows, rule.judge(images), strict=True)
    ]


def judge_unseen(
    rows: Sequence[Row],
    images: Sequence[Evidence],
    rule: DecisionRule,
    out_of_fold: OutOfFold | None,
    places: Places,
) -> list[Prediction]:
    """Return the predictions about images of which no network trained on the part that judged them.

    With cross-fitting these are all images, out of fold. Without it they are those that validate.
    """
    if out_of_fold:
        return decide_out_of_fold(read_table(out_of_fold.judged.path(places), OutOfFoldRow), rule)
    validation = [row.split == "validation" for row in rows]
    return judge(list(compress(rows, validation)), list(compress(images, validation)), rule)


def decide_out_of_fold(rows: Sequence[OutOfFoldRow], rule: DecisionRule) -> list[Prediction]:
    """Return a prediction for each image out of fold, by the temperature and the limits of `rule`.

    What a person must look at, however probable a defect is, stays with the network that judged the image.
    """
    chances = probability(np.array([row.margin for row in rows]), rule.temperature).tolist()
    return [
        Prediction(
            row.path, row.sha256, f"fold {row.fold}", row.origin, row.label, row.group, chance,
            decision.name, decision.reason, decision.cause, row.kind,
        )
        for row, chance in zip(rows, chances, strict=True)
        for decision in [
            ImageDecision("review", cast(Cause, row.review_cause), row.reason)
            if row.review_cause
            else rule.decide_by_probability(chance)
        ]
    ]  # fmt: skip


def prediction(row: Row, chance: float, decision: DecisionName, reason: str, cause: Cause) -> Prediction:
    """Return the prediction for a row, given the probability of a defect."""
    return Prediction(
        row.path, row.sha256, row.split, row.origin, row.label, row.group, chance, decision, reason, cause, row.kind
    )


def judge_by(digest: str, rows: Sequence[Row], places: Places) -> list[Prediction]:
    """Judge the rows with the released model of this digest, with today's code; equal contents are judged once and kept.

    Raises BadInput when the model is needed and its folder is damaged.
    """
    by_content = {row.sha256: row for row in rows}
    # loaded once, and only if there is something to judge
    model = cache(lambda: Predictor(model_folder.path(digest, places)))

    def judge_contents(contents: list[str]) -> list[bytes]:
        new_rows, rule = [by_content[sha256] for sha256 in contents], model().rule
        evidence = collect_evidence(model().network, new_rows, rule.view, rule.image_size, places, rule.crop)
        return [
            json.dumps([image.defect_probability, image.decision, image.reason, image.cause]).encode()
            for image in judge(new_rows, evidence, rule)
        ]

    answers = cached_map(
        f"judged by {digest}", code_digest(Path(__file__)), [row.sha256 for row in rows], judge_contents, places
    )
    return [prediction(row, *json.loads(answer)) for row, answer in zip(rows, answers, strict=True)]
