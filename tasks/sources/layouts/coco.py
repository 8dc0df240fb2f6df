"""COCO: a JSON file that lists images, boxes and categories."""

import json
import posixpath
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import ClassSettings
from tasks.sources.layouts.boxes import IMAGES, box_labels, choose_box_good, kind_of
from tasks.sources.layouts.layout import Label, Labels, Read, split_of, split_of_words, words_of
from tasks.sources.names import compose

UNLABELED_LIST = "image_info"  # in the name of a file that lists images to label


def read_coco(files: Sequence[str], images: Sequence[str], settings: ClassSettings, read: Read) -> Labels | None:
    """Label the photographs that files of COCO list; None where there is no such file.

    Raises BadInput where two files contradict each other, and where one class has no photograph.
    """
    parsed = {name: parse_coco(read(name)) for name in files if name.lower().endswith(".json")}
    tables = {name: content for name, content in parsed.items() if content is not None}
    if not tables:
        return None
    good = choose_box_good([name for table in tables.values() for name in category_names(table).values()], settings)
    finder, labels, absent = ImageFinder(images), dict[str, Label](), list[str]()
    unlabeled = [name for name in tables if UNLABELED_LIST in name.lower()]
    for table in sorted(tables.keys() - set(unlabeled)):
        for path, kinds in coco_kinds(tables[table]):
            name = finder.find(table, path)
            if name is None:
                absent.append(path)
                continue
            label = Label(kind_of(kinds, good), split_of_words(words_of(table)) or split_of(name.split("/")[:-1]))
            if labels.setdefault(name, label).kind != label.kind:
                raise BadInput(
                    f"{for_terminal(name)} is {labels[name].kind} and {label.kind} in files of COCO: leave one of the two"
                )
    left_out = (
        [f"{len(absent):,} images of COCO without a photograph, such as {for_terminal(absent[0])}"] if absent else []
    )
    left_out += [f"the images of {for_terminal(name)}, which lists images without labels" for name in unlabeled]
    return box_labels("COCO", labels, good, settings, frozenset(tables), left_out)


def parse_coco(content: bytes) -> dict[str, Any] | None:
    """Return the content of a file of COCO; None for any other file."""
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        return None
    lists = isinstance(table, dict) and all(isinstance(table.get(key), list) for key in ("images", "annotations"))
    return (
        table
        if lists and all(isinstance(row, dict) for key in ("images", "annotations") for row in table[key])
        else None
    )


def category_names(table: dict[str, Any]) -> dict[str, str]:
    """Return the names of the categories by their ids."""
    rows = table.get("categories")
    return {
        str(row.get("id")): compose(str(row.get("name")))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }


def coco_kinds(table: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each image, and the category of each of its boxes."""
    categories, boxes = category_names(table), defaultdict[str, list[str]](list)
    for row in table["annotations"]:
        category = str(row.get("category_id"))
        boxes[str(row.get("image_id"))].append(categories.get(category, f"category {category}"))
    for image in table["images"]:
        yield str(image.get("file_name")), boxes[str(image.get("id"))]


class ImageFinder:
    """The photographs of a source, found by the paths in files of COCO."""

    def __init__(self, images: Sequence[str]) -> None:
        self.by_path = {compose(name): name for name in images}
        self.by_name = defaultdict[str, list[str]](list)
        for path in self.by_path:
            self.by_name[posixpath.basename(path)].append(path)

    def find(self, table: str, path: str) -> str | None:
        """Return the photograph that a file names: beside it, in a folder `images`, from the top, or the only one of this name."""
        path, folder = compose(path).replace("\\", "/"), posixpath.dirname(compose(table))
        above = posixpath.dirname(folder)
        for top in (folder, posixpath.join(folder, IMAGES), above, posixpath.join(above, IMAGES), ""):
            if name := self.by_path.get(posixpath.normpath(posixpath.join(top, path))):
                return name
        alike = self.by_name[posixpath.basename(path)]
        return self.by_path[alike[0]] if len(alike) == 1 and f"/{alike[0]}".endswith(f"/{path}") else None
