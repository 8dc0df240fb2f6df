"""Step record: only the values of a file below `data/cache` are read, and only where this step wrote them under this name."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from prefect.serializers import JSONSerializer

from tasks.pipeline import step_record
from tasks.records.results import Archive, Exports, Splits
from tasks.storage.files import File

RESULT = {"file": {"place": "data", "name": "archives/a.zip", "sha256": "ab" * 32}, "bytes": 3}


def write_record(
    folder: Path,
    name: str = "fetch-1",
    *,
    kind: object = "tasks.records.results.Archive",
    data: Mapping[str, object] = MappingProxyType({}),
    metadata: Mapping[str, object] = MappingProxyType({}),
    **changes: object,
) -> Path:
    """Write a record of `fetch` as Prefect does, but for these values."""
    noted = {
        "storage_key": f"/where/it/was/{name}",
        "expiration": None,
        "serializer": step_record.SERIALIZER,
        "prefect_version": "3.8.8",
        "storage_block_id": None,
    }
    result = json.dumps({"__class__": kind, "data": {**RESULT, **data}})
    path = folder / name
    path.write_text(json.dumps({"metadata": {**noted, **metadata}, "result": result, **changes}))
    return path


def test_a_record_is_read_wherever_its_folder_has_moved(tmp_path):
    record = step_record.read(write_record(tmp_path), Archive)
    assert record == Archive(file=File(place="data", name="archives/a.zip", sha256="ab" * 32), bytes=3)


def test_prefect_still_notes_the_serializer_that_is_expected():
    assert JSONSerializer().model_dump() == step_record.SERIALIZER


def test_only_classes_of_records_are_known():
    assert step_record.RECORDS["tasks.records.results.Splits"] is Splits
    assert all(name.startswith("tasks.records.results.") for name in step_record.RECORDS)


WRONG = {
    "pickle": {"metadata": {"serializer": {"type": "pickle"}}},
    "compressed pickle": {"metadata": {"serializer": {"type": "compressed/pickle"}}},
    "another JSON library": {"metadata": {"serializer": {**step_record.SERIALIZER, "jsonlib": "os"}}},
    "another decoder": {"metadata": {"serializer": {**step_record.SERIALIZER, "object_decoder": "builtins.print"}}},
    "arguments of the loader": {"metadata": {"serializer": {**step_record.SERIALIZER, "loads_kwargs": {"cls": "x"}}}},
    "a serializer in words": {"metadata": {"serializer": "pickle"}},
    "no serializer": {"metadata": {"serializer": {}}},
    "an expiration": {"metadata": {"expiration": "2999-01-01T00:00:00Z"}},
    "a block of the server": {"metadata": {"storage_block_id": "6b8b4567-327b-4c00-8000-000000000000"}},
    "a field too many beside": {"metadata": {"more": 1}},
    "the serializer as Prefect 2 noted it": {"serializer": {"type": "pickle"}},
    "another name": {"metadata": {"storage_key": "fetch-2"}},
    "a name that leads elsewhere": {"metadata": {"storage_key": "/etc/passwd"}},
    "null": {"result": "null"},
    "a list": {"result": "[]"},
    "no text": {"result": None},
    "an object": {"result": RESULT},
    "torn": {"result": '{"__class__": "tasks.records.results.Archive", "da'},
    "too deep": {"result": "[" * 100_000},
    "an unknown class": {"kind": "antigravity.Archive"},
    "a function": {"kind": "os.system"},
    "an exception": {"result": '{"__exc_type__": "builtins.SystemExit", "message": "x"}'},
    "the record of another step": {"kind": "tasks.records.results.Exports"},
    "a class that is no text": {"kind": 1},
    "a value of another type": {"data": {"bytes": "3"}},
    "a value too many": {"data": {"more": 1}},
    "a value too many inside": {"data": {"file": {**RESULT["file"], "more": 1}}},
    "a value too few": {"data": {"file": {"place": "data", "name": "a.zip"}}},
    "another place": {"data": {"file": {**RESULT["file"], "place": "home"}}},
    "a class inside": {"data": {"file": {"__class__": "os.system", "data": "id"}}},
    "an absolute path": {"data": {"file": {**RESULT["file"], "name": "/etc/passwd"}}},
    "a path that leads out": {"data": {"file": {**RESULT["file"], "name": "tables/../../../x"}}},
    "an empty path": {"data": {"file": {**RESULT["file"], "name": ""}}},
    "a path with an end of text": {"data": {"file": {**RESULT["file"], "name": "a\0b"}}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_is_not_the_record_of_this_step_is_refused_in_one_line(tmp_path, changes):
    path = write_record(tmp_path, **changes)
    with pytest.raises(ValueError, match=".") as refused:
        step_record.read(path, Archive)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"\x80\x04.", b"[" * 100_000])
def test_a_file_that_is_no_record_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "fetch-1"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=".") as refused:
        step_record.read(path, Archive)
    assert str(refused.value).isprintable()


def test_a_name_that_would_move_a_cursor_is_shown_escaped_and_cut(tmp_path):
    with pytest.raises(ValueError, match="it holds ") as refused:
        step_record.read(write_record(tmp_path, kind="\x1b[2J\n" + "x" * 9_999), Archive)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_what_is_no_regular_file_is_refused_without_a_wait(tmp_path):
    write_record(tmp_path, "fetch-2")
    (tmp_path / "fetch-1").symlink_to(tmp_path / "fetch-2")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("fetch-1", "folder", "pipe"):
        with pytest.raises((OSError, ValueError)):
            step_record.read(tmp_path / name, Archive)
    with pytest.raises(FileNotFoundError):
        step_record.read(tmp_path / "none", Archive)


def test_a_file_that_no_record_fills_is_not_read(tmp_path):
    path = tmp_path / "fetch-1"
    with open(path, "wb") as opened:
        opened.truncate(step_record.MAX_BYTES + 1)
    with pytest.raises(ValueError, match="is the most"):
        step_record.read(path, Archive)


def test_a_record_that_lacks_what_it_may_lack_is_still_read(tmp_path):
    # `formats` came later
    result = '{"__class__": "tasks.records.results.Exports", "data": {"digest": "ab", "contents": []}}'
    assert step_record.read(write_record(tmp_path, "export-1", result=result), Exports) == Exports(
        digest="ab", contents=()
    )


def test_objects_that_name_no_record_stay_what_they_are():
    for told in ({}, {"__class__": 3}, {"__class__": "os.system", "data": "id"}, {"__exc_type__": "SystemExit"}):
        assert step_record.decode(dict(told)) == told
