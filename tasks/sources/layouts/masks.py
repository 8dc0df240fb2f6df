"""Masks: pictures that mark the defect of a photograph beside it. They are ground truth, and never photographs to learn from."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tasks.images.decoding import decode
from tasks.settings.errors import BadInput
from tasks.sources.layouts.layout import SPLIT_WORDS, Read
from tasks.sources.names import compose

FOLDERS = frozenset({
    "ground_truth", "groundtruth", "gt", "mask", "masks", "label", "labels", "annotation", "annotations",
    "seg", "segmentation", "segmentations",
})  # fmt: skip
ENDING = re.compile(r"[_-](mask|gt|label|labels|seg)$", re.IGNORECASE)  # of a stem: `001_mask.png` is of `001.png`
IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img"})  # of photographs, beside folders for masks
EDGE = 0.1  # levels within this share of the range from the darkest or the lightest count as these
MAX_SOFT = 0.05  # largest share of other levels: masks with softened edges had 0.01 at most, photographs 0.5 at least
MEGAPIXELS = 40.0
SAMPLED = 8  # files of a folder that are looked at before all are
MOST = 0.9  # share of a folder's files that have a photograph of their name elsewhere, if it holds masks
FEW = 20  # photographs of one name among which the one of a mask is sought; among more, their folders must be equal


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

    A mask belongs to the only photograph of its stem in its folder, or in the folder of the same name beside the folder for masks. A folder
    that is named after a class holds photographs, whatever its name is.
    """
    finder = MaskFinder(images, class_names, read)
    suspects = {name: mask_levels(name, read) for name in images if finder.is_suspect(name)}
    masks = {name for name, levels in suspects.items() if levels}
    aside = {name for name, levels in suspects.items() if finder.is_no_photograph(name, levels)}
    by_place, by_stem = defaultdict[tuple[str, ...], list[str]](list), defaultdict[str, list[str]](list)
    for name in images:
        if name not in masks | aside:
            by_place[stem(name), *finder.place_of(name)].append(name)
            by_stem[stem(name)].append(name)
    by_photograph: dict[str, str] = {}
    for mask in sorted(masks):
        place = finder.place_of(mask)
        same = by_place[stem(mask), *place] or [
            name for name in by_stem[stem(mask)][:FEW] if finder.place_of(name)[: len(place)] == place
        ]
        if len(same) == 1 and same[0] not in by_photograph:
            by_photograph[same[0]] = mask
    marked = frozenset(name for name, mask in by_photograph.items() if suspects[mask] == 2)
    return Masks(by_photograph, marked, tuple(sorted(aside - set(by_photograph.values()))))


class MaskFinder:
    """What the names of all pictures tell about masks."""

    def __init__(self, images: Sequence[str], class_names: Collection[str], read: Read) -> None:
        self.class_names = class_names
        self.stems = Counter(map(stem, images))
        self.beside = Counter((os.path.dirname(name), stem(name)) for name in images)
        folders = defaultdict[str, list[str]](list)
        for name in images:
            folders[os.path.dirname(name)].append(name)
        self.mask_folders = {folder for folder, names in folders.items() if self.holds_masks(folder, names, read)}

    def holds_masks(self, folder: str, names: Sequence[str], read: Read) -> bool:
        """Return whether a folder holds masks of photographs elsewhere: most have a twin there, and some of them are masks of something."""
        twins = sum(self.stems[stem(name)] > self.beside[folder, stem(name)] for name in names)
        if twins < MOST * len(names):
            return False
        step = -(-len(names) // SAMPLED)
        levels = [mask_levels(name, read) for name in sorted(names)[::step]]
        return min(levels) > 0 and max(levels) == 2

    def is_suspect(self, name: str) -> bool:
        """Return whether a picture may be a mask by its name and its folder."""
        folder = os.path.dirname(name)
        return (
            self.beside[folder, stem(name)] > 1
            or folder in self.mask_folders
            or has_mask_ending(name)
            or self.is_in_mask_folder(name)
        )

    def is_no_photograph(self, name: str, levels: int) -> bool:
        """Return whether a suspect is surely no photograph, even where no photograph of it is found."""
        folder = os.path.dirname(name)
        has_twin = self.stems[stem(name)] > 1
        if folder in self.mask_folders or self.is_in_mask_folder(name):
            return levels > 0 or has_twin
        return has_mask_ending(name) and (levels > 0 or self.beside[folder, stem(name)] > 1)

    def is_in_mask_folder(self, name: str) -> bool:
        """Return whether a picture lies below a folder for masks."""
        return any(
            folder.casefold() in FOLDERS and compose(folder) not in self.class_names for folder in name.split("/")[:-1]
        )

    def place_of(self, name: str) -> tuple[str, ...]:
        """Return the folders of a picture without those for masks, for photographs and for published splits."""
        folder = os.path.dirname(name)
        parts = folder.split("/") if folder else []
        if folder in self.mask_folders and not self.is_in_mask_folder(name):
            parts.pop()
        words = FOLDERS | IMAGE_FOLDERS | SPLIT_WORDS.keys()
        return tuple(part for part in parts if part.casefold() not in words or compose(part) in self.class_names)


def has_mask_ending(name: str) -> bool:
    """Return whether the stem of a name ends as that of a mask."""
    return bool(ENDING.search(os.path.splitext(os.path.basename(name))[0]))


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
