"""Digest cache: a file that did not change is not read again, and one that changed always is."""

import builtins
import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.settings.settings import Places
from tasks.storage import digest_cache
from tasks.storage.digest_cache import NAME, file_digests, unchanged


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of the files that are opened, in order."""
    found: list[str] = []
    real = builtins.open

    def watched(path, *rest, **named):
        found.append(os.path.basename(os.fsdecode(path)))
        return real(path, *rest, **named)

    monkeypatch.setattr(digest_cache, "open", watched, raising=False)
    return found


@pytest.fixture
def settle(monkeypatch):
    """Lets so many seconds pass by the clock that tells how old a file is."""

    def pass_by(seconds: float) -> None:
        now = time.time_ns()
        monkeypatch.setattr(digest_cache.time, "time_ns", lambda: now + int(seconds * 1e9))

    return pass_by


@pytest.fixture
def write_files(tmp_path, places):
    places.data.mkdir()

    def write(*contents: bytes) -> list[Path]:
        paths = [tmp_path / f"{number}.jpeg" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return paths

    return write


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_digest_of_each_file_comes_in_order_and_of_a_missing_one_none(write_files, places, tmp_path):
    one, two = write_files(b"one", b"two")
    wanted = [two, tmp_path / "none.jpeg", one, two, one / "below a file"]
    assert file_digests(wanted, places) == [sha256(b"two"), None, sha256(b"one"), sha256(b"two"), None]
    assert file_digests([str(path) for path in wanted], places) == file_digests(wanted, places)
    assert file_digests([], places) == []


def test_an_unchanged_file_is_read_once(write_files, places, reads, settle):
    paths = write_files(b"one", b"two")
    settle(3)
    first = file_digests(paths, places)
    assert sorted(reads) == ["0.jpeg", "1.jpeg"]
    assert file_digests(paths, places) == first
    assert len(reads) == 2


def test_a_new_file_among_known_ones_is_the_only_one_that_is_read(write_files, places, reads, settle, tmp_path):
    paths = write_files(*(b"%d" % number for number in range(600)))  # more than one statement takes
    settle(3)
    file_digests(paths, places)
    reads.clear()
    new = tmp_path / "new.jpeg"
    new.write_bytes(b"new")
    assert file_digests([*paths, new], places) == [*(sha256(b"%d" % number) for number in range(600)), sha256(b"new")]
    assert reads == ["new.jpeg"]


def test_a_file_as_young_as_the_clock_is_coarse_is_read_again(write_files, places, reads, settle):
    """It may change once more and keep its times, as git's racy entries do."""
    (path,) = write_files(b"one")
    assert file_digests([path], places) == [sha256(b"one")]
    settle(1.9)
    assert file_digests([path], places) == [sha256(b"one")]
    assert len(reads) == 2
    settle(2.1)
    file_digests([path], places)
    assert len(reads) == 3
    file_digests([path], places)
    assert len(reads) == 3


def test_a_change_within_the_clocks_granularity_is_noticed(write_files, places):
    """Equal size and both times as they were: what one coarse tick of a clock shows of a change."""
    (path,) = write_files(b"one")
    there = path.stat()
    file_digests([path], places)
    path.write_bytes(b"two")
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
    assert file_digests([path], places) == [sha256(b"two")]


def set_back(path: Path, there: os.stat_result) -> None:
    """Gives a file the time that it had; the clock of the file system has ticked since, as it has when a file is settled."""
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
    while path.stat().st_ctime_ns == there.st_ctime_ns:
        os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))


def rewrite(path: Path, there: os.stat_result) -> None:
    path.write_bytes(b"two")
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns + 1))


def rewrite_and_set_the_time_back(path: Path, there: os.stat_result) -> None:
    path.write_bytes(b"two")
    set_back(path, there)


