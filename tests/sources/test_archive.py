"""Archive: hostile zips end in one line and nothing on the disk, good ones arrive byte for byte."""

import errno
import hashlib
import os
import re
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.settings.errors import BadInput
from tasks.settings.settings import ClassSettings
from tasks.sources.archive import MIB, Caps, Unpacked, members, open_reader, pack, unpack
from tasks.sources.folder import walk
from tasks.sources.layouts.detect import detect
from tasks.sources.names import is_junk

SMALL = Caps(entries=4, total=4 * MIB, file=3 * MIB)


class Entry(NamedTuple):
    """An entry as the zip's list of entries tells of it, true or not. None: the truth."""

    name: bytes
    data: bytes = b"pixels"
    mode: int = stat.S_IFREG | 0o644
    flags: int = 0x800  # the name is UTF-8
    method: int = 0
    packed: bytes | None = None
    local_name: bytes | None = None
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    extra: bytes = b""


def zipped(*entries: Entry) -> bytes:
    """A zip with `entries`, written field by field, as `zipfile` refuses to write most of these."""
    body = listing = b""
    for entry in entries:
        packed = entry.data if entry.packed is None else entry.packed
        offset = len(body) if entry.offset is None else entry.offset
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        packed_size = len(packed) if entry.packed_size is None else entry.packed_size
        size = len(entry.data) if entry.size is None else entry.size
        local_name = entry.name if entry.local_name is None else entry.local_name
        common = (entry.flags, entry.method, 0, 0x21, crc, packed_size, size)
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, *common, len(local_name), 0) + local_name + packed
        listing += struct.pack("<4s6H3I", b"PK\1\2", 0x314, 20, *common)
        listing += struct.pack("<5H2I", len(entry.name), len(entry.extra), 0, 0, 0, entry.mode << 16, offset)
        listing += entry.name + entry.extra
    return (
        body
        + listing
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(listing), len(body), 0)
    )


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zeros(name: bytes, size: int) -> Entry:
    return Entry(name, bytes(size), method=8, packed=deflated(bytes(size)))


GOOD = Entry(b"good.jpeg")
WHOLE = zipped(GOOD, Entry(b"other.jpeg", b"other pixels"))

