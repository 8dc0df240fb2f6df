"""Crop: a released model looks where the network looked that was evaluated."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from tasks.inference.decision import DecisionRule
from tasks.inference.predictor import Predictor
from tasks.inference.scoring import collect_evidence
from tasks.records.rows import stored_path
from tasks.settings.settings import Classes


class Listens:
    """A network that keeps the levels that it is asked about."""

    def __init__(self) -> None:
        self.levels: list[np.ndarray] = []

    def predict_on_batch(self, levels: np.ndarray) -> dict[str, np.ndarray]:
        self.levels.append(levels)
        return {"logits": np.zeros((len(levels), 2)), "features": np.zeros((len(levels), 3))}


@pytest.mark.parametrize("crop", [None, "part", "0.1,0.2,0.9,0.8"])
@pytest.mark.parametrize(("view", "size"), [("raw", 48), ("detail", (64, 96))])
def test_evaluation_and_prediction_show_the_network_the_same_levels(places, store_images, view, size, crop):
    pixels = np.random.default_rng(1).normal(30, 3, (300, 400)).clip(0, 255).astype(np.uint8)
    pixels[60:160, 150:300] += 120
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    rows = [row._replace(width=400, height=300) for row in store_images(file.getvalue())]
    rule = DecisionRule(classes=Classes(), model="compact", network_sha256="", view=view, image_size=size, crop=crop)
    predictor, heard = Predictor.__new__(Predictor), Listens()  # without a folder to check
    predictor.rule, predictor.network, predictor.version = rule, heard, None
    evaluated = collect_evidence(heard, rows, view, size, places, rule.crop)
    predicted = predictor.evidence(predictor.load([stored_path(row, places) for row in rows]))
    list(predictor.judge_contents([file.getvalue()]))
    assert len({hashlib.sha256(levels.tobytes()).hexdigest() for levels in heard.levels}) == 1
    assert len(heard.levels) == 3
    assert np.array_equal(evaluated[0].appearance, predicted[0].appearance)
