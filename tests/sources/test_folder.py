"""Folder: the data root is found by what folders hold, and nothing is labelled by guessing."""

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes
from tasks.sources.folder import (
    DataRoot,
    LabeledFile,
    find_root,
    is_image,
    labeled_files,
    left_out,
    look_through,
    readable,
    shorten,
    usable_files,
    walk,
)
from tasks.sources.names import Listing

CLASSES = Classes()
PAIR = ["def_front/1.jpeg", "ok_front/1.jpeg"]
KAGGLE = [
    *(f"casting_512x512/casting_512x512/{name}" for name in PAIR),
    *(f"casting_data/casting_data/{split}/{name}" for split in ("train", "test") for name in PAIR),
]


def below(folder: str, names: list[str] = PAIR) -> list[str]:
    return [f"{folder}/{name}" for name in names]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_of_the_published_archive_the_published_split_is_taken():
    assert find_root(KAGGLE, CLASSES) == DataRoot("casting_data/casting_data", ("test", "train"))


def test_the_unsplit_part_is_taken_when_it_is_all_there_is():
    assert find_root(KAGGLE[:2], CLASSES) == DataRoot("casting_512x512/casting_512x512", ())


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (PAIR, DataRoot("", ())),
        (below("train") + below("test"), DataRoot("", ("test", "train"))),
        (below("a/train") + below("a/test") + below("a/validation"), DataRoot("a", ("test", "train", "validation"))),
        (below("test"), DataRoot("", ("test",))),
        (below("train") + PAIR, DataRoot("", ("train",))),
        (["def_front/a/1.jpeg", "ok_front/b/c/1.jpeg"], DataRoot("", ())),
        (["x/def_front/def_front/1.PNG", "x/ok_front/ok_front/1.JPG"], DataRoot("x", ())),
    ],
    ids=[
        "at the top",
        "splits at the top",
        "three splits",
        "one split",
        "splits beside classes",
        "folders in classes",
        "classes doubled",
    ],
)
def test_the_root_is_found_wherever_it_lies(names, root):
    assert find_root(names, CLASSES) == root


def test_other_class_names_find_another_root():
    names = ["a/bad/1.png", "a/good/1.png", *below("b")]
    assert find_root(names, Classes(defect="bad", good="good")) == DataRoot("a", ())


def test_junk_and_files_beside_the_classes_do_no_harm():
    junk = [
        "__MACOSX/x/def_front/._1.jpeg",
        "x/.cache/1.jpeg",
        "x/.DS_Store",
        "x/README.txt",
        "x/contact-sheet.jpeg",
        "x/notes/a.txt",
    ]
    assert find_root(below("x") + junk, CLASSES) == DataRoot("x", ())


def test_two_roots_of_one_kind_are_listed():
    with pytest.raises(BadInput, match="2 folders fit equally well: a, b/c"):
        find_root(below("a") + below("b/c"), CLASSES)
    with pytest.raises(BadInput, match="2 folders fit equally well: the top folder, old"):
        find_root(below("train") + below("old/train"), CLASSES)


def test_a_third_folder_with_images_is_named():
    with pytest.raises(BadInput, match=r"a has images in unsure/ too.*--defect and --good"):
        find_root([*below("a"), "a/unsure/1.jpeg"], CLASSES)


@pytest.mark.parametrize(
    "names", [["a/def_front/1.jpeg"], ["a/def_front/1.jpeg", "a/ok_front/notes.txt", "a/ok_front/._1.jpeg"]]
)
def test_a_class_without_images_is_named(names):
    with pytest.raises(BadInput, match="one class is empty: a has no image in ok_front/"):
        find_root(names, CLASSES)


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (["def_front/1.jpeg"], "casting_data/test has no image in ok_front/"),
        (["1.jpeg"], "casting_data/test has no image in def_front/, ok_front/"),
        ([*PAIR, "more/1.jpeg"], "casting_data/test has images in more/ too"),
    ],
    ids=["one class", "no class", "a third folder"],
)
def test_a_damaged_published_split_does_not_make_way_for_other_images(test, says):
    names = [*KAGGLE[:2], *below("casting_data/train"), *below("casting_data/test", test)]
    with pytest.raises(BadInput, match=says):
        find_root(names, CLASSES)


def test_a_damaged_folder_beside_a_whole_one_of_its_kind_is_left_alone():
    assert find_root([*below("a"), "b/def_front/1.jpeg"], CLASSES) == DataRoot("a", ())