REFUSED_AT_SIGHT = {
    "traversal": ([Entry(b"../../x.jpeg")], r"'\.\.' in its name"),
    "traversal inside": ([Entry(b"a/../x.jpeg")], r"'\.\.' in its name"),
    "traversal of a folder": ([Entry(b"a/../", b"", stat.S_IFDIR | 0o755)], r"'\.\.' in its name"),
    "junk that traverses": ([Entry(b"__MACOSX/../../x")], r"'\.\.' in its name"),
    "absolute": ([Entry(b"/etc/x.jpeg")], "absolute"),
    "drive letter": ([Entry(b"C:/x.jpeg")], "absolute"),
    "drive letter alone": ([Entry(b"c:x.jpeg")], "absolute"),
    "backslashes": ([Entry(b"..\\x.jpeg")], "backslash"),
    "empty name": ([Entry(b"")], "empty part"),
    "name of one slash": ([Entry(b"/", b"")], "absolute"),
    "double slash": ([Entry(b"a//x.jpeg")], "empty part"),
    "name of one dot": ([Entry(b".")], r"'\.'"),
    "dot inside": ([Entry(b"a/./x.jpeg")], r"'\.'"),
    "NUL": ([Entry(b"x.jpeg\0.exe")], r"U\+0000"),
    "NUL first": ([Entry(b"\0x.jpeg")], r"U\+0000"),
    "newline": ([Entry(b"x\n.jpeg")], r"U\+000A"),
    "escape": ([Entry(b"x\x1b[2J.jpeg")], r"U\+001B"),
    "right-to-left mark": ([Entry("x\u202egepj.exe".encode())], r"U\+202E"),
    "line separator": ([Entry("x\u2028.jpeg".encode())], r"U\+2028"),
    "300 characters": ([Entry(b"x" * 300)], "300 bytes"),
    "256 bytes in 128 characters": ([Entry("\u00e9".encode() * 128)], "256 bytes"),
    "1,100 characters in all": ([Entry(b"/".join([b"x" * 219] * 5))], "1,099 bytes"),
    "13 deep": ([Entry(b"a/" * 12 + b"x.jpeg")], "13 deep"),
    "symlink": ([Entry(b"x.jpeg", b"/etc/passwd", stat.S_IFLNK | 0o777)], "is a link"),
    "symlink and an entry below it": (
        [Entry(b"x", b"/tmp", stat.S_IFLNK | 0o777), Entry(b"x/y.jpeg")],
        "'x' is a file and a folder",
    ),
    "fifo": ([Entry(b"x.jpeg", mode=stat.S_IFIFO | 0o644)], "is a link, a device"),
    "device": ([Entry(b"x.jpeg", mode=stat.S_IFCHR | 0o644)], "is a link, a device"),
    "block device": ([Entry(b"x.jpeg", mode=stat.S_IFBLK | 0o644)], "is a link, a device"),
    "socket": ([Entry(b"x.jpeg", mode=stat.S_IFSOCK | 0o644)], "is a link, a device"),
    "setuid": ([Entry(b"x.jpeg", mode=stat.S_IFREG | stat.S_ISUID | 0o755)], "as another user"),
    "setgid": ([Entry(b"x.jpeg", mode=stat.S_IFREG | stat.S_ISGID | 0o755)], "as another user"),
    "file marked as a folder": ([Entry(b"x.jpeg", mode=stat.S_IFDIR | 0o755)], "neither a file nor a folder"),
    "folder marked as a file": ([Entry(b"x/", b"")], "neither a file nor a folder"),
    "folder with data": ([Entry(b"x/", mode=stat.S_IFDIR | 0o755)], "is a folder, but holds 6 bytes"),
    "duplicates": ([Entry(b"x.jpeg"), Entry(b"x.jpeg")], "one name"),
    "names that differ in case": ([Entry(b"x.jpeg"), Entry(b"X.JPEG")], "one name"),
    "names that differ in Unicode form": ([Entry("\u00e9.jpeg".encode()), Entry("e\u0301.jpeg".encode())], "one name"),
    "file that is a folder too": ([Entry(b"x"), Entry(b"x/y.jpeg")], "'x' is a file and a folder"),
    "file that is a folder in other case": ([Entry(b"a/X/y.jpeg"), Entry(b"A/x")], "'A/x' is a file and a folder"),
    "folder and file of one name": ([Entry(b"x/", b"", stat.S_IFDIR | 0o755), Entry(b"x")], "one name"),
    "too many entries": ([Entry(b"%d.jpeg" % part) for part in range(4)], "5 entries, at most 4"),
    "two entries over the same bytes": ([Entry(b"x.jpeg"), Entry(b"y.jpeg", offset=0)], "lies over another entry"),
    "two empty entries in one place": (
        [Entry(b"x.jpeg", b""), Entry(b"y.jpeg", b"", offset=45)],
        "lies over another entry",
    ),
    "entry that holds the next one": ([Entry(b"x.jpeg", packed_size=60), Entry(b"y.jpeg")], "lies over another entry"),
    "entry that reaches into the list": ([Entry(b"x.jpeg", packed_size=80)], "lies over another entry"),
    "entry behind the list": ([Entry(b"x.jpeg", offset=2**20)], "lies over another entry"),
    "invalid UTF-8": ([Entry(b"x\xff.jpeg")], "damaged or was cut short"),
}

REFUSED_WHEN_WANTED = {  # and of no matter beside the images
    "encrypted": ([Entry(b"x.jpeg", flags=0x801)], "encrypted"),
    "strongly encrypted": ([Entry(b"x.jpeg", flags=0x840)], "encrypted"),
    "deflate64": ([Entry(b"x.jpeg", method=9)], "method 9"),
    "bzip2": ([Entry(b"x.jpeg", method=12)], "method 12"),
    "lzma": ([Entry(b"x.jpeg", method=14)], "method 14"),
    "bomb": ([zeros(b"x.png", 2 * MIB)], "'x.png' would grow .* at most 100-fold"),
    "bomb in small parts": (
        [zeros(b"x.png", MIB - 1), zeros(b"y.png", MIB - 1), zeros(b"z.png", MIB - 1)],
        "the whole would grow",
    ),
    "file over the cap": ([Entry(b"x.jpeg", bytes(3 * MIB + 1))], "3,145,729 bytes, at most"),
    "size over the cap, made up": ([Entry(b"x.jpeg", size=2**32 - 2)], "4,294,967,294 bytes, at most"),
    "total over the cap": (
        [Entry(b"%d.jpeg" % part, bytes(2 * MIB)) for part in range(3)],
        "bytes when unpacked, at most 4,194,304",
    ),
}

