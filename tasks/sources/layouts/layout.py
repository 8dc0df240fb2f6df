"""Layout: what every reader of a layout returns, and the words by which folders are recognized."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tasks.records.results import SEVERAL_DEFECTS, ClassFolders
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import DEFECT, GOOD, ClassSettings
from tasks.sources.folder import is_image

Read = Callable[[str], bytes]  # returns the content of a listed file; raises BadInput where it cannot be read
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
GOOD_NAMES = (GOOD, "good", "ok", "normal", "free")  # in any case; the first that is there holds the good parts

BAD_NAMES = (
    DEFECT,
    "defect",
    "defects",
    "defective",
    "bad",
    "ng",
    "nok",
    "reject",
    "anomaly",
)  # in any case: surely not good


class Label(NamedTuple):
    """What a layout says about one photograph."""

    kind: str
    """Name of its class folder, or its label in a table."""
    split: str = ""
    """As published: train, validation, test or nothing."""
    part: str = ""
    """Name of the part that it shows; empty where the layout names none."""


class Labels(NamedTuple):
    """The labels that a layout gives."""

    how: str
    """The layout, in words."""
    by_name: Mapping[str, Label]
    """By the name of the photograph, as listed."""
    folders: ClassFolders
    prefix: str = ""
    """The folder below which paths are counted; "" is the top."""
    sidecars: frozenset[str] = frozenset()
    """Files that hold the labels."""
    left_out: tuple[str, ...] = ()
    """What cannot be used, a sentence each."""

    @property
    def has_defects(self) -> bool:
        """Return whether a photograph shows a defective part."""
        defect = self.folders.classes.defect
        return any(
            is_image(name) and self.folders.label_of(label.kind) == defect for name, label in self.by_name.items()
        )


def split_of(words: Iterable[str]) -> str:
    """Return the published split that the first word of a split names; "" without one."""
    return next((SPLIT_WORDS[word.casefold()] for word in words if word.casefold() in SPLIT_WORDS), "")


def split_of_words(words: Iterable[str]) -> str:
    """Return the published split that all words of a split name; "" without one, and where they name several."""
    splits = {SPLIT_WORDS[word.casefold()] for word in words if word.casefold() in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else ""


def words_of(name: str) -> Iterator[str]:
    """Yield the folders of a name, then the words of the file's own name: `a/instances_train2017.json` has a, instances, train, json."""
    *folders, file = name.split("/")
    yield from folders
    yield from re.findall("[A-Za-z]+", file)


def choose_classes(kinds: Iterable[str], settings: ClassSettings, where: str) -> ClassFolders:
    """Choose which of the kinds are defects and which one is good. Raises BadInput where that cannot be told.

    Args:
        kinds: Names of class folders, or labels of a table.
        settings: What the user says about them. Unset: `def_front` alone is the defect where it is there, else all but the good one.
        where: The place that has these kinds, in words.
    """
    names = sorted(set(kinds))
    good = choose_good(names, settings)
    defects = choose_defects(names, settings) or tuple(name for name in names if name != good)
    listed = ", ".join(map(for_terminal, names)) or "none"
    if good not in names:
        raise BadInput(
            f"{where} has the labels {listed}: none of them is {good}. Name that of the good parts with --good"
        )
    if missing := sorted(set(defects) - set(names)):
        raise BadInput(
            f"{where} has the labels {listed}: none of them is {', '.join(missing)}. Name the defects with --defect"
        )
    return ClassFolders(defect=defects or (absent_defect(good),), good=good)


def choose_good(names: Iterable[str], settings: ClassSettings) -> str:
    """Return the name of the good parts: as the user says, else by a list of usual names."""
    by_key = {name.casefold(): name for name in names if name not in (settings.defect or ())}
    return settings.good or next((by_key[name] for name in GOOD_NAMES if name in by_key), GOOD)


def choose_defects(names: Iterable[str], settings: ClassSettings) -> tuple[str, ...]:
    """Return the names of the defects: as the user says, else `def_front` where it is there; empty for all but the good one."""
    return settings.defect or ((DEFECT,) if DEFECT in names else ())


def absent_defect(good: str) -> str:
    """Return the name of the defects where a source has good parts alone: new images may bring some."""
    return DEFECT if good in (GOOD, SEVERAL_DEFECTS) else SEVERAL_DEFECTS


def assume_folders(settings: ClassSettings) -> ClassFolders:
    """Return the class folders of a source that nobody has seen yet: as the user says, else those of the published castings."""
    return ClassFolders(defect=choose_defects([DEFECT], settings), good=choose_good((), settings))


def list_kinds(kinds: Iterable[str]) -> str:
    """Return how many photographs each kind has, the most frequent first: `crack (42), hole (7)`."""
    return ", ".join(f"{for_terminal(kind)} ({count:,})" for kind, count in Counter(kinds).most_common())
