"""Labelling: which images a person should label first, so that the next training learns the most from few."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.images.decoding import MAX_BYTES
from tasks.inbox.arrivals import UNLABELLED, settled_files
from tasks.inference.decision import Decision
from tasks.inference.out_of_distribution import distances
from tasks.inference.predictor import Predictor
from tasks.monitoring.drift import JudgedImage, examine
from tasks.settings.escaping import for_utf8
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.sources.folder import is_image, readable, shorten, walk
from tasks.sources.names import Listing
from tasks.storage.digest_cache import file_digests
from tasks.storage.tables import read_state, write_rows

TABLE = "to_label.csv"
SPREAD = 50  # images that are chosen to differ from each other; those after them are in order of doubt alone


class ToLabel(NamedTuple):
    """An image without a label."""

    path: str
    """Below the inbox."""
    sha256: str
    """Empty where the file is too large to be read."""
    decision: str
    reason: str
    model: str
    """Digest of the one that says so."""


def order(judged: Sequence[JudgedImage], decision: Decision) -> list[int]:
    """The numbers of the images, the most informative first.

    First those unlike all that is known and all that was chosen before, the farthest in turn (k-center greedy, Sener and
    Savarese 2018): many photographs of one new casting are worth one look. Then those that the network doubts most. Last
    those that it cannot see, from which nothing can be learnt.
    """
    visible = [number for number, one in enumerate(judged) if one.evidence and one.verdict.probability is not None]
    chosen = farthest(visible, judged, decision)
    rest = sorted(set(visible) - set(chosen), key=lambda number: (doubt(judged[number], decision), number))
    return [*chosen, *rest, *sorted(set(range(len(judged))) - set(visible))]


def farthest(visible: Sequence[int], judged: Sequence[JudgedImage], decision: Decision) -> list[int]:
    """Those beyond the limit of what is known or chosen, each the farthest of all that are left."""
    known, chosen = decision.features, list[int]()
    if known is None or not visible:
        return chosen
    features = np.stack([found.features for number in visible if (found := judged[number].evidence)])
    reach = distances(known, features)
    while len(chosen) < SPREAD and reach.max() > known.limit:
        most = int(reach.argmax())
        chosen.append(visible[most])
        reach = np.minimum(reach, distances(known.model_copy(update={"usual": tuple(features[most])}), features))
    return chosen


def doubt(one: JudgedImage, decision: Decision) -> float:
    """How far a probability lies from the threshold: the nearer, the more a label tells."""
    assert one.verdict.probability is not None
    return abs(one.verdict.probability - decision.threshold)


def to_label(model: Predictor, settle_seconds: float, places: Places) -> list[ToLabel] | None:
    """The images of the inbox that have no label, the most informative first, also as `artifacts/to_label.csv`.

    None where they are those of the table, listed by this model already. Files that are still being written wait.
    """
    inbox, path = places.data.absolute() / "inbox", places.artifacts.absolute() / TABLE
    names = waiting(inbox, settle_seconds, places)
    found = file_digests([inbox / name for name in names], places, MAX_BYTES)  # a larger one goes by its name
    contents = {
        sha256 or for_utf8(name): name
        for name, sha256 in reversed(list(zip(names, found, strict=True)))
        if sha256 is not None
    }
    there = {(one.sha256 or one.path, one.model) for one in read_state(path, ToLabel)}
    if there == {(key, model.digest) for key in contents}:
        return None
    judged = examine([inbox / name for name in contents.values()], model)
    said = [one.verdict for one in judged]
    images = [
        ToLabel(for_utf8(name), "" if key == for_utf8(name) else key, verdict.decision, verdict.reason, model.digest)
        for (key, name), verdict in zip(contents.items(), said, strict=True)
    ]
    rows = [images[number] for number in order(judged, model.decision)]
    write_rows(path, [row._asdict() for row in rows], ToLabel._fields)
    return rows


def waiting(inbox: Path, settle_seconds: float, places: Places) -> list[str]:
    """The images without a label that have been written, by their names in the inbox."""
    images = [name for name in walk(inbox) if is_unlabeled(name)] if inbox.is_dir() else []
    names, faults = readable(inbox, Listing(images, []))
    for fault in shorten(faults):
        say(f"to label: left out: {fault}")
    whole = settled_files([f"{inbox}/{name}" for name in names], settle_seconds, places)
    return [name for name in names if f"{inbox}/{name}" in whole]


def is_unlabeled(name: str) -> bool:
    """Whether a file of the inbox is an image in a folder of those without labels."""
    return is_image(name) and UNLABELLED in name.split("/")[:-1]
