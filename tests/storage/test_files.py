"""Files: each is written whole or not at all, and known by its digest."""

import hashlib
import os
import time

import pytest

from tasks.settings.settings import Places
from tasks.storage.files import (
    File,
    delete_stale_scratch,
    erase,
    find_damage,
    move_into_place,
    publish,
    scratch_beside,
    sha256_of,
    store,
    tree_digest,
    write_whole,
)


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_stored_file_is_named_by_its_digest(places):
    file = store(lambda path: path.write_bytes(b"rows"), places, "data", "tables/splits.csv")
    digest = hashlib.sha256(b"rows").hexdigest()
    assert file == File(place="data", name=f"tables/splits-{digest[:16]}.csv", sha256=digest)
    assert file.path(places).read_bytes() == b"rows"
    assert contents(places.data) == ["tables", file.name]


def test_equal_content_is_one_file_and_other_content_another(places):
    first, again, other = (
        store(lambda path, text=text: path.write_text(text), places, "artifacts", "a.txt") for text in ("x", "x", "y")
    )
    assert first == again
    assert len(contents(places.artifacts)) == 2
    assert other != first


def test_the_writer_is_given_a_path_with_the_suffix(places):
    suffixes = []
    store(lambda path: [suffixes.append(path.suffix), path.touch()], places, "data", "networks/compact.keras")
    assert suffixes == [".keras"]  # Keras looks at it


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_when_writing_fails_nothing_is_left(places, error):
    def write(path):
        path.write_bytes(b"half a")
        (path.parent / "truth").mkdir()
        raise error

    with pytest.raises(type(error)):
        store(write, places, "data", "archives/sample.zip")
    assert contents(places.data) == ["archives"]


def test_a_writer_that_writes_nothing_is_an_error_and_leaves_nothing(places):
    with pytest.raises(FileNotFoundError):
        store(lambda path: None, places, "data", "a.txt")
    assert contents(places.data) == []


def test_the_old_file_stays_until_the_new_one_is_whole(places, monkeypatch):
    target = places.data / "champion"
    write_whole(target, b"1")

    def fail(*_: object) -> None:
        assert target.read_bytes() == b"1"
        raise OSError("the power went off")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="power"):
        patched.setattr(os, "replace", fail)
        write_whole(target, b"2")
    assert target.read_bytes() == b"1"
    assert contents(places.data) == ["champion"]
    write_whole(target, b"2")
    assert target.read_bytes() == b"2"


@pytest.mark.parametrize("folder", [False, True])
def test_the_content_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch, folder):
    scratch, target = tmp_path / "scratch", tmp_path / "target"
    if folder:
        scratch.mkdir()
        (scratch / "below").mkdir()
        names = {"below/a", "b"}
    else:
        names = {"."}
    for name in names:
        (scratch / name).write_bytes(b"content")
    numbers = {(scratch / name).stat().st_ino for name in names}
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: [done.append(os.fstat(file).st_ino), fsync(file)])
    monkeypatch.setattr(os, "replace", lambda *paths: [done.append("renamed"), replace(*paths)])
    publish(scratch, target)
    renamed = done.index("renamed")
    assert set(done[:renamed]) == numbers
    assert done[renamed + 1 :] == [tmp_path.stat().st_ino]
    assert not scratch.exists()


def test_scratch_lies_on_the_disk_of_its_target_and_hidden(tmp_path):
    with scratch_beside(tmp_path / "new" / "model.keras") as scratch:
        assert scratch.name == "model.keras"
        assert scratch.parent.parent == tmp_path / "new"
        assert scratch.parent.name.startswith(".")


def test_two_at_once_have_scratch_of_their_own(tmp_path):
    with scratch_beside(tmp_path / "a") as one, scratch_beside(tmp_path / "a") as other:
        assert one != other


def test_a_finished_file_is_adopted_by_moving_it(places, tmp_path):
    (tmp_path / "fetched.zip").write_bytes(b"zip")
    (places.data / "archives").mkdir(parents=True)
    file = move_into_place(tmp_path / "fetched.zip", places, "data", "archives/kaggle-o-s-v1.zip")
    assert file.path(places).name == f"kaggle-o-s-v1-{file.sha256[:16]}.zip"
    assert not (tmp_path / "fetched.zip").exists()


def test_both_places_can_be_moved(places, tmp_path):
    file = store(lambda path: path.write_bytes(b"kept"), places, "artifacts", "a/b.txt")
    places.artifacts.rename(tmp_path / "elsewhere")
    assert file.damage(places) == f"{file.path(places)} is missing"
    assert file.damage(Places(data=places.data, artifacts=tmp_path / "elsewhere")) is None


