"""Judging: stored images looked at by a network, and what a decision says of them."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tasks.evaluation.metrics import Prediction
from tasks.images import loading
from tasks.inference import forward, model_folder
from tasks.inference.decision import Decision, Evidence
from tasks.inference.predictor import Predictor
from tasks.inference.runtimes import Network
from tasks.records.rows import Row
from tasks.settings.model_specs import ViewName
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.result_cache import cached_map

UNSEEN = 0.5  # the probability of a part that the network could not see: as likely the one as the other


def collect_evidence(
    network: Network, rows: Sequence[Row], view: ViewName, image_size: int, places: Places
) -> list[Evidence]:
    """What decides about each image, in order: the one pass of the network."""
    seen = loading.load_inputs(rows, view, image_size, places)
    return forward.evidence(network, seen.levels, seen.residuals, seen.glances)


def judge(rows: Sequence[Row], seen: Sequence[Evidence], decision: Decision) -> list[Prediction]:
    """A prediction for each row, in their order."""
    predictions = []
    for row, said in zip(rows, decision.judge(seen), strict=True):
        chance = UNSEEN if said.probability is None else said.probability
        predictions.append(prediction(row, chance, said.decision, said.reason))
    return predictions


def prediction(row: Row, chance: float, decision: str, reason: str) -> Prediction:
    return Prediction(row.path, row.sha256, row.split, row.origin, row.label, row.group, chance, decision, reason)


def judge_by(digest: str, rows: Sequence[Row], places: Places) -> list[Prediction]:
    """What the released model in the folder of this digest says of the rows today; of each content it is asked once.

    Raises BadInput when the folder is damaged.
    """
    by_content = {row.sha256: row for row in rows}
    model = cache(
        lambda: Predictor(model_folder.path(digest, places))
    )  # loaded once, and only if there is something to ask

    def asked(contents: list[str]) -> list[bytes]:
        some, told = [by_content[sha256] for sha256 in contents], model().decision
        said = judge(some, collect_evidence(model().network, some, told.view, told.image_size, places), told)
        return [json.dumps([one.defect_probability, one.decision, one.reason]).encode() for one in said]

    answers = cached_map(
        f"judged by {digest}", code_digest(Path(__file__)), [row.sha256 for row in rows], asked, places
    )
    return [prediction(row, *json.loads(answer)) for row, answer in zip(rows, answers, strict=True)]