REFUSED_WHEN_READ = {
    "wrong checksum": Entry(b"x.jpeg", crc=1),
    "corrupt deflate stream": Entry(b"x.jpeg", method=8, packed=b"\xff" * 9),
    "cut deflate stream": Entry(b"x.jpeg", bytes(range(256)), method=8, packed=deflated(bytes(range(256)))[:-9]),
    "other name in the local header": Entry(b"x.jpeg", local_name=b"y.jpeg"),
    "declares more than it stores": Entry(b"x.jpeg", size=100),
    "declares more than it inflates to": Entry(b"x.jpeg", method=8, packed=deflated(b"pixels"), size=100),
    "declares less than it inflates to": Entry(b"x.jpeg", bytes(MIB), method=8, packed=deflated(bytes(MIB)), size=10),
    "patched data": Entry(b"x.jpeg", flags=0x820),
}


def unpack_all(archive: Path, into: Path, caps: Caps = SMALL) -> list[Unpacked]:
    return unpack(archive, {entry.filename: entry.filename for entry in members(archive, caps)}, into, caps)


def refuses(content: bytes, says: str, tmp_path: Path, step: Callable[[Path, Path], object] = unpack_all) -> None:
    """Asserts that `step` refuses an archive with `content` in one line, and that nothing is left behind."""
    archive = tmp_path / "images.zip"
    archive.write_bytes(content)
    with pytest.raises(BadInput, match=says) as caught:
        step(archive, tmp_path / "images")
    assert str(archive) in str(caught.value)
    assert str(caught.value).isprintable()
    assert list(tmp_path.rglob("*")) == [archive]


@pytest.mark.parametrize("kind", REFUSED_AT_SIGHT)
def test_a_hostile_entry_is_refused_at_sight(kind, tmp_path):
    entries, says = REFUSED_AT_SIGHT[kind]
    refuses(zipped(GOOD, *entries), says, tmp_path, lambda archive, _: members(archive, SMALL))


@pytest.mark.parametrize("kind", REFUSED_AT_SIGHT)
def test_a_hostile_entry_stops_the_good_one_beside_it(kind, tmp_path):
    entries, says = REFUSED_AT_SIGHT[kind]
    refuses(
        zipped(GOOD, *entries),
        says,
        tmp_path,
        lambda archive, into: unpack(archive, {"good.jpeg": "good.jpeg"}, into, SMALL),
    )


@pytest.mark.parametrize("kind", REFUSED_WHEN_WANTED)
def test_an_entry_that_no_image_is_packed_like_is_refused_before_anything_is_written(kind, tmp_path):
    entries, says = REFUSED_WHEN_WANTED[kind]
    refuses(zipped(GOOD, *entries), says, tmp_path)


@pytest.mark.parametrize("kind", REFUSED_WHEN_WANTED)
def test_such_an_entry_beside_the_images_refuses_nothing(kind, tmp_path):
    entries, _ = REFUSED_WHEN_WANTED[kind]
    (tmp_path / "images.zip").write_bytes(zipped(GOOD, *entries))
    found = unpack(tmp_path / "images.zip", {"good.jpeg": "good.jpeg"}, tmp_path / "images", SMALL)
    assert [file.path for file in found] == ["good.jpeg"]


@pytest.mark.parametrize("kind", REFUSED_WHEN_READ)
def test_a_damaged_entry_takes_back_what_was_written_before_it(kind, tmp_path):
    refuses(zipped(GOOD, REFUSED_WHEN_READ[kind]), r"'x\.jpeg' is damaged", tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"<html>Sign in to download</html>", "is no zip file"),
        (b"P", "is no zip file"),
        (b"PK\3\4 and no more", "cut short"),
        (WHOLE[40:], "outside the archive"),
    ],
    ids=["empty", "a web page", "one byte", "a first header", "without its beginning"],
)
def test_a_file_that_is_no_whole_zip_is_refused(content, says, tmp_path):
    refuses(content, says, tmp_path)


