"""Prediction: what a released model says of images. Needs its folder alone: no server, no registry, no training code."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.images import loading
from tasks.images.views import NetworkInput, shape
from tasks.inference import runtimes
from tasks.inference.decision import DecisionName, Evidence, Verdict, read
from tasks.inference.model_folder import is_verified, verify
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_utf8
from tasks.storage.files import find_damage

CHUNK = 128  # images in memory at a time
UNREADABLE = "the image cannot be read"


class Answer(BaseModel):
    """What is said of one image; what cannot be read, or shows no ring, has no probability and goes to a person."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    path: str
    sha256: str | None
    label: str | None
    defect_probability: float | None
    decision: DecisionName
    reason: str
    model_version: int | None


class Predictor:
    """A model's folder, checked once."""

    def __init__(self, folder: Path, version: int | None = None):
        """Raises BadInput when the folder holds no model, or not the one that was released.

        LiteRT judges where it was shown to decide as the trained network does; then TensorFlow is not loaded.
        """
        if not all((folder / name).is_file() for name in ("decision.json", "model.keras")):
            raise BadInput(f"{folder} is no model: a folder with model.keras and decision.json is expected")
        self.digest, self.version = verify(folder), version
        self.decision = read(folder / "decision.json")
        if what := find_damage(folder / "model.keras", self.decision.network_sha256):
            raise BadInput(f"{what}: it is not the network that decision.json beside it was made for")
        self.folder = folder

    @cached_property
    def network(self) -> runtimes.Network:
        """Loaded when the first image is judged: who looks whether there is any need not wait for it."""
        return runtimes.load(self.folder / runtimes.NAMES["litert" if is_verified(self.folder, "litert") else "keras"])

    @property
    def name(self) -> str:
        """What answers: `version 2, 377e6c5a2d84`, or the digest alone of a model that is no version."""
        return f"version {self.version}, {self.digest[:12]}" if self.version else f"model {self.digest[:12]}"

    def judge(self, images: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
        """An answer an image, (name to show, path), in their order."""
        for start in range(0, len(images), CHUNK):
            some = images[start : start + CHUNK]
            yield from self.answers([name for name, _ in some], self.see([path for _, path in some]))

    def judge_contents(self, images: Sequence[object]) -> Iterator[Answer]:
        """Yield an answer for each image that comes as bytes, in order; what comes as anything else cannot be read."""
        for start in range(0, len(images), CHUNK):
            some = images[start : start + CHUNK]
            yield from self.answers([""] * len(some), self.see_contents(some))

    def see(self, paths: Sequence[Path]) -> list[loading.Readable | loading.Unreadable]:
        return loading.see_all(paths, self.decision.view, self.decision.image_size)

    def see_contents(self, images: Sequence[object]) -> list[loading.Readable | loading.Unreadable]:
        return loading.see_all_contents(images, self.decision.view, self.decision.image_size)

    def answers(self, names: Sequence[str], seen: Sequence[loading.Readable | loading.Unreadable]) -> Iterator[Answer]:
        """Yield an answer for each image, given the names to show."""
        verdicts = iter(self.verdicts([one for one in seen if isinstance(one, loading.Readable)]))
        for name, one in zip(names, seen, strict=True):
            said = (
                next(verdicts)
                if isinstance(one, loading.Readable)
                else Verdict("review", f"{UNREADABLE}: {one.reason}")
            )
            chance = said.probability
            yield Answer(
                path=for_utf8(name), sha256=one.sha256, label=None if chance is None else self.decision.most_likely(chance)[0],
                defect_probability=chance, decision=said.decision, reason=said.reason, model_version=self.version,
            )  # fmt: skip

    def verdicts(self, seen: Sequence[loading.Readable]) -> list[Verdict]:
        """What is decided about each image that can be read, in order."""
        return self.decision.judge(self.evidence(seen))

    def evidence(self, seen: Sequence[loading.Readable]) -> list[Evidence]:
        """What decides about each image that can be read, in order."""
        from tasks.inference import forward

        if not seen:
            return []
        nothing = NetworkInput(np.zeros(shape(self.decision.view, self.decision.image_size), np.uint8), np.nan)
        sights = [one.sight or nothing for one in seen]
        return forward.evidence(
            self.network,
            np.stack([sight.levels for sight in sights]),
            [sight.residual for sight in sights],
            np.stack([one.glance for one in seen]),
        )
