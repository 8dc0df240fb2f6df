"""Rows: the rows of the tables of images, and the paths where the bytes of images lie."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.settings.settings import Classes, Places

BASE = "base"  # origin of the images of the source itself
INBOX = "inbox"  # origin of the images in class folders that lie directly in the inbox
SPLITS = ("train", "validation", "test", "held_back")
DecisionName = Literal["pass", "review", "reject"]
Cause = Literal[
    "unreadable", "no_ring", "no_number", "poor_ring", "unlike_training", "between_limits", "above_limit", "below_limit"
]
CAUSES: dict[Cause, str] = {  # each as people read it: a reason begins with it
    "unreadable": "the image cannot be read",
    "no_ring": "no ring of a round part is found in it",
    "no_number": "the network gives no number",
    "poor_ring": "its ring is found poorly",
    "unlike_training": "unlike the training images",
    "between_limits": "the network is not sure",
    "above_limit": "a defect is likely",
    "below_limit": "a defect is unlikely",
}
LabelName = Literal["good", "defect", "cannot_tell", "exclude", "withdrawn"]
"""What a person says of a photograph. `exclude`: nobody should learn from it. `withdrawn`: an earlier answer no longer holds."""
NO_PROBABILITY: tuple[Cause, ...] = ("no_ring", "poor_ring", "no_number")  # causes without a probability of a defect


class Entry(NamedTuple):
    """A file of a data set before it is opened."""

    path: str
    """Below the data root, posix."""
    sha256: str
    label: str = ""
    """Name of its class folder."""
    published: str = ""
    """Split folder that it came in: train, validation, test, or nothing."""
    origin: str = BASE
    kind: str = ""
    """Its class folder, or its label in a table: the kind of its defect."""
    part: str = ""
    """The part that it shows, where the source names it."""
    mask: str = ""
    """Stored name of the picture that marks its defect; "" without one."""


class Row(NamedTuple):
    """An accepted image."""

    path: str
    sha256: str
    label: str
    origin: str
    published: str
    width: int
    height: int
    brightness: float
    """Mean gray level, 0-255."""
    border: float
    """Mean gray level of the outermost tenth on each side, 0-255."""
    sharpness: float
    """Root mean square of the Laplacian of a quarter-size view, gray levels."""
    group: str = ""
    """sha256 of the leader of its group: photographs of one casting, or copies where castings are not known."""
    split: str = ""
    kind: str = ""
    """As in `Entry`, as are part and mask."""
    part: str = ""
    mask: str = ""


class Content(NamedTuple):
    """An image named by its content alone, wherever it lies."""

    sha256: str


class Member(NamedTuple):
    """The group that a content belongs to."""

    sha256: str
    group: str
    """sha256 of the group's leader, its first image in the order of the manifest."""
    alike: float
    """Similarity to the leader, 0 to 1: correlation of marks, or of two copies; 1 for the leader itself."""
    residual: float
    """Of the rim's ellipse, as a share of its radius; 1 where no ring was found."""


class Refusal(NamedTuple):
    """A file that is not an image to learn from, and why."""

    path: str
    sha256: str
    origin: str
    code: str
    reason: str


class Prediction(NamedTuple):
    """The decision about one image, and what it is based on."""

    path: str
    sha256: str
    split: str
    origin: str
    label: str
    group: str
    """sha256 of the casting's first image; empty where castings are not known."""
    defect_probability: float
    """Calibrated; 0.5 where the network could not see the part."""
    decision: DecisionName
    reason: str
    """What there is to say about this image, as people read it."""
    cause: Cause
    kind: str = ""
    """As in `Entry`."""


class OutOfFoldRow(NamedTuple):
    """An image that a network judged which never saw its part."""

    path: str
    sha256: str
    origin: str
    label: str
    group: str
    """As in `Row`."""
    fold: int
    """From 1."""
    margin: float
    """Logit of defect less that of good; 0 where the network could not see the part."""
    review_cause: str
    """Why a person must look, however probable a defect is, as a key of `CAUSES`; empty where the probability decides."""
    reason: str
    kind: str = ""
    """As in `Entry`."""


class Suspect(NamedTuple):
    """An image whose label is probably wrong, by a network that never saw its part and by the other labels of the part."""

    path: str
    sha256: str
    origin: str
    group: str
    """As in `Prediction`; empty where parts are not known."""
    label: str
    suggested: str
    """The class that it probably shows."""
    score: float
    """Probability that the label is wrong, 0.5 to 1."""
    kind: Literal["part", "image"]
    """Whether the whole part is labeled wrongly, or single photographs of it."""
    images: int
    """Different photographs of the part that the network could judge."""
    suspects: int
    """So many of them are suspected."""
    contradictions: int
    """To so many of them the network gives the other class than the label."""
    defect_probability: float
    """Of this image, as in `Prediction`."""


def part_key(station: str, part: str, sha256: str) -> str:
    """Return the key of the part that a station's photograph shows: station and part where its path tells, else its content."""
    return f"{station}/{part}" if part else sha256


class LabelRow(NamedTuple):
    """What a person said of a photograph: a row of `artifacts/labels.csv`, to which rows are only added."""

    decision: str
    """Identity of the answer, 32 hexadecimal digits. A request that comes twice has the same."""
    sha256: str
    """Of the photograph."""
    label: LabelName
    kind: str
    """The kind of the defect, where there are kinds: the name of its folder; else ""."""
    person: str
    """Who says so, by name or pseudonym."""
    time: str
    """In UTC, ISO 8601."""
    queue: str
    """Where the photograph was shown."""
    model_version: str
    """Version that judged it; "" where none did."""
    model_answer: str
    """`pass`, `review` or `reject`; "" where no model judged it."""
    seconds: float
    """From the photograph's appearance to the answer."""
    comment: str
    origin: str
    """The photograph's own: its batch or its station."""
    withdraws: str = ""
    """Identity of the answer that this row takes back."""


def stored_path(image: Entry | Row, places: Places) -> Path:
    """Return the path of the bytes of an image. It names their content, so that no two steps can mean different bytes."""
    return Path(images_root(places), stored_name(image))


def move_to_content(scratch: Path, image: Entry, places: Places) -> None:
    """Move the bytes of an image to the place of their content; equal bytes share one place."""
    target = stored_path(image, places)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(scratch, target)


def images_root(places: Places) -> str:
    """Return the folder of all images, as text like `stored_name`: a path object for each of 100,000 images takes a second."""
    return f"{places.data_root}/images"


def stored_name(image: Entry | Row) -> str:
    """Return the path of an image below `images_root`, which names its content: `aa/<sha256>.jpeg`."""
    return f"{image.sha256[:2]}/{image.sha256}{os.path.splitext(image.path)[1].lower()}"


def is_defect(row: Row, classes: Classes) -> int:
    """Return 1 for a defective part, the positive class; 0 for a good part."""
    return int(row.label == classes.defect)
