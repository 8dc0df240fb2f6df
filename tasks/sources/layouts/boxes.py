"""Boxes: what COCO and YOLO have in common. A photograph with a box of a defect shows a defect, one without is good."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tasks.settings.settings import GOOD, ClassSettings
from tasks.sources.layouts.layout import Label, Labels, choose_classes, choose_good

IMAGES = "images"  # folder of photographs, beside the files of labels


def kind_of(kinds: Sequence[str], good: str) -> str:
    """Return the kind of a photograph: that of most of its boxes of defects, or `good` where it has none."""
    defects = Counter(kind for kind in kinds if kind != good).most_common(1)
    return defects[0][0] if defects else good


def choose_box_good(names: Collection[str], settings: ClassSettings) -> str:
    """Return the name of the good class: as the user says, a category of a usual name, or `good`."""
    name = choose_good(names, settings)
    return "good" if name == GOOD and name not in names else name


def box_labels(
    how: str,
    labels: Mapping[str, Label],
    good: str,
    settings: ClassSettings,
    sidecars: frozenset[str],
    left_out: Sequence[str],
) -> Labels:
    """Return the labels of a layout with boxes. Raises BadInput where one class has no photograph."""
    folders = choose_classes((label.kind for label in labels.values()), settings.model_copy(update={"good": good}), how)
    return Labels(
        f"{how}: a photograph with a box is defective", labels, folders, sidecars=sidecars, left_out=tuple(left_out)
    )
