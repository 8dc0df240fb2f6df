"""Detect: find the layout of a source from the names of its files, and tell in one line what was recognized."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.records.results import SEVERAL_DEFECTS, ClassFolders
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import ClassSettings
from tasks.sources.archive import members, open_reader
from tasks.sources.folder import TOP, is_image, left_out, shorten
from tasks.sources.layouts.class_folders import read_class_folders
from tasks.sources.layouts.coco import read_coco
from tasks.sources.layouts.label_table import read_label_table
from tasks.sources.layouts.layout import Label, Labels, Read, list_kinds
from tasks.sources.layouts.masks import Masks, find_masks
from tasks.sources.layouts.yolo import read_yolo
from tasks.sources.names import is_junk

LEAST = 0.5  # share of the photographs that a table of labels must name, where class folders label them all


class LabeledFile(NamedTuple):
    """One file of a class."""

    name: str
    """As listed."""
    path: str
    """Below the root of the layout."""
    split: str
    """As published, "" without one."""
    label: str
    """Its class."""
    kind: str = ""
    """Its class folder, or its label in a table."""
    part: str = ""
    """The part that it shows, where the layout says so."""
    mask: str = ""
    """The picture that marks its defect, as listed; "" without one."""


class Layout(NamedTuple):
    """The labeled files of a source, and how they were recognized."""

    how: str
    folders: ClassFolders
    files: tuple[LabeledFile, ...]
    """Sorted by name."""
    sidecars: frozenset[str]
    """Files that hold the labels."""
    left_out: tuple[str, ...]
    """What is left out, a sentence each."""
    images_elsewhere: int
    """Images that have no label, and are no masks."""

    def names(self) -> list[str]:
        """Return the names of all files that the layout is made of, sorted."""
        masks = {file.mask for file in self.files if file.mask}
        return sorted({file.name for file in self.files} | masks | self.sidecars)

    def of_source(self) -> dict[str, Any]:
        """Return what the record of a source says about its layout, by the names of the fields."""
        return {
            "folders": self.folders,
            "layout": self.summary_line(),
            "left_out": self.left_out,
            "has_defects": any(
                is_image(file.name) and file.label == self.folders.classes.defect for file in self.files
            ),
        }

    def summary_line(self) -> str:
        """Return one line that tells a person how the photographs are labeled."""
        kinds = {"defect": self.folders.defect, "good": (self.folders.good,)}
        classes = [
            f"{name}: {list_kinds(file.kind for file in self.files if file.kind in folders) or 'none'}"
            for name, folders in kinds.items()
        ]
        splits = Counter(file.split for file in self.files if file.split)
        details = {
            "published splits": ", ".join(f"{split} ({count:,})" for split, count in splits.items()),
            "masks": f"{sum(bool(file.mask) for file in self.files):,}",
            "parts named": f"{len({file.part for file in self.files if file.part}):,}",
        }
        return "; ".join(
            [self.how, *classes, *(f"{name}: {text}" for name, text in details.items() if text not in ("", "0"))]
        )


def detect_in_zip(archive: Path, settings: ClassSettings) -> Layout:
    """Find the layout of the files in a zip. Raises BadInput as `detect` does, and where the zip is damaged."""
    with open_reader(archive) as read:
        return detect([entry.filename for entry in members(archive)], settings, read)


def detect(names: Iterable[str], settings: ClassSettings, read: Read) -> Layout:
    """Find the layout of a source. Raises BadInput where there is none that holds good parts.

    Args:
        names: Of all files, relative and posix.
        settings: Names of the classes, as far as the user gives them.
        read: Returns the content of a file.
    """
    files = sorted(name for name in names if not is_junk(name))
    pictures = [name for name in files if is_image(name)]
    masks = find_masks(pictures, {*(settings.defect or ()), settings.good or ""}, read)
    no_photographs = masks.names()
    images = [name for name in pictures if name not in no_photographs]
    photographs = [name for name in files if name not in no_photographs]
    labels = find_labels(photographs, images, masks, settings, read)
    return make_layout(files, labels, masks)


def find_labels(
    files: Sequence[str], images: Sequence[str], masks: Masks, settings: ClassSettings, read: Read
) -> Labels:
    """Find what labels the photographs: a table of labels, class folders, COCO, YOLO or masks, the first of these that does.

    Where class folders label all, a table counts only if it names most of the photographs. A folder of good parts alone is the last
    reading, since people call folders so that hold both. Raises BadInput where nothing labels them.
    """
    try:
        folders: Labels | BadInput = read_class_folders(files, images, settings)
    except BadInput as error:
        folders = error
    has_both = isinstance(folders, Labels) and folders.has_defects
    least = LEAST * len(images) if has_both else 0
    if table := read_label_table(files, images, settings, read, least):
        return table
    if isinstance(folders, Labels) and has_both:
        return folders
    boxes = read_coco(files, images, settings, read) or read_yolo(files, images, settings, read)
    if labels := boxes or labels_by_masks(images, masks, settings):
        return labels
    if isinstance(folders, BadInput):
        raise folders
    if masks.marked:
        raise BadInput(
            f"all photographs lie in {folders.folders.good}/, and {len(masks.marked):,} masks mark defects in them: put the defective ones "
            "into a folder of their own, or take the masks away"
        )
    return folders


def labels_by_masks(images: Sequence[str], masks: Masks, settings: ClassSettings) -> Labels | None:
    """Label the photographs by their masks: one that marks something shows a defect. None where not each photograph has a mask."""
    unmarked = masks.by_photograph.keys() - masks.marked
    if not masks.marked or not unmarked or set(images) != set(masks.by_photograph):
        return None
    folders = ClassFolders(defect=settings.defect or (SEVERAL_DEFECTS,), good=settings.good or "good")
    labels = {name: Label(folders.classes.defect if name in masks.marked else folders.good) for name in images}
    return Labels("a mask for each photograph: one that marks something shows a defect", labels, folders)


def unlabeled(images: Sequence[str]) -> list[str]:
    """Return one line that counts the images without a label, by folder; no line where there are none."""
    folders = Counter(os.path.dirname(name) or TOP for name in images)
    listed = [f"{for_terminal(folder)} ({count:,})" for folder, count in folders.most_common()]
    return [f"{len(images):,} images without a label: {', '.join(shorten(listed))}"] if images else []


def unmatched_masks(masks: Masks) -> list[str]:
    """Return one line that counts the pictures in folders for masks that belong to no photograph; no line where there are none."""
    names = masks.unmatched
    return (
        [f"{len(names):,} pictures in folders for masks, of no photograph, such as {for_terminal(names[0])}"]
        if names
        else []
    )


def make_layout(files: Sequence[str], labels: Labels, masks: Masks) -> Layout:
    """Return the layout of labels and masks, with what is left out."""
    top = f"{labels.prefix}/" if labels.prefix else ""
    labeled = tuple(
        LabeledFile(
            name, name.removeprefix(top), label.split, labels.folders.label_of(label.kind), label.kind, label.part,
            masks.by_photograph.get(name, ""),
        )
        for name, label in sorted(labels.by_name.items())
        if labels.folders.label_of(label.kind)
    )  # fmt: skip
    used = {file.name for file in labeled} | masks.names() | labels.sidecars
    unused = [name for name in files if name not in used]
    elsewhere = [name for name in unused if is_image(name)]
    return Layout(
        labels.how, labels.folders, labeled, labels.sidecars,
        (*labels.left_out, *unmatched_masks(masks), *unlabeled(elsewhere), *left_out(unused)), len(elsewhere),
    )  # fmt: skip