def test_a_changed_file_and_a_missing_one_are_told_apart(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    digest = sha256_of(path)
    assert find_damage(path, digest) is None
    path.write_bytes(b"two")
    assert find_damage(path, digest) == f"{path} has changed"
    path.unlink()
    assert find_damage(path, digest) == f"{path} is missing"


def test_the_date_of_a_file_says_nothing(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    digest = sha256_of(tmp_path / "a")
    os.utime(tmp_path / "a", (0, 0))
    assert find_damage(tmp_path / "a", digest) is None


def test_old_scratch_is_swept_and_nothing_else(places):
    names = [
        "archives/.sample.x.scratch",
        ".plain.y.scratch",
        "inbox/.mine.scratch",
        "archives/kept",
    ]
    for name in names:
        (places.data / name).mkdir(parents=True)
        os.utime(places.data / name, (0, 0))
    (places.data / "archives/.young.x.scratch").mkdir()
    (places.data / "training/young").mkdir(parents=True)
    (places.data / "training/forgotten").mkdir()
    (places.data / "training/forgotten/0001-ab.npz").touch()
    os.utime(places.data / "training/forgotten", (0, 0))
    delete_stale_scratch(places)
    left = {path.relative_to(places.data).as_posix() for path in places.data.rglob("*")}
    assert left == {
        "archives",
        "archives/kept",
        "archives/.young.x.scratch",
        "inbox",
        "inbox/.mine.scratch",
        "training",
        "training/young",
    }


def test_a_folder_is_known_by_all_its_files_and_holds_no_link(tmp_path):
    for name in ("a/b.txt", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = tree_digest(tmp_path)
    (tmp_path / "empty").mkdir()
    assert tree_digest(tmp_path) == first
    (tmp_path / "a/b.txt").rename(tmp_path / "empty/b.txt")
    assert tree_digest(tmp_path) != first
    (tmp_path / "a/link").symlink_to(tmp_path / "c.txt")
    with pytest.raises(ValueError, match="link is a link"):
        tree_digest(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "/etc/passwd", "a/../../b", "a\0b"])
def test_a_record_names_no_file_outside_its_place(name):
    with pytest.raises(ValueError, match="leads out of the place"):
        File(place="data", name=name, sha256="ab")


@pytest.mark.parametrize("days", [-400, 400], ids=["old by a clock", "ahead of a clock"])
def test_scratch_that_a_process_works_in_is_not_swept_whatever_the_clock_says(places, days):
    target = places.data / "archives/sample.zip"
    with scratch_beside(target) as scratch:
        os.utime(scratch.parent, (time.time() + days * 86_400,) * 2)
        delete_stale_scratch(places)
        scratch.write_bytes(b"zip")
        publish(scratch, target)
    assert target.read_bytes() == b"zip"


@pytest.mark.parametrize(("days", "goes"), [(-2, True), (-0.5, False), (0.5, False), (2, True)])
def test_scratch_of_the_dead_goes_a_day_later_also_where_the_clock_was_set_back(places, days, goes):
    scratch = places.data / "archives/.sample.x.scratch"
    scratch.mkdir(parents=True)
    (scratch / ".held").touch()  # the system drops the locks of the dead
    os.utime(scratch, (time.time() + days * 86_400,) * 2)
    delete_stale_scratch(places)
    assert scratch.exists() != goes


def test_a_disk_without_locks_has_scratch_too(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("tasks.storage.locks.fcntl.flock", refuse)
    write_whole(tmp_path / "a", b"1")
    assert contents(tmp_path) == ["a"]


def test_sweeping_follows_no_link_out_of_the_places(places, tmp_path):
    for name in ("training/old", "x/.a.scratch"):
        (tmp_path / "another's" / name).mkdir(parents=True)
        os.utime(tmp_path / "another's" / name, (0, 0))
    places.data.mkdir()
    (places.data / "training").symlink_to(tmp_path / "another's/training")
    (places.data / "x").symlink_to(tmp_path / "another's/x")
    delete_stale_scratch(places)
    assert (tmp_path / "another's/training/old").is_dir()
    assert (tmp_path / "another's/x/.a.scratch").is_dir()


def test_a_link_is_erased_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    erase(tmp_path / "link")
    assert (tmp_path / "folder/inner").is_dir()
    erase(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