def test_a_zip_that_was_cut_anywhere_is_refused(tmp_path):
    for length in range(2, len(WHOLE)):
        refuses(WHOLE[:length], "cut short", tmp_path)


@pytest.mark.parametrize(
    ("make", "says"), [(lambda path: None, "is not there"), (Path.mkdir, "is no file"), (os.mkfifo, "is no file")]
)
def test_a_path_that_is_no_file_is_refused(make, says, tmp_path):
    make(tmp_path / "images.zip")
    with pytest.raises(BadInput, match=says):
        members(tmp_path / "images.zip")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_zip_with_one_changed_byte_is_refused_or_holds_what_it_held(place, change):
    content = bytearray(WHOLE)
    content[place] ^= change
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "sync"):
        archive, into = Path(folder, "images.zip"), Path(folder, "images")
        archive.write_bytes(content)
        try:
            unpack_all(archive, into)
        except BadInput:
            assert os.listdir(folder) == ["images.zip"]
        else:
            assert {(into / name).read_bytes() for name in walk(into)} <= {b"pixels", b"other pixels"}


def test_what_unpack_returns_is_what_lies_on_the_disk(tmp_path):
    with ZipFile(tmp_path / "images.zip", "w", ZIP_DEFLATED) as archive:
        archive.mkdir("train")
        archive.writestr("train/b.jpeg", b"b" * 3 * MIB, compresslevel=0)
        archive.writestr("train/a.jpeg", b"a")
        archive.writestr("train/c.jpeg", b"not wanted")
    wanted = {"train/b.jpeg": "new/b.jpeg", "train/a.jpeg": "a.jpeg"}
    found = unpack(tmp_path / "images.zip", wanted, tmp_path / "images")
    assert [(path, size) for path, _, size in found] == [("a.jpeg", 1), ("new/b.jpeg", 3 * MIB)]
    assert walk(tmp_path / "images") == [path for path, _, _ in found]
    assert all(
        hashlib.sha256((tmp_path / "images" / path).read_bytes()).hexdigest() == digest for path, digest, _ in found
    )
    assert sorted(os.listdir(tmp_path)) == ["images", "images.zip"]


def test_junk_and_folders_are_no_members(tmp_path):
    names = [
        b"a/",
        b"__MACOSX/a/._x.jpeg",
        b"a/._x.jpeg",
        b"a/.DS_Store",
        b"a/Thumbs.db",
        b"a/desktop.ini",
        b"a/x.jpeg",
    ]
    entries = [Entry(name, b"", 0) for name in names]  # mode 0: packed on DOS
    (tmp_path / "images.zip").write_bytes(zipped(*entries))
    assert [entry.filename for entry in members(tmp_path / "images.zip")] == ["a/x.jpeg"]


ACCENT = "d\u00e9faut.jpeg"


def unicode_field(raw: bytes, name: str, version: int = 1) -> bytes:
    """The extra field of Info-ZIP that gives a name in UTF-8 beside the raw one."""
    content = struct.pack("<BL", version, zlib.crc32(raw)) + name.encode()
    return struct.pack("<2H", 0x7075, len(content)) + content


