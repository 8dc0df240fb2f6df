"""Predictor: judge images with a released model. It needs the model's folder alone: no server, no registry, no training code."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.images import loading
from tasks.images.views import NetworkInput, shape
from tasks.inference import runtimes
from tasks.inference.decision import Evidence, ImageDecision, read, review
from tasks.inference.model_folder import is_verified, verify
from tasks.inference.out_of_distribution import distances
from tasks.records.rows import Cause, DecisionName
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_utf8
from tasks.storage.files import find_damage

CHUNK = 128  # images in memory at a time


class Answer(BaseModel):
    """The answer about one image. An image that cannot be read or shows no ring has no probability, and a person reviews it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    path: str
    sha256: str | None
    label: str | None
    defect_probability: float | None
    decision: DecisionName
    reason: str
    model_version: int | None
    cause: Cause


class Measures(NamedTuple):
    """What an image is like, beside what the model says of it."""

    brightness: float | None
    """Mean gray level, 0-255; None where the image cannot be read."""
    distance: float | None
    """From the training images, by what the network computes, as a share of the distance from which on an image is unlike them."""


class Predictor:
    """A model that judges images, its folder checked once."""

    def __init__(self, folder: Path, version: int | None = None):
        """Check the folder and read its decision. Raises BadInput when it holds no model, or not the one that was released.

        LiteRT runs the network where it was shown to decide as the trained network does; then TensorFlow is not loaded.
        """
        if not all((folder / name).is_file() for name in ("decision.json", "model.keras")):
            raise BadInput(f"{folder} is no model: a folder with model.keras and decision.json is expected")
        self.digest, self.version = verify(folder), version
        self.rule = read(folder / "decision.json")
        if damage := find_damage(folder / "model.keras", self.rule.network_sha256):
            raise BadInput(f"{damage}: it is not the network that decision.json beside it was made for")
        self.folder = folder

    @cached_property
    def network(self) -> runtimes.Network:
        """Return the network. It loads when the first image is judged, so that nobody waits for it without images."""
        return runtimes.load(self.folder / runtimes.NAMES["litert" if is_verified(self.folder, "litert") else "keras"])

    @property
    def name(self) -> str:
        """Return the name of the model that answers: `version 2, 377e6c5a2d84`, or the digest alone of a model that is no version."""
        return f"version {self.version}, {self.digest[:12]}" if self.version else f"model {self.digest[:12]}"

    def judge(self, images: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
        """Yield an answer for each image, in order; an image is (name to show, path)."""
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            yield from self.answers([name for name, _ in chunk], self.load([path for _, path in chunk]))

    def judge_measured(self, images: Sequence[tuple[str, Path]]) -> Iterator[tuple[Answer, Measures]]:
        """Yield answer and measures of each image, in order; an image is (name to show, path)."""
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            loaded = self.load([path for _, path in chunk])
            judged = list(self.decisions(loaded))
            yield from zip(
                self.answer_all([name for name, _ in chunk], loaded, [decision for decision, _ in judged]),
                map(self.measure, loaded, [evidence for _, evidence in judged]),
                strict=True,
            )

    def measure(self, image: loading.Readable | loading.Unreadable, evidence: Evidence | None) -> Measures:
        """Return brightness and distance of an image."""
        if not isinstance(image, loading.Readable):
            return Measures(None, None)
        cloud, distance = self.rule.features, None
        if cloud is not None and evidence is not None and np.isfinite(evidence.features).all():
            distance = round(float(distances(cloud, evidence.features[None])[0]) / cloud.limit, 3)
        return Measures(round(float(image.small_square.mean()), 1), distance)

    def judge_contents(self, images: Sequence[object]) -> Iterator[Answer]:
        """Yield an answer for each image, in order. An image comes as bytes; anything else counts as unreadable."""
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            loaded = loading.load_all_bytes(chunk, self.rule.view, self.rule.image_size, self.rule.crop)
            yield from self.answers([""] * len(chunk), loaded)

    def load(self, paths: Sequence[Path]) -> list[loading.Readable | loading.Unreadable]:
        """Load each file by the view of the network, in order."""
        return loading.load_files(paths, self.rule.view, self.rule.image_size, self.rule.crop)

    def answers(
        self, names: Sequence[str], images: Sequence[loading.Readable | loading.Unreadable]
    ) -> Iterator[Answer]:
        """Yield an answer for each loaded image, in order, under the names to show."""
        yield from self.answer_all(names, images, [decision for decision, _ in self.decisions(images)])

    def answer_all(
        self,
        names: Sequence[str],
        images: Sequence[loading.Readable | loading.Unreadable],
        decisions: Sequence[ImageDecision],
    ) -> Iterator[Answer]:
        """Yield the decision about each image as an answer, under the names to show."""
        for name, image, decision in zip(names, images, decisions, strict=True):
            chance = decision.probability
            yield Answer(
                path=for_utf8(name),
                sha256=image.sha256,
                label=None if chance is None else self.rule.most_likely(chance)[0],
                defect_probability=chance,
                decision=decision.name,
                reason=decision.reason,
                model_version=self.version,
                cause=decision.cause,
            )

    def decisions(
        self, images: Sequence[loading.Readable | loading.Unreadable]
    ) -> Iterator[tuple[ImageDecision, Evidence | None]]:
        """Yield the decision on each loaded image and its evidence, in order. A person reviews an image that cannot be read."""
        evidence = self.evidence([image for image in images if isinstance(image, loading.Readable)])
        judged = zip(self.rule.judge(evidence), evidence, strict=True)
        for image in images:
            yield next(judged) if isinstance(image, loading.Readable) else (review("unreadable", image.reason), None)

    def evidence(self, images: Sequence[loading.Readable]) -> list[Evidence]:
        """Return the evidence for each readable image, in order."""
        from tasks.inference import forward

        if not images:
            return []
        blank = NetworkInput(np.zeros(shape(self.rule.view, self.rule.image_size), np.uint8), np.nan)
        inputs = [image.network_input or blank for image in images]
        return forward.evidence(
            self.network,
            np.stack([view.levels for view in inputs]),
            [view.residual for view in inputs],
            np.stack([image.small_square for image in images]),
        )
