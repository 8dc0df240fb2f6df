"""Masks: pictures that mark the defect of a photograph beside it. They are ground truth, and never photographs to learn from."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.images.decoding import decode
from tasks.settings.errors import BadInput
from tasks.sources.layouts.layout import Read
from tasks.sources.names import compose

FOLDERS = frozenset({
    "ground_truth", "groundtruth", "gt", "mask", "masks", "label", "labels", "annotation", "annotations",
    "seg", "segmentation", "segmentations",
})  # fmt: skip
ENDING = re.compile(r"[_-](mask|gt|label|labels|seg)$", re.IGNORECASE)  # of a stem: `001_mask.png` is of `001.png`
EDGE = 0.1  # levels this near to the darkest or the lightest, as a share of their distance, count as these
MAX_SOFT = 0.05  # share of other levels: masks with softened edges had 0.01 at most, photographs 0.5 at least
MEGAPIXELS = 40.0
SAMPLED = 2  # files of a folder that are looked at before all are


class Masks(NamedTuple):
    """The masks among the pictures of a source."""

    by_photograph: Mapping[str, str]
    """Name of the photograph -> name of its mask."""
    marked: frozenset[str]
    """The photographs whose mask marks something."""
    unmatched: tuple[str, ...]
    """Pictures of folders for masks that belong to no photograph, or are no masks."""

    def names(self) -> frozenset[str]:
        """Return the names of all pictures that are no photographs."""
        return frozenset(self.by_photograph.values()) | frozenset(self.unmatched)


def find_masks(images: Sequence[str], class_names: Collection[str], read: Read) -> Masks:
    """Find the masks: pictures of two gray levels with the stem of a photograph, and another ending or another folder.

    A folder that is named after a class holds photographs, whatever its name is.
    """
    suspects = suspect_masks(images, class_names, read)
    levels = {name: mask_levels(name, read) for name in suspects}
    in_mask_folder = {name for name in suspects if is_in_mask_folder(name, class_names)}
    masks = [name for name in suspects if levels[name]]
    photographs = defaultdict[str, list[str]](list)
    for name in sorted(set(images) - set(masks) - in_mask_folder):
        photographs[stem(name)].append(name)
    by_photograph: dict[str, str] = {}
    for mask in masks:
        free = [name for name in photographs[stem(mask)] if name not in by_photograph]
        if free:
            by_photograph[max(free, key=lambda name: shared_folders(name, mask))] = mask
    matched = set(by_photograph.values())
    marked = frozenset(name for name, mask in by_photograph.items() if levels[mask] == 2)
    return Masks(by_photograph, marked, tuple(sorted(in_mask_folder - matched)))


def suspect_masks(images: Sequence[str], class_names: Collection[str], read: Read) -> list[str]:
    """Return the pictures that may be masks by their names: each shares its stem with another picture, or lies among masks."""
    same_stem, folders = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name in images:
        same_stem[stem(name)].append(name)
        folders[os.path.dirname(name)].append(name)
    mask_folders = {folder for folder, names in folders.items() if holds_masks(names, same_stem, read)}

    def is_suspect(name: str) -> bool:
        folder = os.path.dirname(name)
        beside = any(twin != name and os.path.dirname(twin) == folder for twin in same_stem[stem(name)])
        return beside or folder in mask_folders or is_in_mask_folder(name, class_names)

    return [name for name in images if is_suspect(name)]


def holds_masks(names: Sequence[str], same_stem: Mapping[str, Sequence[str]], read: Read) -> bool:
    """Return whether a folder holds masks of photographs elsewhere: all have a twin there, and the first few are masks of something."""
    if not all(len(same_stem[stem(name)]) > 1 for name in names):
        return False
    levels = [mask_levels(name, read) for name in sorted(names)[:SAMPLED]]
    return min(levels) > 0 and max(levels) == 2


def is_in_mask_folder(name: str, class_names: Collection[str]) -> bool:
    """Return whether a picture lies below a folder for masks."""
    return any(folder.casefold() in FOLDERS and compose(folder) not in class_names for folder in folders_of(name))


def mask_levels(name: str, read: Read) -> int:
    """Return how many gray levels a mask has, 1 or 2, softened edges aside; 0 for a photograph, and for what cannot be read."""
    try:
        pixels = decode(read(name), os.path.splitext(name)[1], MEGAPIXELS).pixels
    except BadInput:
        return 0
    if pixels is None:
        return 0
    darkest, lightest = int(pixels.min()), int(pixels.max())
    margin = EDGE * (lightest - darkest)
    soft = (pixels > darkest + margin) & (pixels < lightest - margin)
    return 0 if soft.mean() > MAX_SOFT else 1 + (lightest > darkest)


def stem(name: str) -> str:
    """Return the name of a file without folder, suffix, case and the ending of a mask."""
    return ENDING.sub("", compose(os.path.splitext(os.path.basename(name))[0])).casefold()


def folders_of(name: str) -> Iterator[str]:
    """Yield the folders of a name, the topmost first."""
    yield from name.split("/")[:-1]


def shared_folders(name: str, mask: str) -> int:
    """Return how many folders two names have in common: `test/crack/1.png` and `ground_truth/crack/1.png` have one."""
    return len(set(folders_of(name)) & set(folders_of(mask)))