@pytest.mark.parametrize(
    ("raw", "extra", "flags", "name"),
    [
        (ACCENT.encode(), b"", 0, ACCENT),
        (ACCENT.encode(), b"", 0x800, ACCENT),
        (b"d\x82faut.jpeg", b"", 0, ACCENT),
        (b"d?faut.jpeg", unicode_field(b"d?faut.jpeg", "x.jpeg"), 0, "d?faut.jpeg"),
        (b"d\xe9faut.jpeg", unicode_field(b"d\xe9faut.jpeg", ACCENT), 0, ACCENT),
        (b"\xe9.jpeg", b"\x55\x54\x01\x00\x00" + unicode_field(b"\xe9.jpeg", ACCENT), 0, ACCENT),
        (b"d\x82faut.jpeg", unicode_field(b"other", "x.jpeg"), 0, ACCENT),
        (b"d\x82faut.jpeg", unicode_field(b"d\x82faut.jpeg", "x.jpeg", version=2), 0, ACCENT),
        (b"d\x82faut.jpeg", b"\x75\x70\x01\x00\x01", 0, ACCENT),
        ("e\u0301.jpeg".encode(), b"", 0, "e\u0301.jpeg"),
    ],
    ids=[
        "UTF-8 that is not marked",
        "UTF-8",
        "of DOS",
        "plain letters need no field",
        "a field of Info-ZIP",
        "a field after another",
        "a field of another name",
        "a field of another version",
        "a field that is cut",
        "the form of a Mac stays",
    ],
)
def test_a_name_is_read_as_its_packer_meant_it(raw, extra, flags, name, tmp_path):
    (tmp_path / "images.zip").write_bytes(zipped(Entry(raw, flags=flags, extra=extra)))
    assert [entry.filename for entry in members(tmp_path / "images.zip")] == [name]
    (file,) = unpack(tmp_path / "images.zip", {name: "1.jpeg"}, tmp_path / "images")
    assert (tmp_path / "images/1.jpeg").read_bytes() == b"pixels"


@pytest.mark.parametrize("name", ["../x.jpeg", "/etc/x", "x\0.jpeg"])
def test_a_second_name_is_checked_as_the_first(name, tmp_path):
    entry = Entry(b"\xe9.jpeg", flags=0, extra=unicode_field(b"\xe9.jpeg", name))
    refuses(zipped(GOOD, entry), "in its name|absolute", tmp_path)


def test_two_spellings_of_one_name_are_refused_however_they_are_marked(tmp_path):
    refuses(zipped(Entry(ACCENT.encode(), flags=0), Entry(ACCENT.encode())), "one name", tmp_path)


def test_a_long_name_of_accents_is_measured_as_it_is_meant(tmp_path):
    (tmp_path / "images.zip").write_bytes(zipped(Entry("\u00e9".encode() * 120, flags=0)))
    assert len(members(tmp_path / "images.zip")) == 1


def test_an_icon_of_the_finder_refuses_no_archive(tmp_path):
    (tmp_path / "images.zip").write_bytes(zipped(GOOD, Entry(b"a/Icon\r", b"")))
    assert [entry.filename for entry in members(tmp_path / "images.zip")] == ["good.jpeg"]


def test_a_list_of_entries_is_measured_before_an_object_is_made_of_any(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipInfo", mock.Mock(side_effect=AssertionError("an object was made")))
    many = zipped(*(Entry(b"%d.jpeg" % number) for number in range(5)))
    refuses(many, "5 entries, at most 4 are taken", tmp_path)
    long = zipped(*(Entry(b"x" * 200) for _ in range(4)))
    (tmp_path / "images.zip").write_bytes(long)
    with pytest.raises(BadInput, match=r"its list of entries has 984 bytes, at most 500 are read\. Get"):
        members(tmp_path / "images.zip", Caps(listing=500))


def test_an_entry_with_long_notes_is_refused_before_they_are_read(tmp_path):
    extra = struct.pack("<2H", 9, 0) * 1_024
    (tmp_path / "images.zip").write_bytes(zipped(Entry(b"x.jpeg", extra=extra)))
    assert len(members(tmp_path / "images.zip")) == 1
    refuses(zipped(GOOD, Entry(b"x.jpeg", extra=extra + extra[:4])), "notes of 4,100 bytes, at most 4,096", tmp_path)


def test_a_packed_zip_is_no_list_of_entries(tmp_path):
    inner = zipped(*(Entry(b"%d.jpeg" % number) for number in range(5)))
    inner = inner[inner.index(b"PK\1\2") :]
    (tmp_path / "images.zip").write_bytes(zipped(Entry(b"inner.zip", inner)))
    assert len(unpack_all(tmp_path / "images.zip", tmp_path / "images")) == 1


def test_an_empty_zip_has_no_members(tmp_path):
    (tmp_path / "images.zip").write_bytes(zipped())
    assert members(tmp_path / "images.zip") == []


def test_bytes_before_and_after_the_zip_do_no_harm(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"#!/bin/sh\n" + WHOLE + b"\n")
    assert [file.path for file in unpack_all(tmp_path / "images.zip", tmp_path / "images")] == [
        "good.jpeg",
        "other.jpeg",
    ]


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    (tmp_path / "images").mkdir()
    with pytest.raises(FileExistsError):
        unpack_all(tmp_path / "images.zip", tmp_path / "images")
    assert os.listdir(tmp_path / "images") == []


def test_an_entry_that_has_gone_is_named(tmp_path):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    with pytest.raises(BadInput, match=r"no longer has the entry 'gone\.jpeg'"):
        unpack(tmp_path / "images.zip", {"gone.jpeg": "gone.jpeg"}, tmp_path / "images")


@pytest.mark.parametrize("path", ["../x.jpeg", "/x.jpeg", "GOOD.jpeg", "good.jpeg/x"])
def test_a_path_that_leads_out_or_is_taken_is_refused(path, tmp_path):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    with pytest.raises(ValueError, match="wanted path"):
        unpack(tmp_path / "images.zip", {"good.jpeg": "good.jpeg", "other.jpeg": path}, tmp_path / "images")
    assert os.listdir(tmp_path) == ["images.zip"]


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: mock.Mock(free=100 * MIB))
    with pytest.raises(OSError, match="100 MiB are free, 256 needed") as caught:
        unpack_all(tmp_path / "images.zip", tmp_path / "images")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["images.zip"]