def test_without_a_root_the_folders_with_images_are_listed():
    with pytest.raises(
        BadInput, match=r"def_front/ and ok_front/.*images: a/bad \(2\), a/good \(1\)\. If .* --defect and --good"
    ):
        find_root(["a/bad/1.jpg", "a/bad/2.jpg", "a/good/1.jpg"], CLASSES)
    with pytest.raises(BadInput, match=r"images: the top folder \(1\)"):
        find_root(["1.jpg"], CLASSES)
    with pytest.raises(BadInput, match=r"images: none"):
        find_root(["README.md"], CLASSES)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ["def_front/1.gif", "ok_front/1.gif"],
            r"The class folders hold files that are not read: 2 \.gif \(def_front/1\.gif, ok",
        ),
        (
            ["a/def_front/1.heic", "cover.png"],
            r"The class folders hold files that are not read: 1 \.heic .* convert photographs",
        ),
        (["def_front/1.png", "ok_front/1.avif"], r"one class is empty.* not read: 1 \.avif"),
        (["castings.zip"], r"It holds castings\.zip: unpack that"),
        (["a/b.tar", "notes.txt"], r"It holds a/b\.tar: unpack that"),
        (
            ["a/1.heic"],
            r"It holds files that are not read: 1 \.heic \(a/1\.heic\)\. Read are \.jfif, .* \.webp",
        ),
        ([], "It holds no file that can be used"),
    ],
)
def test_without_an_image_in_the_class_folders_it_is_said_what_lies_there(names, says):
    with pytest.raises(BadInput, match=says) as caught:
        find_root(names, CLASSES)
    assert "--defect" not in str(caught.value)


def test_files_of_other_formats_are_counted_and_named():
    names = ["a.jpeg", *(f"{number:02}.raw" for number in range(10)), "x.HEIC", "README", "x\x1b.gif"]
    (line,) = left_out(names)
    assert line.startswith("13 files of other formats: 10 .raw (00.raw, 01.raw")
    assert "07.raw, and 2 more), 1 without suffix (README), 1 .gif (x\\x1b.gif), 1 .heic (x.HEIC); read are" in line
    assert left_out(["a.jpeg"]) == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_class_names_with_accents_are_found_in_either_form(form, tmp_path):
    classes = Classes(defect="de\u0301faut", good="b\u00f3n")
    names = [
        unicodedata.normalize(form, name) for name in ("\u00e9/d\u00e9faut/1.jpeg", "\u00e9/b\u00f3n/e\u0301.jpeg")
    ]
    root = find_root(names, classes)
    rows, elsewhere = labeled_files(names, root, classes)
    assert [row.label for row in rows] == sorted([classes.defect, classes.good])
    assert {row.name for row in rows} == set(names)
    assert elsewhere == 0


def test_of_many_folders_with_images_the_first_are_listed():
    with pytest.raises(BadInput, match=r"a07 \(1\) and 12 more\."):
        find_root([f"a{number:02}/1.jpeg" for number in range(20)], CLASSES)


def test_each_file_of_a_class_has_its_split_and_label():
    rows, elsewhere = labeled_files(KAGGLE, DataRoot("casting_data/casting_data", ("test", "train")), CLASSES)
    assert rows[0] == LabeledFile(
        "casting_data/casting_data/test/def_front/1.jpeg", "test/def_front/1.jpeg", "test", "def_front"
    )
    assert [f"{row.split} {row.label}" for row in rows] == [
        "test def_front",
        "test ok_front",
        "train def_front",
        "train ok_front",
    ]
    assert elsewhere == 2


def test_without_splits_the_split_is_empty():
    rows, elsewhere = labeled_files(
        ["b/ok_front/2.png", "b/def_front/x/1.JPG", "bb/ok_front/3.png"], DataRoot("b", ()), CLASSES
    )
    assert [row[1:] for row in rows] == [("def_front/x/1.JPG", "", "def_front"), ("ok_front/2.png", "", "ok_front")]
    assert elsewhere == 1


def test_files_of_a_class_that_are_no_images_are_kept_for_validation_and_junk_is_not():
    names = [
        "ok_front/1.gif",
        "ok_front/notes.txt",
        "ok_front/._1.jpeg",
        "ok_front/Thumbs.db",
        "README.md",
        "ok_front",
        "cover.jpeg",
    ]
    rows, elsewhere = labeled_files(names, DataRoot("", ()), CLASSES)
    assert [row.name for row in rows] == ["ok_front/1.gif", "ok_front/notes.txt"]
    assert elsewhere == 1


@pytest.mark.parametrize(
    "name", ["a.jpeg", "a/b.JPG", "a.b.Png", "a.jfif", "a.JPE", "a.bmp", "a.TIF", "a.tiff", "a.webp"]
)
def test_an_image_is_known_by_its_suffix(name):
    assert is_image(name)


@pytest.mark.parametrize("name", ["jpeg", "a.jpeg/b", "a.jpeg.part", "a.gif", ".jpeg"])
def test_other_files_are_no_images(name):
    assert not is_image(name)


def test_a_walk_lists_files_sorted_and_without_junk(tmp_path):
    touch(tmp_path, "b/2.jpeg", "b/1.jpeg", "a.txt", ".git/x", "b/.DS_Store")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert walk(tmp_path) == ["a.txt", "b/1.jpeg", "b/2.jpeg"]


