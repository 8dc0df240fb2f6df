"""Arrivals: every folder of new images is an origin of its own, and nothing is labelled by guessing."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.inbox import arrivals as noun
from tasks.inbox.arrivals import Folder, arrival_folders, find_arrivals, given_folders
from tasks.records.results import ClassFolders, Corrections, PartNames
from tasks.settings.errors import BadInput
from tasks.settings.settings import Config, FetchSettings
from tasks.sources.folder import walk

FOLDERS = ClassFolders()
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
    touch(tmp_path, "unlabeled/1.jpeg", "unlabeled/ok_front/1.jpeg", "line-1/unlabeled/1.jpeg")
    (tmp_path / "line-3" / "ok_front").mkdir(parents=True)
    expected = [
        Folder("inbox", tmp_path),
        Folder("line-1", tmp_path / "line-1"),
        Folder("line-2", tmp_path / "line-2"),
    ]
    assert arrival_folders(tmp_path, FOLDERS) == expected


def test_the_class_folders_of_an_arrival_lie_at_its_top(tmp_path):
    touch(tmp_path, "line-1/ok_front/1.jpeg", "def_front/2.jpeg")
    inbox, batch = arrival_folders(tmp_path, FOLDERS)
    assert noun.labeled_files_of(walk(inbox.path), FOLDERS) == ["def_front/2.jpeg"]
    assert noun.labeled_files_of(walk(batch.path), FOLDERS) == ["ok_front/1.jpeg"]


def test_each_kind_of_defect_has_a_folder_and_the_class_too(tmp_path, places):
    folders = ClassFolders(defect=("crack", "hole"), good="fine")
    touch(tmp_path, *(f"line-1/{name}/{name}.jpeg" for name in ("crack", "hole", "defect", "fine")))
    (arrival,) = find_arrivals(FetchSettings(arrivals=(tmp_path / "line-1",), settle_seconds=0), folders, places)
    labels = {(entry.kind, entry.label) for entry in noun.entries_of(arrival, folders, places)}
    assert labels == {("crack", "defect"), ("hole", "defect"), ("defect", "defect"), ("fine", "fine")}
    touch(tmp_path, "line-2/scratch/1.jpeg")
    with pytest.raises(BadInput, match="put it in crack/, hole/, defect/ or fine/ beside the others, or in unlabeled/"):
        arrival_folders(tmp_path, folders)


def test_masks_of_an_arrival_are_named_and_are_no_photographs(tmp_path, places, photograph, capsys):
    batch = touch(tmp_path / "line-1", "def_front/1.jpeg", "def_front/1.png", "ground_truth/x/2.png")
    (batch / "def_front/1.jpeg").write_bytes(photograph(1))
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:20] = 255
    for name in ("def_front/1.png", "ground_truth/x/2.png"):
        Image.fromarray(mask).save(batch / name)
    (arrival,) = find_arrivals(FetchSettings(arrivals=(batch,), settle_seconds=0), FOLDERS, places)
    assert arrival.names == ("def_front/1.jpeg",)
    assert "arrivals: left out: 2 masks, such as def_front/1.png" in capsys.readouterr().out


def test_a_file_that_is_too_large_for_a_photograph_is_named_and_not_read(places, capsys):
    batch = touch(places.data / "inbox/line-1", *PAIR)
    os.truncate(batch / PAIR[1], 2**40)  # a file with a hole: reading it would take an hour
    (found,) = find_arrivals(FetchSettings(settle_seconds=0), ClassFolders(), places)
    assert found.names == (PAIR[0],)
    assert "arrivals: left out: ok_front/1.jpeg is larger than 67,108,864 bytes\n" in capsys.readouterr().out


def test_no_inbox_and_an_empty_one_mean_no_arrivals(tmp_path):
    assert arrival_folders(tmp_path / "inbox", FOLDERS) == arrival_folders(tmp_path, FOLDERS) == []


@pytest.mark.parametrize("name", ["1.jpeg", "line-1/1.jpeg", "line-1/def_frnt/1.jpeg", "line-1/train/ok_front/1.jpeg"])
def test_an_image_without_a_label_in_the_inbox_is_named(name, tmp_path):
    touch(tmp_path, "line-1/ok_front/1.jpeg", name)
    with pytest.raises(BadInput, match=f"{name} has no label: .* in unlabeled/"):
        arrival_folders(tmp_path, FOLDERS)


@pytest.mark.parametrize(("batch", "other"), [("base", "the source"), ("Inbox", "/inbox"), ("LINE-1", "line-1")])
def test_two_equal_origins_are_listed(batch, other, tmp_path):
    inbox = touch(tmp_path / "inbox", f"{batch}/ok_front/1.jpeg", "ok_front/1.jpeg", "line-1/ok_front/1.jpeg")
    with pytest.raises(BadInput, match=r"two origins are called .*Rename one") as caught:
        arrival_folders(inbox, FOLDERS)
    assert batch in str(caught.value)
    assert other in str(caught.value)


def test_a_given_folder_has_its_own_name_as_origin(tmp_path, monkeypatch):
    touch(tmp_path, "line-1/ok_front/1.jpeg", "line-1/unlabelled/1.jpeg", "line-1/unlabeled/1.jpeg")
    monkeypatch.chdir(tmp_path / "line-1")
    assert given_folders([Path(".")], FOLDERS) == [Folder("line-1", Path("."))]


def test_two_given_folders_of_one_name_are_listed(tmp_path):
    touch(tmp_path, "a/new/ok_front/1.jpeg", "b/new/ok_front/1.jpeg")
    with pytest.raises(BadInput, match=r"'new': .*a/new and .*b/new"):
        given_folders([tmp_path / "a/new", tmp_path / "b/new"], FOLDERS)
    with pytest.raises(BadInput, match=r"'new': .*a/new and .*a/new"):
        given_folders([tmp_path / "a/new", tmp_path / "a/new"], FOLDERS)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["README.md"], "has no file in def_front/ or ok_front/"),
        (["unlabelled/1.jpeg", "unlabeled/1.jpeg"], "has no file in def_front/ or ok_front/"),
        (["line-1/ok_front/1.jpeg"], "has no label"),
        (["ok_front/1.jpeg", "def_frnt/1.jpeg"], "def_frnt/1.jpeg has no label"),
    ],
    ids=["no images", "none with a label", "a folder above batches", "a misspelt class"],
)
def test_a_given_folder_without_labels_is_refused(names, says, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(BadInput, match=says):
        given_folders([tmp_path], FOLDERS)


def test_files_of_other_formats_outside_the_class_folders_are_counted_and_named(tmp_path, capsys):
    touch(tmp_path, *PAIR, "unlabelled/1.gif", "old/2.GIF", "notes.txt")
    given_folders([tmp_path], FOLDERS)
    arrival_folders(tmp_path, FOLDERS)
    line = "3 files of other formats: 2 .gif (old/2.GIF, unlabelled/1.gif), 1 .txt (notes.txt); read are"
    assert capsys.readouterr().out.count(f"arrivals: left out: {line}") == 2


def test_a_given_folder_of_other_formats_says_what_it_holds(tmp_path):
    touch(tmp_path, "castings.zip")
    with pytest.raises(
        BadInput, match=r"has no file in def_front/ or ok_front/, it holds 1 \.zip \(castings\.zip\): give"
    ):
        given_folders([tmp_path], FOLDERS)


def test_a_class_folder_with_an_accent_is_found_in_either_form(tmp_path):
    folders = ClassFolders(defect=("d\u00e9faut",), good="bon")
    touch(tmp_path, "line-1/de\u0301faut/1.jpeg", "line-2/d\u00e9faut/1.jpeg")
    assert [folder.origin for folder in arrival_folders(tmp_path, folders)] == ["line-1", "line-2"]
    assert noun.labeled_files_of(["de\u0301faut/1.jpeg"], folders) == ["de\u0301faut/1.jpeg"]


def test_a_missing_given_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="gone cannot be read"):
        given_folders([tmp_path / "gone"], FOLDERS)


@pytest.fixture
def unsettled(monkeypatch):
    """Files whose names hold this text are still being written."""

    def leave(text: str) -> None:
        monkeypatch.setattr(noun, "settled_files", lambda paths, *_: {path for path in paths if text not in path})

    return leave


def test_a_file_that_is_being_written_is_left_for_the_next_run(tmp_path, places, unsettled, capsys):
    touch(tmp_path, *PAIR, "ok_front/2.jpeg")
    unsettled("2.jpeg")
    (arrival,) = find_arrivals(FetchSettings(arrivals=(tmp_path,)), ClassFolders(), places)
    assert (arrival.names, arrival.unsettled) == (tuple(PAIR), 1)
    assert capsys.readouterr().out == (
        f"arrivals: still being written, left for the next run: 1 of 3 files of {tmp_path.name}\n"
    )


def test_an_arrival_of_which_nothing_is_settled_is_left_out(places, unsettled):
    touch(places.data / "inbox", "line-1/ok_front/1.jpeg", "line-2/ok_front/1.jpeg")
    unsettled("line-1")
    assert [arrival.origin for arrival in find_arrivals(FetchSettings(), ClassFolders(), places)] == ["line-2"]


def test_all_arrivals_are_waited_for_at_once(tmp_path, places, monkeypatch):
    waits = []
    monkeypatch.setattr(noun, "settled_files", lambda paths, seconds, _: waits.append(seconds) or set(paths))
    folders = tuple(touch(tmp_path / name, *PAIR) for name in ("line-1", "line-2"))
    arrivals = find_arrivals(FetchSettings(arrivals=folders), ClassFolders(), places)
    assert [(arrival.names, arrival.unsettled) for arrival in arrivals] == [(tuple(PAIR), 0)] * 2
    assert waits == [2.0]
    assert not places.data.exists()


def test_the_identity_is_that_of_names_and_content(tmp_path, places):
    def identity(folder: str) -> str:
        return find_arrivals(FetchSettings(arrivals=(tmp_path / folder,), settle_seconds=0), ClassFolders(), places)[
            0
        ].identity

    for folder in ("a", "b", "c", "d"):
        touch(tmp_path / folder, *PAIR)
    touch(tmp_path / "d", "ok_front/2.jpeg")
    (tmp_path / "c/ok_front/1.jpeg").write_bytes(b"other")
    assert identity("a") == identity("b")
    assert len({identity(folder) for folder in ("a", "c", "d")}) == 3


def test_a_name_that_a_table_would_not_keep_costs_that_file_alone(tmp_path, places, capsys):
    touch(tmp_path, *PAIR, "ok_front/a\nb.jpeg", os.fsdecode(b"ok_front/\xff.jpeg"))
    (found,) = find_arrivals(FetchSettings(arrivals=(tmp_path,), settle_seconds=0), ClassFolders(), places)
    assert found.names == tuple(PAIR)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"arrivals: left out: {tmp_path}: 'ok_front/a\\nb.jpeg' has the invisible character U+000A")
    assert second.startswith(f"arrivals: left out: {tmp_path}: 'ok_front/\\udcff.jpeg' has a name that is not UTF-8")


@pytest.mark.parametrize("name", [b"line\xff", b"line\n2", b"line\x1b[2J"])
def test_a_batch_of_such_a_name_is_told_and_the_others_go_on(tmp_path, places, capsys, name):
    inbox = places.data / "inbox"
    touch(inbox, "line-1/ok_front/1.jpeg", f"{os.fsdecode(name)}/ok_front/1.jpeg")
    assert [one.origin for one in find_arrivals(FetchSettings(settle_seconds=0), ClassFolders(), places)] == ["line-1"]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"arrivals: left out: {inbox}/line")
    assert line.endswith("rename it")
    assert line.isprintable()


def test_a_given_folder_of_such_a_name_is_refused(tmp_path):
    folder = touch(tmp_path / os.fsdecode(b"line\xff"), *PAIR)
    with pytest.raises(BadInput, match=r"line\\udcff has a name that is not UTF-8: rename it"):
        given_folders([folder], FOLDERS)


def test_a_batch_that_may_not_be_read_is_told_and_the_others_go_on(tmp_path, places, capsys, monkeypatch):
    inbox = touch(places.data / "inbox", "line-1/ok_front/1.jpeg", "line-2/ok_front/1.jpeg")
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("line-2"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [one.origin for one in find_arrivals(FetchSettings(settle_seconds=0), ClassFolders(), places)] == ["line-1"]
    assert capsys.readouterr().out.startswith(f"arrivals: left out: {inbox}/line-2 cannot be read (Permission denied)")


def test_an_image_that_may_not_be_read_is_told_and_the_others_go_on(tmp_path, places, capsys, monkeypatch):
    touch(tmp_path, *PAIR, "ok_front/2.jpeg")
    monkeypatch.setattr(os, "access", lambda path, how: not str(path).endswith("2.jpeg"))
    (found,) = find_arrivals(FetchSettings(arrivals=(tmp_path,), settle_seconds=0), ClassFolders(), places)
    assert found.names == tuple(PAIR)
    assert capsys.readouterr().out == (
        f"arrivals: left out: {tmp_path}/ok_front/2.jpeg cannot be read by this user: see that it may\n"
    )


@pytest.mark.parametrize(
    "junk",
    [
        "#recycle/1.jpeg",
        "@eaDir/1.jpeg/SYNOPHOTO_THUMB_M.jpg",
        "$RECYCLE.BIN/S-1-5/$R1.jpeg",
        "lost+found/1.jpeg",
        "Icon\r",
    ],
)
def test_what_a_nas_or_a_system_leaves_in_the_inbox_is_no_arrival(tmp_path, places, junk, capsys):
    touch(places.data / "inbox", "line-1/ok_front/1.jpeg", junk, f"line-1/ok_front/{junk}")
    (found,) = find_arrivals(FetchSettings(settle_seconds=0), ClassFolders(), places)
    assert found.names == ("ok_front/1.jpeg",)
    assert capsys.readouterr().out == ""


LABELED = "reviewed-20261201-line-3"


def test_a_folder_of_labeled_photographs_has_their_origin_and_comes_last(tmp_path):
    names = [LABELED, "line-3", "reviewed-20261130-line-3", "reviewed-20261202-inbox", "zz"]
    touch(tmp_path, "ok_front/1.jpeg", *(f"{name}/ok_front/1.jpeg" for name in names))
    assert [(folder.origin, folder.path.name) for folder in arrival_folders(tmp_path, FOLDERS)] == [
        ("inbox", tmp_path.name),
        ("line-3", "line-3"),
        ("zz", "zz"),
        ("line-3", "reviewed-20261130-line-3"),
        ("line-3", LABELED),
        ("inbox", "reviewed-20261202-inbox"),
    ]


@pytest.mark.parametrize(
    "name", ["reviewed-2026-line-3", "reviewed-20261201", "reviewed-20261201-", "Reviewed-20261201-x"]
)
def test_a_name_that_is_only_alike_is_an_origin_of_its_own(tmp_path, name):
    touch(tmp_path, f"{name}/ok_front/1.jpeg")
    assert [folder.origin for folder in arrival_folders(tmp_path, FOLDERS)] == [name]


@pytest.mark.parametrize("folder", ["line-3", "LINE-3", "Line-3"])
def test_the_spelling_of_an_origin_is_that_of_its_own_folder(tmp_path, folder):
    touch(tmp_path, f"{folder}/ok_front/1.jpeg", "reviewed-20261201-line-3/ok_front/2.jpeg")
    touch(tmp_path, "reviewed-20261202-LINE-3/ok_front/3.jpeg")
    assert {found.origin for found in arrival_folders(tmp_path, FOLDERS)} == {folder}


def test_without_its_own_folder_an_origin_has_the_first_spelling(tmp_path):
    touch(tmp_path, "reviewed-20261201-line-3/ok_front/2.jpeg", "reviewed-20261202-LINE-3/ok_front/3.jpeg")
    assert [found.origin for found in arrival_folders(tmp_path, FOLDERS)] == ["line-3", "line-3"]


@pytest.mark.parametrize("origin", ["base", "Base"])
def test_labeled_photographs_with_the_origin_of_the_source_are_refused(tmp_path, origin):
    touch(tmp_path, f"reviewed-20261201-{origin}/ok_front/1.jpeg")
    with pytest.raises(BadInput, match="two origins are called .*: the source and .*Rename one"):
        arrival_folders(tmp_path, FOLDERS)


def test_given_folders_of_labeled_photographs_have_their_origin_too(tmp_path):
    folders = [touch(tmp_path / name, "ok_front/1.jpeg") for name in (LABELED, "line-3")]
    assert given_folders(folders, FOLDERS) == [Folder("line-3", folder) for folder in folders]
    with pytest.raises(BadInput, match=f"two origins are called 'line-3': .*{LABELED} and .*{LABELED}"):
        given_folders([folders[0], folders[0]], FOLDERS)


def test_two_files_of_one_origin_and_one_name_are_listed(tmp_path, places):
    folders = tuple(touch(tmp_path / name, "ok_front/1.jpeg") for name in ("line-3", LABELED))
    with pytest.raises(
        BadInput, match=f"two files of 'line-3' are called 'ok_front/1.jpeg': in .*line-3 and in .*{LABELED}"
    ):
        find_arrivals(FetchSettings(arrivals=folders, settle_seconds=0), FOLDERS, places)


def test_a_run_counts_labeled_photographs_with_the_others_of_their_origin(dataset, places, photograph):
    from tasks.audit import audit
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.sources.locate import locate
    from tasks.split import split
    from tasks.validate import validate

    source = dataset({"train": 12, "test": 4})
    for name, first_seed in (("line-3", 500), ("line-4", 600)):
        dataset({"": 2}, name=f"data/inbox/{name}", first_seed=first_seed)
    for number, kind in enumerate(("def_front", "ok_front")):
        name = f"{kind}/0123456789abcdef/cast_0.jpeg"
        touch(places.inbox / LABELED, name)
        (places.inbox / LABELED / name).write_bytes(photograph(700 + number, hole=kind == "def_front"))
    settings = Config(fetch=FetchSettings(source=str(source), settle_seconds=0), places=places)
    folder = extract.fn(fetch.fn(locate(settings.fetch, places), places), settings.fetch.classes, places)
    arrivals = find_arrivals(settings.fetch, folder.folders, places)
    manifest = validate.fn(folder, arrivals, Corrections(), settings.validation, places)
    accepted = {origin.name: sum(origin.by_class.values()) for origin in manifest.origins}
    assert accepted == {"base": 32, "line-3": 6, "line-4": 4}
    audited = audit.fn(manifest, PartNames(), settings.audit, places)
    splits = split.fn(manifest, audited, settings.splitting, settings.view, False, places)
    assert splits.by_origin == {"base": 32, "line-3": 6, "line-4": 4}
