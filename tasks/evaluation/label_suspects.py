"""Label suspects: images whose label is probably wrong.

A part is defective or good as a whole. So two things speak about its class: what networks say that never saw it, and the labels of
all its photographs. Bayes' rule weighs both, and an image is suspected where its label is the less likely class of its part.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tasks.dataset.corrections import Correction
from tasks.records.rows import NO_PROBABILITY, Prediction, Suspect
from tasks.settings.settings import Classes

# Odds that the label of a part is right, and that of a single photograph is the part's, before anything else is known. Labels of parts
# deserve more. But a network that learned from wrong labels is less sure than it could be: where it is right, it says 0.85 to 0.98.
PART_TRUST, IMAGE_TRUST = 4.0, 49.0
SURE = 1e-6  # no network is surer than that


def find_suspects(predictions: Sequence[Prediction], classes: Classes) -> list[Suspect]:
    """Return the images whose label is probably wrong, the most suspect first, the images of one part together.

    `predictions` are out of fold: networks made them that never saw the part. Equal files count once. An image that shows the network
    nothing is not suspected.
    """
    by_content = {image.sha256: image for image in reversed(predictions) if image.cause not in NO_PROBABILITY}
    parts: dict[str, list[Prediction]] = defaultdict(list)
    for image in reversed(by_content.values()):
        parts[image.group or image.sha256].append(image)
    suspects = [suspect for images in parts.values() for suspect in suspects_of(images, classes)]
    return sorted(suspects, key=lambda suspect: (-suspect.score, suspect.group or suspect.sha256))


def suspects_of(images: Sequence[Prediction], classes: Classes) -> list[Suspect]:
    """Return the suspected images of one part, first those that the network contradicts most."""
    labels = np.array([image.label == classes.defect for image in images])
    probabilities = np.array([image.defect_probability for image in images])
    odds = network_odds(probabilities) + label_odds(labels)
    is_defective = odds >= 0  # nothing speaks for either: an escape costs more
    suspected = labels != is_defective
    order = np.argsort(-np.abs(labels - probabilities), kind="stable")
    return [
        Suspect(
            path=image.path,
            sha256=image.sha256,
            origin=image.origin,
            group=image.group,
            label=image.label,
            suggested=classes.defect if is_defective else classes.good,
            score=float(1 / (1 + np.exp(-abs(odds)))),
            kind="part" if suspected.all() else "image",
            images=len(images),
            suspects=int(suspected.sum()),
            contradictions=int(np.sum(labels != (probabilities >= 0.5))),
            defect_probability=image.defect_probability,
        )
        for image in (images[place] for place in order if suspected[place])
    ]


def network_odds(probabilities: np.ndarray) -> float:
    """Return the log odds that the part is defective, by the network: the mean over its photographs, float (images,).

    Photographs of one part are judged alike: together they say hardly more than one of them.
    """
    clipped = np.clip(probabilities, SURE, 1 - SURE)
    return float(np.mean(np.log(clipped / (1 - clipped))))


def label_odds(labels: np.ndarray) -> float:
    """Return the log odds that the part is defective, by its labels, bool (images,).

    However many photographs agree, the part may be labeled wrongly as a whole: these odds are less than `PART_TRUST`.
    """
    balance, trust = (2 * labels.sum() - len(labels)) * np.log(IMAGE_TRUST), np.log(PART_TRUST)
    return float(np.logaddexp(balance + trust, 0) - np.logaddexp(balance, trust))


def correction_of(suspect: Suspect) -> Correction:
    """Return the line of `corrections.csv` that takes the suggested label."""
    why = (
        f"{suspect.suspects} of {suspect.images} photographs of its part contradict the others"
        if suspect.kind == "image"
        else "a network that never saw its part contradicts the label"
    )
    return Correction(suspect.sha256, suspect.suggested, why)
