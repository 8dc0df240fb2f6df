"""Active learning: which images a person should label first, so that the next training learns the most from few."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.images.decoding import MAX_BYTES
from tasks.inference.decision import DecisionRule
from tasks.inference.out_of_distribution import distances
from tasks.inference.predictor import Predictor
from tasks.labeling.label_log import LabelLog, labeled_contents
from tasks.monitoring.drift import JudgedImage, judge_files
from tasks.settings.escaping import for_utf8
from tasks.settings.settings import Places
from tasks.sources.folder import is_image, readable, say_left_out, walk
from tasks.sources.names import UNLABELED, Listing, compose
from tasks.sources.settling import settled_files
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


def order(judged: Sequence[JudgedImage], rule: DecisionRule) -> list[int]:
    """Return the numbers of the images, the most informative first.

    First come images unlike all that is known and all that was chosen before, the farthest in turn (k-center greedy, Sener and
    Savarese 2018): many photographs of one new casting are worth one look. Then come those that the network doubts most. Last come
    those that it cannot see, from which nothing can be learned.
    """
    visible = [
        number for number, image in enumerate(judged) if image.evidence and image.decision.probability is not None
    ]
    unlike = farthest(visible, judged, rule)
    rest = sorted(set(visible) - set(unlike), key=lambda number: (doubt(judged[number], rule), number))
    return [*unlike, *rest, *sorted(set(range(len(judged))) - set(visible))]


def farthest(visible: Sequence[int], judged: Sequence[JudgedImage], rule: DecisionRule) -> list[int]:
    """Return the images beyond the limit of what is known or chosen, each the farthest of all that are left."""
    gaussian, unlike = rule.features, list[int]()
    if gaussian is None or not visible:
        return unlike
    features = np.stack([evidence.features for number in visible if (evidence := judged[number].evidence)])
    gaps = distances(gaussian, features)
    while len(unlike) < SPREAD and gaps.max() > gaussian.limit:
        farthest_place = int(gaps.argmax())
        unlike.append(visible[farthest_place])
        gaps = np.minimum(
            gaps, distances(gaussian.model_copy(update={"usual": tuple(features[farthest_place])}), features)
        )
    return unlike


def doubt(image: JudgedImage, rule: DecisionRule) -> float:
    """Return how far a probability lies from the threshold: the nearer, the more a label tells.

    An anomaly score lies between its two limits where nobody knows.
    """
    assert image.decision.probability is not None
    middle = sum(rule.review_band) / 2 if rule.normal and rule.review_band else rule.threshold
    return abs(image.decision.probability - middle)


def to_label(model: Predictor, settle_seconds: float, places: Places) -> list[ToLabel] | None:
    """Return the images of the inbox that have no label, the most informative first, also as `artifacts/to_label.csv`.

    What a person labeled on the review page is not listed. Return None where this model has listed these images in the table already.
    Files that are still being written wait.
    """
    inbox, path = places.inbox, places.artifacts_root / TABLE
    labeled = labeled_contents(LabelLog(places).rows())
    names = unlabeled_images(inbox, settle_seconds, places)
    digests = file_digests([inbox / name for name in names], places, MAX_BYTES)  # a larger one goes by its name
    contents = {
        sha256 or for_utf8(name): name
        for name, sha256 in reversed(list(zip(names, digests, strict=True)))
        if sha256 is not None and sha256 not in labeled
    }
    listed = {(row.sha256 or row.path, row.model) for row in read_state(path, ToLabel)}
    if listed == {(key, model.digest) for key in contents}:
        return None
    judged = judge_files([inbox / name for name in contents.values()], model)
    images = [
        ToLabel(for_utf8(name), "" if key == for_utf8(name) else key, decision.name, decision.reason, model.digest)
        for (key, name), (decision, _, _) in zip(contents.items(), judged, strict=True)
    ]
    rows = [images[number] for number in order(judged, model.rule)]
    write_rows(path, [row._asdict() for row in rows], ToLabel._fields)
    return rows


def unlabeled_images(inbox: Path, settle_seconds: float, places: Places) -> list[str]:
    """Return the images without a label that have been written, by their names in the inbox."""
    files = walk(inbox) if inbox.is_dir() else []
    waiting = set(UNLABELED)
    images = [name for name in files if is_image(name) and not waiting.isdisjoint(compose(name).split("/")[:-1])]
    names, faults = readable(inbox, Listing(images, []))
    say_left_out("to label", faults)
    written = settled_files([f"{inbox}/{name}" for name in names], settle_seconds, places)
    return [name for name in names if f"{inbox}/{name}" in written]
