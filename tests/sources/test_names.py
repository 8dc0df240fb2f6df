"""Names: one rule for all that comes from outside, and one table of what no person put there."""

import os

import pytest

from tasks.sources.names import casefold_name, compose, is_junk, name_fault, name_faults, safe_names

WINDOWS = ["a/thumbs.db", "ehthumbs.db", "Desktop.ini", "$RECYCLE.BIN/S-1-5/a.jpeg", "System Volume Information/x.png"]
WINDOWS += ["~$list.xlsx", "FOUND.000/a.jpeg", "RECYCLER/a.jpeg", "a.jpeg:Zone.Identifier", "Thumbs.db:encryptable"]
MACOS = ["__MACOSX/a.jpeg", "a/._b.jpeg", ".DS_Store", "Icon\r", "a/Icon\uf00d", ".Trashes/a.jpeg", ".Spotlight-V100/a"]
MACOS += ["Network Trash Folder/a.jpeg", "Temporary Items/a.jpeg", "a.jpeg:AFP_AfpInfo", ":2eDS_Store"]
SYNOLOGY = [
    "@eaDir/a.jpeg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/a.jpeg",
    "#snapshot/a.jpeg",
    "@tmp/a.jpeg",
    "@Syno/a.jpeg",
]
SYNOLOGY += ["a.jpeg@SynoEAStream", "a.jpeg@SynoResource", "SYNOFILE_THUMB_M.png", "@sharebin/a.jpeg"]
QNAP = ["@Recycle/a.jpeg", ".@__thumb/a.jpeg", "@Recently-Snapshot/a.jpeg", "Network Recycle Bin 1/a.jpeg"]
LINUX = [
    "lost+found/a.jpeg",
    ".Trash-1000/files/a.jpeg",
    ".nfs0001",
    ".git/a",
    "a.jpeg~",
    "#a.jpeg#",
    "trashbox/a.jpeg",
]
UNFINISHED = ["a/.b.jpeg.part", "a.jpeg.part", "a.jpeg.crdownload", "a.tmp", "a.jpeg.filepart", "a.jpeg.partial"]
UNFINISHED += ["~syncthing~a.jpeg.tmp", "a.jpeg.6eF0a1B2", "A.JPEG.PART", "a.jpeg.!qB", "~a.tmp"]


@pytest.mark.parametrize("name", [*WINDOWS, *MACOS, *SYNOLOGY, *QNAP, *LINUX, *UNFINISHED])
def test_what_no_person_put_there_is_known_by_its_name(name):
    assert is_junk(name)
    assert is_junk(f"def_front/{name}")


@pytest.mark.parametrize(
    "name",
    [
        "housing.part/1.jpeg",
        "#12/1.jpeg",
        "@line/1.jpeg",
        "found/1.jpeg",
        "icon/1.jpeg",
        "thumbs/1.jpeg",
        "recycle/1.jpeg",
        "snapshot/1.jpeg",
        "cast~1.jpeg",
        "12:30:05.jpeg",
        "a#b#.jpeg",
        "$1.jpeg",
        "part.jpeg",
        "1.tmp.jpeg",
        "cast.12345678.jpeg",
        "1.bmp",
        "",
        "def_front/",
    ],
)
def test_what_a_person_may_well_call_a_file_is_no_junk(name):
    assert not is_junk(name)


def test_names_that_some_disk_takes_for_one_are_folded_into_one():
    assert casefold_name("E\u0301.JPEG") == casefold_name("\u00e9.jpeg")
    assert compose("E\u0301") == "\u00c9"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (os.fsdecode(b"x\xff.jpeg"), "has a name that is not UTF-8"),
        ("x\u202egepj.exe", "has the invisible character U+202E"),
        ("Icon\r/1.jpeg", "has the invisible character U+000D"),
        ("a" * 256, "256 bytes"),
        ("a/" * 12 + "b", "13 deep"),
        ("", "empty part"),
    ],
)
def test_a_name_that_is_not_kept_has_its_reason(name, says):
    assert says in name_fault(name)


@pytest.mark.parametrize("name", ["a/b.jpeg", "\u00e9.jpeg", "a b.jpeg", "def_front/", "a/Icon\r", "12:30.jpeg"])
def test_a_plain_name_has_no_fault(name):
    assert name_fault(name) == ""
    assert list(name_faults([name])) == []


def test_of_a_folder_with_a_bad_name_the_folder_is_named_once():
    bad = os.fsdecode(b"a/b\xff")
    assert safe_names([f"{bad}/{number}.jpeg" for number in range(9)] + ["a/1.jpeg"]) == (
        ["a/1.jpeg"],
        ["'a/b\\udcff' has a name that is not UTF-8: rename it"],
    )


@pytest.mark.parametrize(
    ("names", "kept", "left"),
    [
        (["a/1.JPEG", "a/1.jpeg"], "a/1.JPEG", "a/1.jpeg"),
        (["e\u0301.jpeg", "\u00e9.jpeg"], "e\u0301.jpeg", "\u00e9.jpeg"),
        (["a/X/1.jpeg", "a/x"], "a/X/1.jpeg", "a/x"),
        (["a/X", "a/x/1.jpeg"], "a/X", "a/x/1.jpeg"),
    ],
    ids=["case", "form", "a folder and a file", "a file and a folder"],
)
def test_of_two_names_that_are_one_on_some_disks_the_first_stays(names, kept, left):
    for order in (names, names[::-1]):
        assert safe_names(order) == ([kept], [f"'{left}' and '{kept}' are one name on some disks: rename it"])


def test_files_of_one_folder_in_two_spellings_all_stay():
    assert safe_names(["A/1.jpeg", "a/2.jpeg", "a/b/3.jpeg"]).names == ["A/1.jpeg", "a/2.jpeg", "a/b/3.jpeg"]
