"""Boxes: labels of object detection, COCO and YOLO. A photograph with a box shows a defect, one without is good."""

import json
import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.records.results import ClassFolders
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import ClassSettings
from tasks.sources.layouts.layout import Label, Labels, Read, split_of, words_of
from tasks.sources.names import compose

CLASS_NAMES = (
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "classes.txt",
    "obj.names",
)  # files that name the classes of YOLO
IMAGES, LABELS = "images", "labels"  # the folders of YOLO, beside or below each other
BOX_NUMBERS = 5  # of a line of YOLO: class, center, width and height; an outline has more


def read_coco(files: Sequence[str], images: Sequence[str], settings: ClassSettings, read: Read) -> Labels | None:
    """Label the photographs that files of COCO list; None where there is no such file."""
    parsed = {name: parse_coco(read(name)) for name in files if name.lower().endswith(".json")}
    tables = {name: content for name, content in parsed.items() if content is not None}
    if not tables:
        return None
    known = {compose(name): name for name in images}
    labels: dict[str, Label] = {}
    absent: list[str] = []
    for table, content in tables.items():
        for path, kind in coco_kinds(content, good_name(settings)):
            if name := find_image(table, path, known):
                labels[name] = Label(kind, split_of(words_of(table)) or split_of(name.split("/")[:-1]))
            else:
                absent.append(path)
    left_out = (
        [f"{len(absent):,} images of COCO without a photograph, such as {for_terminal(absent[0])}"] if absent else []
    )
    return box_labels("COCO", labels, settings, frozenset(tables), left_out)


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


def coco_kinds(table: dict[str, Any], good: str) -> Iterator[tuple[str, str]]:
    """Yield path and kind of each image: the category of most of its boxes, or `good` where it has none."""
    rows = table.get("categories")
    categories = {
        str(row.get("id")): str(row.get("name"))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }
    boxes = defaultdict[str, Counter[str]](Counter)
    for row in table["annotations"]:
        category = str(row.get("category_id"))
        boxes[str(row.get("image_id"))][categories.get(category, f"category {category}")] += 1
    for image in table["images"]:
        kinds = boxes.get(str(image.get("id")))
        yield str(image.get("file_name")), kinds.most_common(1)[0][0] if kinds else good


def find_image(table: str, path: str, known: Mapping[str, str]) -> str | None:
    """Return the photograph that a file of COCO names: beside it, in a folder `images`, from the top, or the only one of this name."""
    path, folder = compose(path).replace("\\", "/"), posixpath.dirname(compose(table))
    above = posixpath.dirname(folder)
    tops = (folder, posixpath.join(folder, IMAGES), above, posixpath.join(above, IMAGES), "")
    places = [posixpath.normpath(posixpath.join(top, path)) for top in tops]
    if place := next((place for place in places if place in known), None):
        return known[place]
    alike = [name for name in known if name.endswith(f"/{path}")]
    return known[alike[0]] if len(alike) == 1 else None


def read_yolo(files: Sequence[str], images: Sequence[str], settings: ClassSettings, read: Read) -> Labels | None:
    """Label the photographs by their label files of YOLO; None where there are none, or where these are texts of another kind.

    A photograph without a label file is good, as YOLO has it, where the others lie in a folder `labels`.
    """
    texts = frozenset(name for name in files if name.lower().endswith(".txt"))
    label_files = {name: label for name in images if (label := label_file(name, texts))}
    boxes = {name: parse_yolo(read(label)) for name, label in label_files.items()}
    if not any(boxes.values()):
        return None
    class_names, sidecars = read_class_names(files, read)
    if any(LABELS in label.split("/") for label in label_files.values()):
        boxes = {name: boxes.get(name, []) for name in images}
    good = good_name(settings)
    labels = {
        name: yolo_label(name, numbers, class_names, good) for name, numbers in boxes.items() if numbers is not None
    }
    missing, unsound = len(labels.keys() - label_files.keys()), sorted(set(images) - labels.keys())
    how = f"YOLO, {missing:,} photographs without a label file count as {good}" if missing else "YOLO"
    example = (
        f"{len(unsound):,} photographs without a sound label file of YOLO, such as {for_terminal(unsound[0])}"
        if unsound
        else ""
    )
    return box_labels(how, labels, settings, frozenset(label_files.values()) | sidecars, [example] if example else [])


def yolo_label(name: str, numbers: Sequence[int], class_names: Mapping[int, str], good: str) -> Label:
    """Return the label of a photograph: the class of most of its boxes, or `good` where it has none."""
    kinds = Counter(class_names.get(number, f"class {number}") for number in numbers).most_common(1)
    return Label(kinds[0][0] if kinds else good, split_of(name.split("/")[:-1]))


def label_file(name: str, texts: frozenset[str]) -> str | None:
    """Return the label file of a photograph: beside it, or in the folder `labels` in the place of `images`."""
    beside = f"{os.path.splitext(name)[0]}.txt"
    folders = beside.split("/")
    moved = {
        "/".join([*folders[:place], LABELS, *folders[place + 1 :]])
        for place, folder in enumerate(folders)
        if folder == IMAGES
    }
    return next((path for path in (*sorted(moved), beside) if path in texts), None)


def parse_yolo(content: bytes) -> list[int] | None:
    """Return the number of the class of each box; None where the text is no label file of YOLO."""
    try:
        lines = [line.split() for line in content.decode("ascii").splitlines() if line.strip()]
        boxes = [(int(line[0]), [float(number) for number in line[1:]]) for line in lines]
    except (ValueError, UnicodeDecodeError):
        return None
    return [number for number, _ in boxes] if all(len(line) >= BOX_NUMBERS for line in lines) else None


def read_class_names(files: Sequence[str], read: Read) -> tuple[dict[int, str], frozenset[str]]:
    """Return the names of YOLO's classes by their numbers, and the file that has them."""
    import yaml  # late: few sources have such a file

    for name in sorted(files, key=len):
        if posixpath.basename(name).lower() not in CLASS_NAMES:
            continue
        text = read(name).decode("utf-8", errors="replace")
        if name.lower().endswith((".yaml", ".yml")):
            try:
                content = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise BadInput(
                    f"{for_terminal(name)} is no YAML ({' '.join(str(error).split())[:160]}): mend it or take it out"
                ) from error
            names = content.get("names") if isinstance(content, dict) else None
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
        if isinstance(names, list):
            names = dict(enumerate(names))
        if isinstance(names, dict):
            return {
                int(number): compose(str(value)) for number, value in names.items() if str(number).isdecimal()
            }, frozenset({name})
    return {}, frozenset()


def good_name(settings: ClassSettings) -> str:
    """Return the name of the good class, which these layouts do not name."""
    return settings.good or "good"


def box_labels(
    how: str, labels: Mapping[str, Label], settings: ClassSettings, sidecars: frozenset[str], left_out: Sequence[str]
) -> Labels:
    """Return the labels of a layout with boxes."""
    good = good_name(settings)
    kinds = sorted({label.kind for label in labels.values()} - {good})
    folders = ClassFolders(defect=settings.defect or tuple(kinds), good=good)
    return Labels(
        f"{how}: a photograph with a box is defective", labels, folders, sidecars=sidecars, left_out=tuple(left_out)
    )
