"""Layouts: what is read from the forms in which people keep their photographs, and what is told about it."""

import io
import json
import re
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from tasks.records.results import ClassFolders
from tasks.records.rows import Entry
from tasks.settings.errors import BadInput
from tasks.settings.settings import ClassSettings, FetchSettings
from tasks.sources.locate import locate
from tasks.storage.tables import read_table

PHOTOGRAPH, MASK, EMPTY_MASK = b"photograph", b"mask", b"empty mask"  # each is drawn anew for its path


def picture(content: bytes, path: str) -> bytes:
    """The bytes of a photograph or a mask, as the suffix of its path names its format; other content as it is."""
    if content not in (PHOTOGRAPH, MASK, EMPTY_MASK):
        return content
    rng = np.random.default_rng(list(path.encode()))
    pixels = np.zeros((48, 48), np.uint8)
    if content == PHOTOGRAPH:
        pixels = rng.integers(40, 200, (48, 48)).astype(np.uint8)
    elif content == MASK:
        pixels[10:20, 10:30] = 255
    file = io.BytesIO()
    suffix = Path(path).suffix.lower().removeprefix(".")
    Image.fromarray(pixels).save(file, {"jpg": "JPEG", "jfif": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    return file.getvalue()


def photographs(*paths: str) -> dict[str, bytes]:
    return dict.fromkeys(paths, PHOTOGRAPH)


def masks(*paths: str) -> dict[str, bytes]:
    return dict.fromkeys(paths, MASK)


def table(head: str, *lines: str) -> bytes:
    return "\n".join([head, *lines, ""]).encode()


def coco(images: dict[str, list[int]], categories: tuple[str, ...] = ("crack", "hole")) -> bytes:
    """A file of COCO: the numbers of the categories of the boxes of each image."""
    return json.dumps({
        "images": [{"id": number, "file_name": name} for number, name in enumerate(images)],
        "annotations": [
            {"image_id": number, "category_id": kind, "bbox": [1, 1, 5, 5]}
            for number, kinds in enumerate(images.values())
            for kind in kinds
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories)],
    }).encode()  # fmt: skip


class Case(NamedTuple):
    """A layout, and what is made of it."""

    files: dict[str, bytes]
    labels: dict[str, str]
    """Path -> `label`, `label/kind` where they differ, with the split behind a space and the part behind another."""
    says: str
    """Regular expressions, with ` & ` between them, that are found in what a run says."""
    settings: ClassSettings = ClassSettings()
    masks: int = 0


MVTEC = (
    photographs("b/train/good/000.png", "b/train/good/001.png", "b/test/good/000.png", "b/test/cut/000.png", "b/test/hole/000.png")
    | masks("b/ground_truth/cut/000_mask.png", "b/ground_truth/hole/000_mask.png")
)  # fmt: skip
CASES = {
    "class folders": Case(
        photographs("def_front/1.jpeg", "ok_front/1.jpeg"),
        {"def_front/1.jpeg": "def_front", "ok_front/1.jpeg": "ok_front"},
        r"class folders; defect: def_front \(1\); good: ok_front \(1\)",
    ),
    "two folders of other names": Case(
        photographs("crack/1.png", "good/1.png"), {"crack/1.png": "crack", "good/1.png": "good"}, r"defect: crack \(1\)"
    ),
    "the good folder in capitals": Case(
        photographs("NG/1.png", "OK/1.png"), {"NG/1.png": "NG", "OK/1.png": "OK"}, r"good: OK \(1\)"
    ),
    "a folder a kind": Case(
        photographs("crack/1.png", "hole/1.png", "hole/2.png", "good/1.png"),
        {"crack/1.png": "defect/crack", "hole/1.png": "defect/hole", "hole/2.png": "defect/hole", "good/1.png": "good"},
        r"defect: hole \(2\), crack \(1\); good: good \(1\)",
    ),
    "a folder a kind, some of them named": Case(
        photographs("crack/1.png", "hole/1.png", "dirt/1.png", "fine/1.png"),
        {"crack/1.png": "defect/crack", "hole/1.png": "defect/hole", "fine/1.png": "fine"},
        r"left out: 1 images without a label: dirt \(1\)",
        ClassSettings(defect=("crack", "hole"), good="fine"),
    ),
    "a good folder that must be named": Case(
        photographs("MT_Hole/Imgs/1.jpg", "MT_Free/Imgs/1.jpg"),
        {"MT_Hole/Imgs/1.jpg": "MT_Hole", "MT_Free/Imgs/1.jpg": "MT_Free"},
        r"good: MT_Free \(1\)",
        ClassSettings(good="MT_Free"),
    ),
    "masks beside the photographs": Case(
        photographs("hole/Imgs/a.jpg", "good/Imgs/b.jpg") | masks("hole/Imgs/a.png") | {"good/Imgs/b.png": EMPTY_MASK},
        {"hole/Imgs/a.jpg": "hole", "good/Imgs/b.jpg": "good"},
        r"masks: 2",
        masks=2,
    ),
    "masks with an ending": Case(
        photographs("bad/1.png", "bad/2.png", "good/1.png") | masks("bad/1_mask.png", "bad/2_GT.png"),
        {"bad/1.png": "bad", "bad/2.png": "bad", "good/1.png": "good"},
        r"masks: 2",
        masks=2,
    ),
    "masks in a folder of their own": Case(
        photographs("bad/1.png", "good/2.png") | masks("masks/1.png"),
        {"bad/1.png": "bad", "good/2.png": "good"},
        r"masks: 1",
        masks=1,
    ),
    "masks in a folder of an odd name": Case(
        photographs("bad/1.png", "good/2.png") | masks("where/1.png"),
        {"bad/1.png": "bad", "good/2.png": "good"},
        r"masks: 1",
        masks=1,
    ),
    "pictures of a folder for masks that belong to nothing": Case(
        photographs("bad/1.png", "good/2.png", "ground_truth/9.png"),
        {"bad/1.png": "bad", "good/2.png": "good"},
        r"left out: 1 images without a label: ground_truth \(1\)",
    ),
    "masks whose photographs were lost": Case(
        photographs("test/good/0.png", "test/good/1.png", "test/cut/0.png", "train/good/0.png")
        | masks("ground_truth/cut/0.png", "ground_truth/cut/1.png"),
        {"test/good/0.png": "good", "test/good/1.png": "good", "test/cut/0.png": "cut", "train/good/0.png": "good"},
        r"left out: 1 pictures in folders for masks, of no photograph, such as ground_truth/cut/1\.png",
        masks=1,
    ),
    "masks of many folders with equal names": Case(
        photographs("images/k2/P.png", "images/k3/P.png", "images/k4/P.png")
        | masks("masks/k1/P.png", "masks/k3/P.png")
        | {"masks/k2/P.png": EMPTY_MASK, "masks/k4/P.png": EMPTY_MASK},
        {"images/k2/P.png": "good", "images/k3/P.png": "defect", "images/k4/P.png": "good"},
        r"a mask for each photograph & left out: 1 pictures in folders for masks, of no photograph, such as masks/k1/P\.png",
        masks=3,
    ),
    "two masks of one photograph, and one of none": Case(
        photographs("ng/0.png", "good/1.png") | masks("ng/0_mask.png", "ng/0_gt.png", "ng/9_mask.png"),
        {"ng/0.png": "ng", "good/1.png": "good"},
        r"left out: 2 pictures in folders for masks, of no photograph",
        masks=1,
    ),
    "classes in a folder called labels": Case(
        photographs("labels/ng/1.png", "labels/ok/2.png"), {"ng/1.png": "ng", "ok/2.png": "ok"}, r"below labels"
    ),
    "MVTec AD with the defects named": Case(
        photographs("train/good/0.png", "test/good/0.png", "test/cut/1.png"),
        {"train/good/0.png": "good", "test/good/0.png": "good", "test/cut/1.png": "cut"},
        r"MVTec AD",
        ClassSettings(defect=("cut",)),
    ),
    "MVTec AD": Case(
        MVTEC,
        {
            "train/good/000.png": "good", "train/good/001.png": "good", "test/good/000.png": "good",
            "test/cut/000.png": "defect/cut", "test/hole/000.png": "defect/hole",
        },
        r"MVTec AD, .*its split is not used.*masks: 2",
        masks=2,
    ),
    "splits above the classes": Case(
        photographs(*(f"{split}/{kind}/1.png" for split in ("Training", "Valid", "TESTING") for kind in ("bad", "good"))),
        {
            f"{split}/{kind}/1.png": f"{kind} {name}"
            for split, name in (("Training", "train"), ("Valid", "validation"), ("TESTING", "test"))
            for kind in ("bad", "good")
        },
        r"published splits: .*validation \(2\)",
    ),
    "splits below the classes": Case(
        photographs(*(f"{kind}/{split}/1.png" for split in ("train", "val") for kind in ("bad", "good"))),
        {
            f"{kind}/{split}/1.png": f"{kind} {name}"
            for split, name in (("train", "train"), ("val", "validation"))
            for kind in ("bad", "good")
        },
        r"class folders with folders of published splits in each",
    ),
    "a deep root beside other pictures": Case(
        photographs("a/b/bad/1.png", "a/b/good/1.png", "cover.png", "docs/plan.png"),
        {"bad/1.png": "bad", "good/1.png": "good"},
        r"below a/b & left out: 2 images without a label: the top folder \(1\), docs \(1\)",
    ),
    "files that are no images": Case(
        photographs("bad/1.png", "good/1.png") | {"README.md": b"text", "plan.pdf": b"%PDF"},
        {"bad/1.png": "bad", "good/1.png": "good"},
        r"left out: 2 files of other formats: 1 \.md \(README\.md\), 1 \.pdf \(plan\.pdf\)",
    ),
    "a table of labels": Case(
        photographs("img/1.png", "img/2.png", "img/3.png")
        | {"labels.csv": table("path,label", "img/1.png,good", "img/2.png,crack", "img/4.png,crack")},
        {"img/1.png": "good", "img/2.png": "crack"},
        r"labels of labels\.csv & 1 paths of labels\.csv without a photograph, such as img/4\.png & 1 images without a label: img \(1\)",
    ),
    "a table with parts and splits": Case(
        photographs("1.png", "2.png", "3.png")
        | {"labels.csv": table("path,label,part,split", "1.png,ok,P1,train", "2.png,dent,P2,Test", "3.png,ok,P1,val")},
        {"1.png": "ok train P1", "2.png": "dent test P2", "3.png": "ok validation P1"},
        r"published splits: .*parts named: 2",
    ),
    "a table from a spreadsheet": Case(
        photographs("a/1.png", "a/2.png")
        | {"a/list.csv": "\ufeffFilename;Class\r\n1.png;good\r\n.\\2.png;B\u00f6se\r\n".encode()},
        {"a/1.png": "good", "a/2.png": "B\u00f6se"},
        r"labels of a/list\.csv",
    ),
    "a table a split": Case(
        photographs("1.png", "2.png", "3.png")
        | {"train.csv": table("image,label", "1.png,0", "2.png,1"), "test.csv": table("image,label", "3.png,1")},
        {"1.png": "0 train", "2.png": "1 train", "3.png": "1 test"},
        r"labels of test\.csv, train\.csv",
        ClassSettings(good="0"),
    ),
    "a table of something else": Case(
        photographs("bad/1.png", "good/1.png") | {"notes.csv": table("who,when", "me,today")},
        {"bad/1.png": "bad", "good/1.png": "good"},
        r"1 files of other formats: 1 \.csv \(notes\.csv\)",
    ),
    "COCO beside the photographs": Case(
        photographs("1.png", "2.png", "3.png")
        | {"_annotations.coco.json": coco({"1.png": [0], "2.png": [], "3.png": [1, 1, 0], "4.png": []})},
        {"1.png": "defect/crack", "2.png": "good", "3.png": "defect/hole"},
        r"COCO: a photograph with a box is defective & 1 images of COCO without a photograph, such as 4\.png",
    ),
    "COCO in folders": Case(
        photographs("images/a.png", "images/b.png", "images/c.png")
        | {
            "annotations/instances_train2017.json": coco({"a.png": [0], "b.png": []}),
            "annotations/instances_val2017.json": coco({"c.png": []}),
        },
        {"images/a.png": "crack train", "images/b.png": "good train", "images/c.png": "good validation"},
        r"published splits: train \(2\), validation \(1\)",
    ),
    "COCO with boxes of good parts too": Case(
        photographs("1.png", "2.png", "3.png")
        | {"coco.json": coco({"1.png": [1, 1, 0], "2.png": [1], "3.png": []}, ("scratch", "OK"))},
        {"1.png": "scratch", "2.png": "OK", "3.png": "OK"},
        r"defect: scratch \(1\); good: OK \(2\)",
    ),
    "COCO beside sound class folders": Case(
        photographs("ng/1.png", "ok/2.png") | {"notes.json": coco({"ok/2.png": [0]})},
        {"ng/1.png": "ng", "ok/2.png": "ok"},
        r"class folders; defect: ng \(1\)",
    ),
    "a list of COCO that nobody has labeled": Case(
        photographs("1.png", "2.png", "3.png")
        | {"train.json": coco({"1.png": [0], "2.png": []}), "image_info_test.json": coco({"3.png": []})},
        {"1.png": "crack train", "2.png": "good train"},
        r"left out: the images of image_info_test\.json, which lists images without labels",
    ),
    "a table of other things beside class folders": Case(
        photographs("ng/1.png", "ok/2.png", "ok/3.png") | {"extra.csv": table("image,class", "ok/2.png,ng")},
        {"ng/1.png": "ng", "ok/2.png": "ok", "ok/3.png": "ok"},
        r"class folders; defect: ng \(1\); good: ok \(2\) & 1 \.csv \(extra\.csv\)",
    ),
    "splits of a table by the paths": Case(
        photographs("train/1.png", "test/2.png")
        | {"train_test_labels.csv": table("id,file_name,label,class", "7,train/1.png,good,x", "8,test/2.png,dent,x")},
        {"train/1.png": "good train", "test/2.png": "dent test"},
        r"labels of train_test_labels\.csv",
    ),
    "YOLO in folders": Case(
        photographs("images/train/1.png", "images/train/2.png", "images/val/3.png")
        | {
            "labels/train/1.txt": b"1 0.5 0.5 0.1 0.1\n", "labels/train/2.txt": b"", "labels/val/3.txt": b"0 .5 .5 .1 .1\n",
            "data.yaml": b"names: [crack, hole]\n",
        },
        {"images/train/1.png": "defect/hole train", "images/train/2.png": "good train", "images/val/3.png": "defect/crack validation"},
        r"YOLO: a photograph with a box is defective",
    ),
    "YOLO with the splits above": Case(
        photographs("train/images/1.png", "train/images/2.png")
        | {"train/labels/1.txt": b"0 0.5 0.5 0.1 0.1 0.4 0.4\n", "classes.txt": b"scratch\n"},
        {"train/images/1.png": "scratch train", "train/images/2.png": "good train"},
        r"YOLO, 1 photographs without a label file count as good",
    ),
    "YOLO beside the photographs": Case(
        photographs("1.png", "2.png", "3.png", "4.png")
        | {"1.txt": b"3 0.5 0.5 0.1 0.1\n", "2.txt": b"", "3.txt": b"3 0.5\n"},
        {"1.png": "class 3", "2.png": "good"},
        r"left out: 2 photographs without a sound label file of YOLO, such as 3\.png",
    ),
    "texts beside photographs in class folders": Case(
        photographs("bad/1.png", "good/1.png") | {"bad/1.txt": b"a long scratch, left"},
        {"bad/1.png": "bad", "good/1.png": "good", "bad/1.txt": "bad"},
        r"class folders; defect: bad \(2\)",
    ),
    "masks that are the labels": Case(
        photographs("kos01/Part0.jpg", "kos01/Part1.jpg", "kos02/Part0.jpg")
        | masks("kos01/Part1_label.bmp")
        | {"kos01/Part0_label.bmp": EMPTY_MASK, "kos02/Part0_label.bmp": EMPTY_MASK},
        {"kos01/Part0.jpg": "good", "kos01/Part1.jpg": "defect", "kos02/Part0.jpg": "good"},
        r"a mask for each photograph: one that marks something shows a defect; defect: defect \(1\); good: good \(2\); masks: 3",
        masks=3,
    ),
    "all formats, in any case": Case(
        photographs("bad/1.jpg", "bad/2.PNG", "bad/3.bmp", "good/1.TIF", "good/2.tiff", "good/3.webp", "good/4.jfif"),
        {
            "bad/1.jpg": "bad", "bad/2.PNG": "bad", "bad/3.bmp": "bad", "good/1.TIF": "good", "good/2.tiff": "good",
            "good/3.webp": "good", "good/4.jfif": "good",
        },
        r"defect: bad \(3\); good: good \(4\)",
    ),
    "accents in either form": Case(
        photographs("de\u0301faut/1.png", "good/1.png"),
        {"de\u0301faut/1.png": "d\u00e9faut", "good/1.png": "good"},
        r"defect: d\u00e9faut \(1\)",
        ClassSettings(defect=("d\u00e9faut",)),
    ),
    "a class folder called masks": Case(
        photographs("masks/1.png", "good/1.png"),
        {"masks/1.png": "masks", "good/1.png": "good"},
        r"defect: masks \(1\)",
        ClassSettings(defect=("masks",)),
    ),
    "good parts alone": Case(
        photographs("good/1.png", "good/line 2/2.png"),
        {"good/1.png": "good", "good/line 2/2.png": "good"},
        r"class folders; defect: none; good: good \(2\)",
    ),
    "good parts alone, whose folder must be named": Case(
        photographs("MT_Free/Imgs/1.jpg"),
        {"MT_Free/Imgs/1.jpg": "MT_Free"},
        r"class folders; defect: none; good: MT_Free \(1\)",
        ClassSettings(good="MT_Free"),
    ),
    "good parts alone in published splits": Case(
        photographs("x/train/good/1.png", "x/train/good/2.png", "x/test/good/1.png"),
        {"train/good/1.png": "good train", "train/good/2.png": "good train", "test/good/1.png": "good test"},
        r"class folders in folders of published splits, below x; defect: none; good: good \(3\); "
        r"published splits: test \(1\), train \(2\)",
    ),
    "a table of good parts alone": Case(
        photographs("1.png", "2.png") | {"labels.csv": table("path,label", "1.png,good", "2.png,good")},
        {"1.png": "good", "2.png": "good"},
        r"labels of labels\.csv; defect: none; good: good \(2\)",
    ),
    "masks below a folder that is called normal": Case(
        photographs("normal/kos01/Part0.jpg", "normal/kos01/Part1.jpg")
        | masks("normal/kos01/Part1_label.bmp")
        | {"normal/kos01/Part0_label.bmp": EMPTY_MASK},
        {"normal/kos01/Part0.jpg": "good", "normal/kos01/Part1.jpg": "defect"},
        r"a mask for each photograph",
        masks=2,
    ),
    "YOLO below a folder that is called ok": Case(
        photographs("ok/images/train/1.png", "ok/images/train/2.png")
        | {"ok/labels/train/1.txt": b"0 0.5 0.5 0.1 0.1\n", "ok/labels/train/2.txt": b""},
        {"ok/images/train/1.png": "class 0 train", "ok/images/train/2.png": "good train"},
        r"YOLO",
    ),
    "COCO beside a folder that is called good": Case(
        photographs("good/1.png", "good/2.png") | {"all.json": coco({"good/1.png": [0], "good/2.png": []})},
        {"good/1.png": "crack", "good/2.png": "good"},
        r"COCO",
    ),
    "the published castings": Case(
        photographs(*(f"x/{split}/{kind}/1.jpeg" for split in ("train", "test") for kind in ("def_front", "ok_front")))
        | photographs("y/def_front/1.jpeg", "y/ok_front/1.jpeg"),
        {
            f"{split}/{kind}/1.jpeg": f"{kind} {split}"
            for split in ("train", "test")
            for kind in ("def_front", "ok_front")
        },
        r"below x & left out: 2 images without a label: y/def_front \(1\), y/ok_front \(1\)",
    ),
}  # fmt: skip


def write(files: dict[str, bytes], folder: Path) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(picture(content, path))
    return folder


def described(entry: Entry) -> str:
    label = entry.label if entry.kind == entry.label else f"{entry.label}/{entry.kind}"
    return " ".join(filter(None, [label, entry.published, entry.part]))


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_read_and_told_of_a_layout(name, form, tmp_path, places, extract_source, capsys):
    case, source = CASES[name], write(CASES[name].files, tmp_path / "plant")
    if form == "zip":
        with ZipFile(tmp_path / "plant.zip", "w") as archive:
            for path in case.files:
                archive.write(source / path, path)
        source = tmp_path / "plant.zip"
    folder = extract_source(source, case.settings)
    left_out = [*locate(FetchSettings(source=str(source), classes=case.settings), places).left_out, *folder.left_out]
    entries = read_table(folder.listing.path(places), Entry)
    assert {entry.path: described(entry) for entry in entries} == case.labels
    marked = [entry for entry in entries if entry.mask]
    assert len(marked) == case.masks
    assert all((places.data / "images" / entry.mask).is_file() for entry in marked)
    said = "".join([capsys.readouterr().out, *(f"left out: {line}\n" for line in left_out)])
    assert all(re.search(pattern, said) for pattern in case.says.split(" & "))


def test_there_are_thirty_layouts():
    assert len(CASES) >= 30


@pytest.mark.parametrize(
    ("files", "settings", "says"),
    [
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,crack")},
            ClassSettings(),
            r"labels\.csv has the labels crack: none of them is ok_front\. Name that of the good parts with --good",
        ),
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,good")},
            ClassSettings(defect=("crack",)),
            r"labels\.csv has the labels good: none of them is crack\. Name the defects with --defect",
        ),
        (
            photographs("1.png", "2.png") | {"labels.csv": table("path,label", "1.png,good", "2.png,dent")},
            ClassSettings(defect=("crack",)),
            r"none of them is crack\. Name the defects with --defect",
        ),
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,good", "1.png,dent")},
            ClassSettings(),
            r"labels\.csv, line 3: 1\.png has another label, part or split than in an earlier line",
        ),
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,")},
            ClassSettings(),
            r"labels\.csv, line 2: 1\.png has no label, expected path,label\[,part\]\[,split\]",
        ),
        (
            photographs("1.png") | {"labels.csv": table("path,label,split", "1.png,good,later")},
            ClassSettings(),
            r"labels\.csv, line 2: the split is 'later', expected train, validation or test",
        ),
        (photographs("a/bad/1.png", "a/good/1.png", "b/bad/1.png", "b/good/1.png"), ClassSettings(), r"2 folders fit equally well: a, b"),
        (
            photographs("1.png", "2.png") | {"a.json": coco({"1.png": [0]}), "b.json": coco({"1.png": [], "2.png": []})},
            ClassSettings(),
            r"1\.png is crack and good in files of COCO: leave one of the two",
        ),
        (photographs("1.png") | {"a.json": coco({"1.png": [0]})}, ClassSettings(), r"COCO has the labels crack: none of them is good"),
        (
            photographs("img/1.png") | {"labels.csv": table("path,label", "1.png,good")},
            ClassSettings(),
            r"none of the 1 paths of labels\.csv is there, such as 1\.png",
        ),
        (
            photographs("good/1.png"),
            ClassSettings(defect=("crack",)),
            r"one class is empty: the top folder has no image in crack/ \(but in good/\)",
        ),
        (
            photographs("train/good/1.png", "extra/2.png"),
            ClassSettings(),
            r"one class is empty: train has no image in def_front/ \(but in good/\)",
        ),
        (photographs("1.png", "2.png"), ClassSettings(), r"no folder holds images in just def_front/ and ok_front/"),
        (
            photographs("good/1.png", "good/2.png") | masks("good/2_mask.png"),
            ClassSettings(),
            r"all photographs lie in good/, and 1 masks mark defects in them: put the defective ones into a folder",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_anything_runs(files, settings, says, tmp_path, places):
    source = write(files, tmp_path / "plant")
    with pytest.raises(BadInput, match=says):
        locate(FetchSettings(source=str(source), classes=settings), places)


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (photographs("good/1.png"), ClassFolders(defect=("defect",), good="good")),
        (photographs("OK/1.png"), ClassFolders(defect=("defect",), good="OK")),
        (photographs("ok_front/1.png"), ClassFolders(defect=("def_front",), good="ok_front")),
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,good")},
            ClassFolders(defect=("defect",), good="good"),
        ),
        (
            photographs("1.png") | {"labels.csv": table("path,label", "1.png,ok_front")},
            ClassFolders(defect=("def_front",), good="ok_front"),
        ),
    ],
)
def test_where_good_parts_are_all_there_is_later_defects_have_a_name(files, folders, tmp_path, places):
    source = locate(FetchSettings(source=str(write(files, tmp_path / "plant"))), places)
    assert source.folders == folders
    assert not source.has_defects
    with_defect = write(photographs("def_front/1.png", "ok_front/1.png"), tmp_path / "both")
    assert locate(FetchSettings(source=str(with_defect)), places).has_defects


@pytest.mark.parametrize(
    "odd",
    [
        {"labels.csv": b"path,label\n1.png,\x00\n"},
        {"labels.csv": b"path,label\n" + b"1.png," + b"x" * 200_000},
        {"labels.csv": b'path,label\n"1.png,good\n'},
        {"labels.csv": b"\x00\x01\xff"},
        {
            "coco.json": b'{"images": [{"id": [1], "file_name": {}}], "annotations": [{"image_id": {}}], "categories": 3}'
        },
        {"coco.json": b'{"images": [], "annotations": []}'},
        {"coco.json": b"[" * 100_000},
        {"bad/1.txt": b"0 nan inf 1e999 -1\n", "data.yaml": b"names: {0: [a], x: b}"},
        {"bad/1.txt": b"0 1 1 1 1\n", "data.yaml": b"names: [a"},
        {"bad/1_mask.png": b"\x89PNG\r\n\x1a\n"},
    ],
)
def test_odd_content_is_refused_or_passed_over(odd, tmp_path, places):
    source = write(photographs("bad/1.png", "good/1.png", "1.png") | odd, tmp_path / "plant")
    try:
        assert locate(FetchSettings(source=str(source)), places).layout
    except BadInput as error:
        assert len(str(error)) > 20
