"""Class folders: the root is found by what folders hold, and nothing is labeled by guessing."""

import unicodedata

import pytest

from tasks.settings.errors import BadInput
from tasks.settings.settings import ClassSettings
from tasks.sources.folder import is_image
from tasks.sources.layouts.class_folders import DataRoot, find_root
from tasks.sources.layouts.detect import LabeledFile, Layout, detect
from tasks.sources.names import is_junk

PAIR = ["def_front/1.jpeg", "ok_front/1.jpeg"]
KAGGLE = [
    *(f"casting_512x512/casting_512x512/{name}" for name in PAIR),
    *(f"casting_data/casting_data/{split}/{name}" for split in ("train", "test") for name in PAIR),
]


def below(folder: str, names: list[str] = PAIR) -> list[str]:
    return [f"{folder}/{name}" for name in names]


def root_of(names: list[str], settings: ClassSettings = ClassSettings()) -> DataRoot:
    files = [name for name in names if not is_junk(name)]
    return find_root(files, [name for name in files if is_image(name)], settings)


def layout_of(names: list[str], settings: ClassSettings = ClassSettings()) -> Layout:
    """The layout of files that are all empty."""
    return detect(names, settings, lambda name: b"")


def test_of_the_published_archive_the_published_split_is_taken():
    assert root_of(KAGGLE) == DataRoot("casting_data/casting_data", ("test", "train"))


def test_the_unsplit_part_is_taken_when_it_is_all_there_is():
    assert root_of(KAGGLE[:2]) == DataRoot("casting_512x512/casting_512x512", ())


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
    assert root_of(names) == root


def test_other_class_names_find_another_root():
    names = ["a/bad/1.png", "a/good/1.png", *below("b")]
    assert root_of(names, ClassSettings(defect=("bad",), good="good")) == DataRoot("a", ())


def test_junk_and_files_beside_the_classes_do_no_harm():
    junk = [
        "__MACOSX/x/def_front/._1.jpeg",
        "x/.cache/1.jpeg",
        "x/.DS_Store",
        "x/README.txt",
        "x/contact-sheet.jpeg",
        "x/notes/a.txt",
    ]
    assert root_of(below("x") + junk) == DataRoot("x", ())


def test_two_roots_of_one_kind_are_listed():
    with pytest.raises(BadInput, match="2 folders fit equally well: a, b/c"):
        root_of(below("a") + below("b/c"))
    with pytest.raises(BadInput, match="2 folders fit equally well: the top folder, old"):
        root_of(below("train") + below("old/train"))


@pytest.mark.parametrize(
    ("names", "root", "defect"),
    [
        (["good/1.png", "good/2.png"], DataRoot("", ()), "defect"),
        (["ok_front/1.png"], DataRoot("", ()), "def_front"),
        (["x/y/good/1.png"], DataRoot("x/y", ()), "defect"),
        (["good/line 1/1.png", "good/line 2/1.png"], DataRoot("", ()), "defect"),
        (["train/good/1.png"], DataRoot("", ("train",)), "defect"),
        (["x/train/ok_front/1.png", "x/test/ok_front/1.png"], DataRoot("x", ("test", "train")), "def_front"),
    ],
)
def test_good_parts_alone_have_a_root_and_a_name_for_later_defects(names, root, defect):
    assert root_of(names) == root
    layout = layout_of(names)
    assert layout.folders.defect == (defect,)
    assert {file.label for file in layout.files} == {layout.folders.good}
    assert layout.images_elsewhere == 0
    assert not layout.of_source()["has_defects"]


@pytest.mark.parametrize(
    "names", [["train/good/1.png", "test/good/2.png"], ["good/train/1.png", "good/test/2.png"]], ids=["above", "below"]
)
def test_good_parts_alone_keep_their_published_split(names):
    assert sorted(file.split for file in layout_of(names).files) == ["test", "train"]


