"""YOLO: a text file a photograph, with a line a box."""

import os
import posixpath
from collections.abc import Sequence

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import ClassSettings
from tasks.sources.layouts.boxes import IMAGES, box_labels, choose_box_good, kind_of
from tasks.sources.layouts.layout import Label, Labels, Read, split_of
from tasks.sources.names import compose

CLASS_NAMES = (
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "classes.txt",
    "obj.names",
)  # files that name the classes of YOLO
LABELS = "labels"  # folder of label files, in the place of the folder of photographs
BOX_NUMBERS = 5  # of a line: class, center, width and height; an outline has more


def read_yolo(files: Sequence[str], images: Sequence[str], settings: ClassSettings, read: Read) -> Labels | None:
    """Label the photographs by their label files of YOLO; None where there are none, or where these are texts of another kind.

    A photograph without a label file is good, as YOLO has it, where the files of others of its folder lie in a folder `labels`.
    Raises BadInput where one class has no photograph.
    """
    texts = frozenset(name for name in files if name.lower().endswith(".txt"))
    label_files = {name: label for name in images if (label := label_file(name, texts))}
    boxes = {name: parse_yolo(read(label)) for name, label in label_files.items()}
    if not any(boxes.values()):
        return None
    class_names, sidecars = read_class_names(files, read)
    good = choose_box_good(class_names.values(), settings)
    folders = {posixpath.dirname(label) for label in label_files.values() if LABELS in label.split("/")}
    boxes |= {
        name: [] for name in images if name not in boxes and folders & set(map(posixpath.dirname, moved_labels(name)))
    }
    labels = {
        name: Label(
            kind_of([class_names.get(number, f"class {number}") for number in numbers], good),
            split_of(name.split("/")[:-1]),
        )
        for name, numbers in boxes.items()
        if numbers is not None
    }
    missing, unsound = len(labels.keys() - label_files.keys()), sorted(set(images) - labels.keys())
    how = f"YOLO, {missing:,} photographs without a label file count as {good}" if missing else "YOLO"
    left_out = (
        [f"{len(unsound):,} photographs without a sound label file of YOLO, such as {for_terminal(unsound[0])}"]
        if unsound
        else []
    )
    return box_labels(how, labels, good, settings, frozenset(label_files.values()) | sidecars, left_out)


def label_file(name: str, texts: frozenset[str]) -> str | None:
    """Return the label file of a photograph: in the folder `labels` in the place of `images`, or beside it."""
    beside = f"{os.path.splitext(name)[0]}.txt"
    return next((path for path in (*moved_labels(name), beside) if path in texts), None)


def moved_labels(name: str) -> list[str]:
    """Return where the label file of a photograph lies if a folder `labels` takes the place of `images`."""
    folders = f"{os.path.splitext(name)[0]}.txt".split("/")
    return [
        "/".join([*folders[:place], LABELS, *folders[place + 1 :]])
        for place, folder in enumerate(folders)
        if folder == IMAGES
    ]


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
            except (yaml.YAMLError, RecursionError) as error:
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
