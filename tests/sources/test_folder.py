"""Folder: the files that can be used, and the reasons of the others."""

import errno
import os
from pathlib import Path

import pytest

from tasks.settings.errors import BadInput
from tasks.sources.folder import (
    is_image,
    left_out,
    look_through,
    readable,
    shorten,
    usable_files,
    walk,
)
from tasks.sources.names import Listing


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_of_other_formats_are_counted_and_named():
    names = ["a.jpeg", *(f"{number:02}.raw" for number in range(10)), "x.HEIC", "README", "x\x1b.gif"]
    (line,) = left_out(names)
    assert line.startswith("13 files of other formats: 10 .raw (00.raw, 01.raw")
    assert "07.raw, and 2 more), 1 without suffix (README), 1 .gif (x\\x1b.gif), 1 .heic (x.HEIC); read are" in line
    assert left_out(["a.jpeg"]) == []


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