@pytest.mark.parametrize(
    ("names", "settings", "says"),
    [
        (
            ["a/ok_front/1.png", "b/def_front/1.png"],
            ClassSettings(),
            r"a has no image in def_front/ \(but in ok_front/\)",
        ),
        (["train/good/1.png", "extra/2.png"], ClassSettings(), "train has no image in def_front/"),
        (["train/good/1.png", "2.png"], ClassSettings(), "train has no image in def_front/"),
        (["train/good/1.png", "test/unlabeled/2.png"], ClassSettings(), "test has no image in def_front/, good/"),
        (["good/1.png", "unlabeled/2.png"], ClassSettings(), "the top folder has no image in def_front/"),
        (["good/1.png"], ClassSettings(defect=("crack",)), "the top folder has no image in crack/"),
        (["train/good/1.png", "test/good/2.png"], ClassSettings(defect=("crack",)), "has no image in crack/"),
        (["a/good/1.png", "b/good/1.png"], ClassSettings(), "2 folders fit equally well: a, b"),
        (["good/ok/1.png", "good/ng/2.png"], ClassSettings(), "the top folder has no image in def_front/"),
        (["good/1.png", "good/Defects/2.png"], ClassSettings(), "the top folder has no image in def_front/"),
        (
            ["ok_front/1.png", "ok_front/def_front/2.png"],
            ClassSettings(),
            r"in def_front/ \(but in ok_front/\)|fit equally",
        ),
    ],
)
def test_good_parts_are_not_alone_where_other_images_lie_or_defects_are_named(names, settings, says):
    with pytest.raises(BadInput, match=says):
        layout_of(names, settings)


def test_a_third_folder_with_images_is_named():
    with pytest.raises(BadInput, match=r"a has images in unsure/ too.*--defect and --good"):
        root_of([*below("a"), "a/unsure/1.jpeg"])


@pytest.mark.parametrize(
    "names", [["a/def_front/1.jpeg"], ["a/def_front/1.jpeg", "a/ok_front/notes.txt", "a/ok_front/._1.jpeg"]]
)
def test_a_class_without_images_is_named(names):
    with pytest.raises(BadInput, match="one class is empty: a has no image in ok_front/"):
        root_of(names)


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
        root_of(names)


def test_a_damaged_folder_beside_a_whole_one_of_its_kind_is_left_alone():
    assert root_of([*below("a"), "b/def_front/1.jpeg"]) == DataRoot("a", ())


def test_without_a_root_the_folders_with_images_are_listed():
    with pytest.raises(
        BadInput, match=r"def_front/ and ok_front/.*images: a/bad \(2\), a/fine \(1\)\. If .* --defect and --good"
    ):
        root_of(["a/bad/1.jpg", "a/bad/2.jpg", "a/fine/1.jpg"])
    with pytest.raises(BadInput, match=r"images: the top folder \(1\)"):
        root_of(["1.jpg"])
    with pytest.raises(BadInput, match=r"images: none"):
        root_of(["README.md"])


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
        root_of(names)
    assert "--defect" not in str(caught.value)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_class_names_with_accents_are_found_in_either_form(form, tmp_path):
    settings = ClassSettings(defect=("de\u0301faut",), good="b\u00f3n")
    names = [
        unicodedata.normalize(form, name) for name in ("\u00e9/d\u00e9faut/1.jpeg", "\u00e9/b\u00f3n/e\u0301.jpeg")
    ]
    layout = layout_of(names, settings)
    assert [file.label for file in layout.files] == sorted(["d\u00e9faut", "b\u00f3n"])
    assert {file.name for file in layout.files} == set(names)
    assert layout.images_elsewhere == 0


def test_of_many_folders_with_images_the_first_are_listed():
    with pytest.raises(BadInput, match=r"a07 \(1\) and 12 more\."):
        root_of([f"a{number:02}/1.jpeg" for number in range(20)])


def test_each_file_of_a_class_has_its_split_and_label():
    layout = layout_of(KAGGLE)
    assert layout.files[0] == LabeledFile(
        "casting_data/casting_data/test/def_front/1.jpeg", "test/def_front/1.jpeg", "test", "def_front", "def_front"
    )
    assert [f"{file.split} {file.label}" for file in layout.files] == [
        "test def_front",
        "test ok_front",
        "train def_front",
        "train ok_front",
    ]
    assert layout.images_elsewhere == 2


def test_without_splits_the_split_is_empty():
    layout = layout_of(["b/ok_front/2.png", "b/def_front/x/1.JPG", "bb/ok_front/3.png"])
    assert [file[1:4] for file in layout.files] == [
        ("def_front/x/1.JPG", "", "def_front"),
        ("ok_front/2.png", "", "ok_front"),
    ]
    assert layout.images_elsewhere == 1


def test_files_of_a_class_that_are_no_images_are_kept_for_validation_and_junk_is_not():
    names = [
        "def_front/1.jpeg",
        "ok_front/1.jpeg",
        "ok_front/1.gif",
        "ok_front/notes.txt",
        "ok_front/._1.jpeg",
        "ok_front/Thumbs.db",
        "README.md",
        "ok_front",
        "cover.jpeg",
    ]
    layout = layout_of(names)
    assert [file.name for file in layout.files] == [
        "def_front/1.jpeg",
        "ok_front/1.gif",
        "ok_front/1.jpeg",
        "ok_front/notes.txt",
    ]
    assert layout.images_elsewhere == 1