@pytest.mark.parametrize(
    ("error", "says"), [(OSError(errno.ENOSPC, "full"), "the disk is too small"), (KeyboardInterrupt("stop"), "stop")]
)
def test_a_full_disk_or_an_interruption_leaves_nothing_behind(error, says, tmp_path, monkeypatch):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    monkeypatch.setattr(os, "sync", mock.Mock(side_effect=error))
    with pytest.raises(type(error), match=says):
        unpack_all(tmp_path / "images.zip", tmp_path / "images")
    with pytest.raises(type(error), match=says):
        pack(tmp_path, ["images.zip"], tmp_path / "packed.zip")
    assert os.listdir(tmp_path) == ["images.zip"]


def names() -> st.SearchStrategy[list[str]]:
    """Sets of safe names that go together."""
    part = st.text(
        st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="/\\:"), min_size=1, max_size=20
    )
    name = st.lists(part.filter(lambda part: not part.startswith(".")), min_size=1, max_size=4).map("/".join)
    return st.lists(name.filter(lambda name: not is_junk(name)), max_size=6).filter(go_together)


def go_together(names: list[str]) -> bool:
    keys = [unicodedata.normalize("NFC", name).casefold() for name in names]
    return len(set(keys)) == len(keys) and not any(other.startswith(f"{key}/") for key in keys for other in keys)


