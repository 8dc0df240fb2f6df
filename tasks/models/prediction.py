"""Prediction: what a released model says of images. Needs its folder alone: no server, no registry, no training code."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.images import pixels
from tasks.images.views import NO_RING
from tasks.models import decisions
from tasks.runs.errors import BadInput
from tasks.runs.files import damage, digest_of, sha256_of

CHUNK = 128  # images in memory at a time


class Answer(BaseModel):
    """What is said of one image; an image that cannot be read has no probability and goes to a person."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    path: str
    sha256: str | None
    label: str | None
    defect_probability: float | None
    decision: decisions.Answer
    reason: str
    model_version: int | None


class Predictor:
    """A model's folder, checked and loaded once."""

    def __init__(self, folder: Path, version: int | None = None):
        """Raises BadInput when the folder holds no model, or one whose file is not the one that was released."""
        parts = {name: folder / name for name in ("decision.json", "model.keras")}
        if not all(path.is_file() for path in parts.values()):
            raise BadInput(f"{folder} is no model: a folder with model.keras and decision.json is expected")
        named_by_digest = re.fullmatch("[0-9a-f]{64}", folder.name)
        if named_by_digest and digest_of({name: sha256_of(path) for name, path in parts.items()}) != folder.name:
            raise BadInput(
                f"{folder} has changed since it was released, and is not loaded: run flows/retrain.py again, which restores it"
            )
        self.decision, self.version = decisions.read(folder / "decision.json"), version
        if what := damage(folder / "model.keras", self.decision.network_sha256):
            raise BadInput(f"{what}: it is not the network that decision.json beside it was made for")
        from tasks.models import networks  # late: a wrong folder is told without waiting for TensorFlow

        self.network = networks.load(folder / "model.keras")

    def judge(self, images: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
        """An answer an image, (name to show, path), in their order."""
        for start in range(0, len(images), CHUNK):
            yield from self.judge_chunk(images[start : start + CHUNK])

    def judge_chunk(self, images: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
        from tasks.models import networks

        seen = pixels.see_all([path for _, path in images], self.decision.view, self.decision.image_size)
        readable = [one.sight.levels for one in seen if isinstance(one, pixels.Seen) and one.sight]
        chances = iter(networks.defect_probabilities(self.network, np.stack(readable)[..., None]) if readable else ())
        for (name, path), one in zip(images, seen, strict=True):
            if isinstance(one, pixels.Seen) and one.sight:
                yield self.answer(name, path, float(next(chances)))
                continue
            reason = f"the image cannot be read: {one}" if isinstance(one, str) else NO_RING
            yield Answer(
                path=name, sha256=sha256_if_readable(path), label=None, defect_probability=None,
                decision="review", reason=reason, model_version=self.version,
            )  # fmt: skip

    def answer(self, name: str, path: Path, chance: float) -> Answer:
        verdict = self.decision.decide(chance)
        return Answer(
            path=name, sha256=sha256_if_readable(path), label=self.decision.most_likely(chance)[0], defect_probability=chance,
            decision=verdict.decision, reason=verdict.reason, model_version=self.version,
        )  # fmt: skip


def sha256_if_readable(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None