def replace_by_another_of_its_age(path: Path, there: os.stat_result) -> None:
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("days", [-400, 400])
def test_a_file_from_another_clock_is_read_once_too(write_files, places, reads, settle, days):
    """Its dates lie far from now, and what changes it gives it others."""
    (path,) = write_files(b"x")
    os.utime(path, (time.time() + days * 86_400,) * 2)
    settle(3)
    assert file_digests([path], places) == file_digests([path], places) == [sha256(b"x")]
    assert reads == ["0.jpeg"]
    assert unchanged([str(path), str(path) + "z"], places) == {str(path)}
    path.write_bytes(b"y")
    assert unchanged([str(path)], places) == set()
    assert file_digests([path], places) == [sha256(b"y")]


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(5, "I/O error"), OSError(116, "stale")])
def test_a_file_that_cannot_be_read_has_no_digest_and_stops_no_other(write_files, places, monkeypatch, error):
    paths, real = write_files(b"x", b"y"), builtins.open

    def refused(path, *rest, **named):
        if os.fsdecode(path) == str(paths[0]):
            raise error
        return real(path, *rest, **named)

    monkeypatch.setattr(digest_cache, "open", refused, raising=False)
    assert file_digests(paths, places) == [None, sha256(b"y")]


@pytest.mark.parametrize("change", [rewrite, rewrite_and_set_the_time_back, replace_by_another_of_its_age])
def test_a_changed_file_of_equal_size_is_noticed(write_files, places, settle, change):
    (path,) = write_files(b"one")
    settle(3)
    there = path.stat()
    assert file_digests([path], places) == [sha256(b"one")]
    change(path, there)
    assert file_digests([path], places) == [sha256(b"two")]


def test_a_file_that_goes_and_comes_back_is_followed(write_files, places, settle):
    (path,) = write_files(b"one")
    settle(3)
    file_digests([path], places)
    path.unlink()
    assert file_digests([path], places) == [None]
    path.write_bytes(b"two")
    assert file_digests([path], places) == [sha256(b"two")]


def test_without_a_data_folder_files_are_read_and_none_is_made(tmp_path, reads, settle):
    path, places = tmp_path / "a.jpeg", Places(data=tmp_path / "data")
    path.write_bytes(b"one")
    settle(3)
    assert file_digests([path], places) == file_digests([path], places) == [sha256(b"one")]
    assert reads == ["a.jpeg", "a.jpeg"]
    assert not places.data.exists()


def test_a_damaged_memory_is_begun_anew(write_files, places, settle, capsys):
    (path,) = write_files(b"one")
    settle(3)
    file_digests([path], places)
    (places.data / NAME).write_bytes(b"no database " * 500)
    assert file_digests([path], places) == [sha256(b"one")]
    assert capsys.readouterr().out.endswith("begun anew\n")


def test_a_name_that_is_no_text_is_taken(write_files, places, settle, reads):
    write_files()
    path = os.fsencode(places.data) + b"/\xff.jpeg"
    Path(os.fsdecode(path)).write_bytes(b"one")
    settle(3)
    for _ in range(2):
        assert file_digests([os.fsdecode(path)], places) == [sha256(b"one")]
    assert len(reads) == 1


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abc"), st.sampled_from([b"one", b"two", b"three", None]), st.booleans()),
            st.just("look"),
        ),
        max_size=12,
    )
)
def test_whatever_happens_to_files_their_digests_are_right(steps, tmp_path_factory):
    top = tmp_path_factory.mktemp("states")
    places, paths = Places(data=top), [top / name for name in "abc"]
    real = time.time_ns
    digest_cache.time.time_ns = lambda: real() + 3_000_000_000
    try:
        for step in [*steps, "look"]:
            if step == "look":
                expected = [sha256(path.read_bytes()) if path.exists() else None for path in paths]
                assert file_digests(paths, places) == expected
                continue
            name, content, keeps_time = step
            path, there = top / name, (top / name).stat() if (top / name).exists() else None
            path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
            if there and content is not None:
                set_back(path, there)
                if not keeps_time:
                    path.touch()
    finally:
        digest_cache.time.time_ns = real


def test_a_file_of_more_bytes_than_the_caller_wants_is_not_read(places, reads, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(11))
    small, gone = tmp_path / "small", tmp_path / "gone"
    small.write_bytes(bytes(10))
    assert file_digests([large, small, gone], places, 10) == ["", sha256(bytes(10)), None]
    assert "large" not in reads
    assert file_digests([large], places) == [sha256(bytes(11))]
    assert file_digests([large], places, 10) == [""], "known or not"