@settings(max_examples=60, deadline=None)
@given(names(), st.data())
def test_any_files_come_back_byte_for_byte(names, data):
    contents = {name: data.draw(st.binary(max_size=200)) for name in names}
    with tempfile.TemporaryDirectory() as place, mock.patch.object(os, "sync"):
        folder, archive, into = Path(place, "folder"), Path(place, "images.zip"), Path(place, "images")
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        pack(folder, names, archive)
        found = unpack_all(archive, into, Caps())
        assert {path: (into / path).read_bytes() for path, _, _ in found} == contents
        assert found == sorted(
            (name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in contents.items()
        )


def test_equal_files_give_an_equal_archive_whenever_they_were_changed(tmp_path):
    for name, changed in (("first", 10**9), ("second", 0)):
        (tmp_path / name).mkdir(mode=0o700)
        for file in ("a.jpeg", "b.jpeg"):
            (tmp_path / name / file).write_bytes(file.encode())
            os.utime(tmp_path / name / file, (changed, changed))
    pack(tmp_path / "first", ["a.jpeg", "b.jpeg"], tmp_path / "first.zip")
    pack(tmp_path / "second", ["b.jpeg", "a.jpeg"], tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


@pytest.mark.parametrize(
    ("name", "says"),
    [("a\\b.jpeg", "backslash"), ("A.JPEG", "one name"), ("x\n.jpeg", r"U\+000A"), ("gone.jpeg", "cannot be read")],
)
def test_a_file_that_could_not_be_unpacked_is_not_packed(name, says, tmp_path):
    for file in {"a.jpeg", name} - {"gone.jpeg"}:
        (tmp_path / file).touch()
    with pytest.raises(BadInput, match=says) as caught:
        pack(tmp_path, ["a.jpeg", name], tmp_path / "new" / "images.zip")
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_file_that_goes_while_it_is_packed_leaves_the_former_archive(tmp_path, monkeypatch):
    (tmp_path / "a.jpeg").write_bytes(b"pixels")
    (tmp_path / "images.zip").write_bytes(WHOLE)
    monkeypatch.setattr(Path, "open", mock.Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(BadInput, match=r"a\.jpeg cannot be read \(Permission denied\)"):
        pack(tmp_path, ["a.jpeg"], tmp_path / "images.zip")
    monkeypatch.undo()
    assert (tmp_path / "images.zip").read_bytes() == WHOLE
    assert sorted(os.listdir(tmp_path)) == ["a.jpeg", "images.zip"]


def test_the_published_archive_unpacks_to_its_7348_images(real_archive, tmp_path):
    archive = real_archive
    with open_reader(archive) as read:
        layout = detect([entry.filename for entry in members(archive)], ClassSettings(), read)
    rows = layout.files
    assert (len(rows), layout.images_elsewhere) == (7_348, 867)
    found = unpack(archive, {row.name: row.path for row in rows}, tmp_path / "images")
    with ZipFile(archive) as source:
        pixels = {row.path: source.read(row.name) for row in rows}
    assert found == sorted(
        (path, hashlib.sha256(content).hexdigest(), len(content)) for path, content in pixels.items()
    )
    assert {path: (tmp_path / "images" / path).read_bytes() for path in walk(tmp_path / "images")} == pixels


def test_a_name_of_1_025_bytes_is_refused(tmp_path):
    refuses(zipped(Entry(b"/".join([b"x" * 205, *[b"x" * 204] * 4]))), "a name of 1,025 bytes", tmp_path)


def test_what_is_as_large_as_is_allowed_is_taken(tmp_path):
    entries = [Entry(b"a/" * 11 + b"x.jpeg"), Entry(b"/".join([b"x" * 204] * 5)), Entry(b"y.jpeg", bytes(3 * MIB))]
    (tmp_path / "images.zip").write_bytes(zipped(*entries))
    assert len(members(tmp_path / "images.zip", SMALL)) == 3


def test_nobody_may_run_what_was_unpacked(tmp_path):
    (tmp_path / "images.zip").write_bytes(zipped(GOOD._replace(mode=stat.S_IFREG | 0o755)))
    unpack_all(tmp_path / "images.zip", tmp_path / "images")
    assert not (tmp_path / "images/good.jpeg").stat().st_mode & 0o111


def test_what_is_packed_is_a_plain_file_of_unix_that_all_may_read(tmp_path):
    (tmp_path / "a.jpeg").touch(0o700)
    pack(tmp_path, ["a.jpeg"], tmp_path / "images.zip")
    (entry,) = members(tmp_path / "images.zip")
    assert (entry.create_system, entry.external_attr >> 16) == (3, stat.S_IFREG | 0o644)


def test_a_name_that_is_not_utf_8_is_not_packed(tmp_path):
    name = os.fsdecode(b"x\xff.jpeg")
    (tmp_path / name).touch()
    with pytest.raises(BadInput, match="' has a name that is not UTF-8"):
        pack(tmp_path, [name], tmp_path / "new" / "images.zip")


def test_an_error_names_the_folder_and_what_is_wrong_with_it(tmp_path, monkeypatch):
    (tmp_path / "images.zip").write_bytes(WHOLE)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="is there already, and was left as it is: '.*there'"):
        unpack_all(tmp_path / "images.zip", tmp_path / "there")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: mock.Mock(free=100 * MIB))
    with pytest.raises(OSError, match=r"needed\. Nothing was kept: .* start again: '.*images'"):
        unpack_all(tmp_path / "images.zip", tmp_path / "images")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("encrypted", "is encrypted"),
        ("absolute", "is an absolute path"),
        ("dot inside", "has an empty part, '.' or '..' in its name"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(kind, says, tmp_path):
    (entry,), _ = (REFUSED_AT_SIGHT | REFUSED_WHEN_WANTED)[kind]
    refuses(zipped(entry), re.escape(f"'{entry.name.decode()}' {says}. Get the archive again"), tmp_path)
