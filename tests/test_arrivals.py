"""Arrivals: every folder of new images is an origin of its own, and nothing is labelled by guessing."""

from pathlib import Path

import pytest

from tasks.runs.config import Classes
from tasks.runs.errors import BadInput
from tasks.sources.arrivals import Folder, arrival_folders, given_folders
from tasks.sources.folder import DataRoot, labelled, walk

CLASSES = Classes()
PAIR = ["def_front/1.jpeg", "ok_front/1.jpeg"]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_batch_has_its_name_as_origin_and_loose_classes_are_the_inbox(tmp_path):
    touch(
        tmp_path,
        "line-2/ok_front/1.jpeg",
        "line-1/def_front/1.jpeg",
        "line-1/ok_front/1.jpeg",
        "def_front/1.jpeg",
        "README.md",
    )
    touch(tmp_path, "unlabelled/1.jpeg", "unlabelled/ok_front/1.jpeg", "line-1/unlabelled/1.jpeg")
    (tmp_path / "line-3" / "ok_front").mkdir(parents=True)
    expected = [
        Folder("inbox", tmp_path),
        Folder("line-1", tmp_path / "line-1"),
        Folder("line-2", tmp_path / "line-2"),
    ]
    assert arrival_folders(tmp_path, CLASSES) == expected


def test_an_arrival_is_labelled_like_a_root_without_splits(tmp_path):
    touch(tmp_path, "line-1/ok_front/1.jpeg", "def_front/2.jpeg")
    inbox, batch = arrival_folders(tmp_path, CLASSES)
    assert [row.path for row in labelled(walk(inbox.path), DataRoot("", ()), CLASSES)[0]] == ["def_front/2.jpeg"]
    assert [row.path for row in labelled(walk(batch.path), DataRoot("", ()), CLASSES)[0]] == ["ok_front/1.jpeg"]


def test_no_inbox_and_an_empty_one_mean_no_arrivals(tmp_path):
    assert arrival_folders(tmp_path / "inbox", CLASSES) == arrival_folders(tmp_path, CLASSES) == []


@pytest.mark.parametrize("name", ["1.jpeg", "line-1/1.jpeg", "line-1/def_frnt/1.jpeg", "line-1/train/ok_front/1.jpeg"])
def test_an_image_without_a_label_in_the_inbox_is_named(name, tmp_path):
    touch(tmp_path, "line-1/ok_front/1.jpeg", name)
    with pytest.raises(BadInput, match=f"{name} has no label: .* in unlabelled/"):
        arrival_folders(tmp_path, CLASSES)


@pytest.mark.parametrize(("batch", "other"), [("base", "the source"), ("Inbox", "/inbox"), ("LINE-1", "line-1")])
def test_two_equal_origins_are_listed(batch, other, tmp_path):
    inbox = touch(tmp_path / "inbox", f"{batch}/ok_front/1.jpeg", "ok_front/1.jpeg", "line-1/ok_front/1.jpeg")
    with pytest.raises(BadInput, match=r"two origins are called .*Rename one") as caught:
        arrival_folders(inbox, CLASSES)
    assert batch in str(caught.value)
    assert other in str(caught.value)


def test_a_given_folder_has_its_own_name_as_origin(tmp_path, monkeypatch):
    touch(tmp_path, "line-1/ok_front/1.jpeg", "line-1/unlabelled/1.jpeg")
    monkeypatch.chdir(tmp_path / "line-1")
    assert given_folders([Path(".")], CLASSES) == [Folder("line-1", Path("."))]


def test_two_given_folders_of_one_name_are_listed(tmp_path):
    touch(tmp_path, "a/new/ok_front/1.jpeg", "b/new/ok_front/1.jpeg")
    with pytest.raises(BadInput, match=r"'new': .*a/new and .*b/new"):
        given_folders([tmp_path / "a/new", tmp_path / "b/new"], CLASSES)
    with pytest.raises(BadInput, match=r"'new': .*a/new and .*a/new"):
        given_folders([tmp_path / "a/new", tmp_path / "a/new"], CLASSES)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["README.md"], "has no file in def_front/ or ok_front/"),
        (["unlabelled/1.jpeg"], "has no file in def_front/ or ok_front/"),
        (["line-1/ok_front/1.jpeg"], "has no label"),
        (["ok_front/1.jpeg", "def_frnt/1.jpeg"], "def_frnt/1.jpeg has no label"),
    ],
    ids=["no images", "none with a label", "a folder above batches", "a misspelt class"],
)
def test_a_given_folder_without_labels_is_refused(names, says, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(BadInput, match=says):
        given_folders([tmp_path], CLASSES)


def test_a_missing_given_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="gone cannot be read"):
        given_folders([tmp_path / "gone"], CLASSES)