def test_links_inside_are_walked_once(tmp_path):
    touch(tmp_path, "all/1.jpeg")
    (tmp_path / "again").symlink_to("all")
    (tmp_path / "round").symlink_to(".")
    (tmp_path / "one.jpeg").symlink_to("all/1.jpeg")
    assert walk(tmp_path) == ["all/1.jpeg", "one.jpeg"]


@pytest.mark.parametrize("target", ["outside/1.jpeg", "outside", "images-2"])
def test_a_link_that_leads_out_is_told_and_not_followed(target, tmp_path):
    touch(tmp_path, "outside/1.jpeg", "images-2/1.jpeg", "images/1.jpeg")
    (tmp_path / "images" / "link").symlink_to(tmp_path / target)
    names, (fault,) = look_through(tmp_path / "images")
    assert names == ["1.jpeg"]
    assert fault.startswith(f"{tmp_path}/images/link is a link that leads out of {tmp_path}/images: put a copy")


def test_a_link_to_nothing_is_told(tmp_path):
    (touch(tmp_path, "1.jpeg") / "dead.jpeg").symlink_to("gone.jpeg")
    assert look_through(tmp_path) == (["1.jpeg"], [f"{tmp_path}/dead.jpeg is a link to nothing: remove it"])


@pytest.fixture
def closed(monkeypatch):
    """Makes the system refuse a folder or a file, as it does to a user who is not root."""

    def close(*names: str) -> None:
        scan, may = os.scandir, os.access

        def refusing(path):
            if os.fspath(path).endswith(names):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr(os, "scandir", refusing)
        monkeypatch.setattr(os, "access", lambda path, how: not os.fspath(path).endswith(names) and may(path, how))

    return close


def test_a_folder_below_that_may_not_be_read_is_told_and_the_rest_goes_on(tmp_path, closed):
    touch(tmp_path, "a/1.jpeg", "b/1.jpeg", "c/1.jpeg")
    closed("/b")
    assert look_through(tmp_path) == (
        ["a/1.jpeg", "c/1.jpeg"],
        [f"{tmp_path}/b cannot be read (Permission denied): see that this user may read it"],
    )


def test_the_top_folder_that_may_not_be_read_is_refused(tmp_path, closed):
    closed(tmp_path.name)
    with pytest.raises(BadInput, match=r"cannot be read \(Permission denied\): a folder that is there"):
        look_through(tmp_path)


def test_a_folder_whose_files_may_only_be_listed_is_told(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpeg", "b/1.jpeg")
    look = os.stat

    def refusing(path, *args, **named):
        if str(path).endswith("b/1.jpeg"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return look(path, *args, **named)

    monkeypatch.setattr(os, "stat", refusing)
    names, (fault,) = look_through(tmp_path)
    assert names == ["a/1.jpeg"]
    assert "b/1.jpeg cannot be read (Permission denied)" in fault


def test_a_folder_that_breaks_off_while_it_is_listed_is_told(tmp_path, monkeypatch):
    walk_all = os.walk

    def breaking(top, onerror):
        onerror(OSError(errno.EIO, "Input/output error"))  # as the system gives it: without a name
        return walk_all(top, onerror=onerror)

    monkeypatch.setattr(os, "walk", breaking)
    names, (fault,) = look_through(touch(tmp_path, "1.jpeg"))
    assert names == ["1.jpeg"]
    assert fault.startswith(f"a folder below {tmp_path} cannot be read (Input/output error)")


def test_a_file_that_may_not_be_read_is_told(tmp_path, closed):
    closed("2.jpeg")
    assert readable(tmp_path, Listing(walk(touch(tmp_path, "1.jpeg", "2.jpeg")), ["before"])) == (
        ["1.jpeg"],
        ["before", f"{tmp_path}/2.jpeg cannot be read by this user: see that it may"],
    )


def test_a_name_that_no_table_keeps_costs_that_file_alone(tmp_path):
    touch(tmp_path, "1.jpeg", os.fsdecode(b"2\xff.jpeg"), "3\n.jpeg")
    names, faults = usable_files(tmp_path, look_through(tmp_path))
    assert names == ["1.jpeg"]
    assert faults == [
        f"{tmp_path}: '2\\udcff.jpeg' has a name that is not UTF-8: rename it",
        f"{tmp_path}: '3\\n.jpeg' has the invisible character U+000A in its name: rename it",
    ]


def test_of_many_faults_the_first_are_shown():
    assert shorten(["a"] * 3) == ["a"] * 3
    assert shorten(["a"] * 1_010) == [*["a"] * 8, "and 1,002 more"]


def test_a_folder_may_itself_be_a_link(tmp_path):
    touch(tmp_path, "images/1.jpeg")
    (tmp_path / "latest").symlink_to("images")
    assert walk(tmp_path / "latest") == ["1.jpeg"]


def test_a_folder_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"gone cannot be read \(No such file"):
        walk(tmp_path / "gone")
    with pytest.raises(BadInput, match=r"file cannot be read \(Not a directory"):
        walk(touch(tmp_path, "file") / "file")
