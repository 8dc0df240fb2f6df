"""Step cache: the key holds what decides a result and nothing else, and a cached result is checked before it is used."""

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest
from conftest import Touch
from prefect import task
from prefect.results import ResultStore, default_cache
from prefect.serializers import JSONSerializer
from prefect.transactions import transaction
from prefect.utilities.callables import call_with_parameters, get_call_parameters

from tasks.fetch import fetch
from tasks.pipeline import step_cache, step_record
from tasks.pipeline.step_cache import RecordFolder, Steps, as_text, same_step
from tasks.records.results import (
    Archive,
    Arrival,
    ClassFolders,
    Exports,
    ImageFolder,
    Manifest,
    Origin,
    Record,
    Source,
    Spread,
)
from tasks.settings.settings import Classes, FetchSettings, Places, SplitSettings, TrainingSettings
from tasks.split import split
from tasks.storage.files import File
from tasks.storage.files import store as store_file
from tasks.validate import validate


def key(step, places: Places | None = None, **inputs: object) -> str:
    return same_step.compute_key(SimpleNamespace(task=step), {"places": places, **inputs} if places else inputs, {})


def test_two_places_have_one_key(places, tmp_path):
    elsewhere = Places(data=tmp_path / "b", artifacts=tmp_path / "c")
    assert key(split, places, splitting=SplitSettings()) == key(split, elsewhere, splitting=SplitSettings())


def test_another_setting_another_step_and_another_input_have_another_key(places):
    first = key(split, places, splitting=SplitSettings())
    assert first.startswith("split-")
    assert key(split, places, splitting=SplitSettings(seed=1)) != first
    assert key(split, places, other=SplitSettings()) != first
    assert key(validate, places, splitting=SplitSettings()) != first


def test_the_order_of_the_inputs_does_not_matter(places):
    assert key(split, places, a=SplitSettings(), b=TrainingSettings()) == key(
        split, places, b=TrainingSettings(), a=SplitSettings()
    )


def test_a_path_outside_plays_no_part():
    def arrival(path: str) -> Arrival:
        return Arrival(origin="line 2", identity="aa", path=Path(path))

    assert key(validate, arrivals=(arrival("/a"),)) == key(validate, arrivals=(arrival("/b"),))
    assert key(validate, arrivals=(arrival("/a"),)) != key(validate, arrivals=(arrival("/a"), arrival("/a")))
    sources = [Source(kind="zip", identity="aa", name=name, path=Path(name)) for name in ("a.zip", "b.zip")]
    assert key(split, source=sources[0]) == key(split, source=sources[1])


ORIGIN = Origin(
    name="base",
    files_found=3,
    known=0,
    quarantined=1,
    by_class={"def_front": 1, "ok_front": 1},
    sizes={"300 x 300": 2},
    brightness=Spread(low=1, median=2, high=3),
    sharpness=None,
)


class CountRecord(Record):
    """A record that says more than it decides."""

    report_only = frozenset({"remark"})
    count: int
    remark: str


class NestedRecord(Record):
    first: CountRecord
    others: tuple[CountRecord, ...] = ()
    named: dict[str, CountRecord] = {}


def test_what_only_people_read_is_in_no_key():
    plain, other = CountRecord(count=1, remark="a"), CountRecord(count=1, remark="b")
    assert as_text(plain) == as_text(other) == "{count=1}"
    assert as_text(CountRecord(count=2, remark="a")) != as_text(plain)


def test_what_only_people_read_is_in_no_key_of_a_record_around_it():
    def around(count: int, remark: str) -> NestedRecord:
        told = CountRecord(count=count, remark=remark)
        return NestedRecord(first=told, others=(told, told), named={"x": told})

    assert as_text(around(1, "a")) == as_text(around(1, "b"))
    assert as_text(around(1, "a")) != as_text(around(2, "a"))


def test_a_file_left_by_an_operating_system_repeats_no_validation(places):
    listing = store_file(lambda path: path.write_text("x"), places, "data", "tables/listing.csv")
    folders = [
        ImageFolder(listing=listing, folders=ClassFolders(), files_found=2, left_alone=junk, junk=junk)
        for junk in (0, 5)
    ]
    assert as_text(folders[0]) == as_text(folders[1])
    other = folders[0].model_copy(update={"folders": ClassFolders(defect=("cracked",))})
    assert as_text(other) != as_text(folders[0])


@pytest.mark.parametrize("kind", [Origin, Exports, FetchSettings], ids=lambda kind: kind.__name__)
def test_a_record_that_was_stored_has_the_key_that_it_had(kind, places):
    made = {
        Origin: ORIGIN,
        Exports: Exports(digest="aa", contents=(store_file(lambda path: path.touch(), places, "data", "a.txt"),)),
        FetchSettings: FetchSettings(source="a", arrivals=(Path("b"),)),
    }[kind]
    assert as_text(kind.model_validate_json(made.model_dump_json())) == as_text(made)


def test_the_order_of_a_mapping_does_not_matter():
    assert as_text({"a": 1, "b": 2}) == as_text({"b": 2, "a": 1}) != as_text({"a": 2, "b": 1})


def test_values_are_told_apart():
    texts = [
        as_text(value) for value in (1, "1", 1.5, None, True, [], [1], ["1"], ["1,2"], ["1", "2"], SplitSettings())
    ]
    assert len(set(texts)) == len(texts)
    assert as_text((1, 2)) == as_text([1, 2])


def test_what_is_neither_a_record_nor_a_setting_is_refused():
    with pytest.raises(TypeError):
        as_text(object())


class CachedStep:
    """A step as Prefect runs it: remembers its first record until it is told to refresh."""

    name, persist_result = "fetch", True

    def __init__(self, make) -> None:
        self.make, self.record, self.refresh, self.result_storage = make, None, False, None

    def fn(self) -> Archive: ...

    def with_options(self, *, refresh_cache: bool = False, result_serializer: str = ""):
        self.refresh = refresh_cache
        return self

    def __call__(self, *inputs: object, places: Places, return_state: bool):
        cached = self.record is not None and not self.refresh
        if not cached:
            self.record = self.make()
        data = SimpleNamespace(metadata=SimpleNamespace(storage_key=f"{self.result_storage.basepath}/fetch-77"))
        return SimpleNamespace(result=lambda: self.record, name="Cached" if cached else "Completed", data=data)


@pytest.fixture
def step(places):
    def make() -> Archive:
        return Archive(file=store_file(lambda path: path.write_bytes(b"zip"), places, "data", "a.zip"), bytes=3)

    return CachedStep(make)


def test_what_is_whole_is_remembered(step, places, capsys):
    steps = Steps(places)
    first = steps(step)
    assert steps.times["fetch"]["cached"] is False
    assert steps.times["fetch"]["key"] == "fetch-77"
    assert steps(step) == first
    assert steps.times["fetch"]["cached"] is True
    assert capsys.readouterr().out == "fetch: unchanged, remembered\n"
    assert step.result_storage.basepath == str(places.data.absolute() / "cache")


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_what_is_damaged_is_made_again_and_that_is_said(step, places, capsys, fault):
    steps = Steps(places)
    path = steps(step).file.path(places)
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(b"other")
    again = steps(step)
    assert again.damage(places) is None
    assert steps.times["fetch"]["cached"] is False
    assert fault in capsys.readouterr().out


ARCHIVE = Archive(file=File(place="data", name="archives/a.zip", sha256="ab" * 32), bytes=3)
KEY = "fetch-1"


@pytest.fixture
def store(places) -> ResultStore:
    """What Prefect makes for a step in these places, and asks about its record."""
    return ResultStore(
        result_storage=RecordFolder.for_step(fetch, places), serializer=JSONSerializer(), cache_result_in_memory=False
    )


def record_file(places: Places) -> Path:
    path = places.data / "cache" / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_prefect_writes_a_record_and_reads_it_back(store, places, tmp_path):
    assert not store.exists(KEY)
    store.write(ARCHIVE, key=KEY)
    assert store.exists(KEY)
    assert store.read(KEY).result == ARCHIVE
    assert json.loads(record_file(places).read_bytes())["metadata"]["serializer"] == JSONSerializer().model_dump()
    places.data.rename(tmp_path / "moved")
    moved = RecordFolder.for_step(fetch, Places(data=tmp_path / "moved"))
    assert store.model_copy(update={"result_storage": moved}).read(KEY).result == ARCHIVE


async def ask_async(store: ResultStore) -> tuple[bool, object]:
    await store.awrite(ARCHIVE, key=KEY)
    return await store.aexists(KEY), (await store.aread(KEY)).result


def test_prefect_reads_it_asynchronously_too(store):
    assert asyncio.run(ask_async(store)) == (True, ARCHIVE)


def test_class_folders_and_batches_may_be_called_as_prefect_marks_its_objects(places):
    origin = ORIGIN.model_copy(update={"by_class": {"__class__": 1, "__exc_type__": 2}})
    record = Manifest(
        table=ARCHIVE.file, refused=ARCHIVE.file, corrected=ARCHIVE.file, classes=Classes(), images=3, quarantined=0,
        corrections_unused=0, origins=(origin,),
    )  # fmt: skip
    store = ResultStore(result_storage=RecordFolder.for_step(validate, places), serializer=JSONSerializer())
    store.write(record, key="validate-1")
    fresh = store.model_copy(update={"cache": default_cache()})
    assert fresh.read("validate-1").result == record


def test_what_prefect_keeps_of_a_step_that_failed_holds_no_secret(places):
    source = Source(kind="zip", identity="aa", name="a.zip", path=Path("/none/a.zip"))
    located = Steps(places).bind_to_places(fetch)
    assert key(located, source=source) == key(fetch, source=source)
    parameters = get_call_parameters(located.fn, (source,), {"places": places})
    assert parameters == {"source": source, "places": places}, "as Prefect calls a step"

    @task
    def reached(places: Places) -> Archive:
        raise ConnectionError("no answer from http://me:hunter2@host")

    with pytest.raises(ConnectionError, match=r"^no answer from http://\*\*\*@host$"):
        call_with_parameters(Steps(places).bind_to_places(reached).fn, {"places": places})


def forge_record(kind: str, fired: Path) -> bytes:
    """Return a record in which something would run, or that no step wrote."""
    pickled = base64.encodebytes(cloudpickle.dumps(Touch(fired))).decode()
    serializer = JSONSerializer().model_dump()
    metadata = {"storage_key": KEY, "expiration": None, "prefect_version": "3.8.8", "storage_block_id": None}
    told = {"__class__": "tasks.records.results.Archive", "data": ARCHIVE.model_dump(mode="json")}
    if kind in ("pickle", "compressed/pickle"):
        return json.dumps({"metadata": {"serializer": {"type": kind}}, "result": pickled}).encode()
    if kind == "decoder":
        serializer["object_decoder"], told = "prefect.serializers.PickleSerializer", {"type": "pickle"}
    elif kind == "class":
        told["__class__"] = "antigravity.Archive"
    elif kind == "null":
        told = None
    elif kind == "torn":
        return b'{"metadata":'
    return json.dumps({"metadata": {**metadata, "serializer": serializer}, "result": json.dumps(told)}).encode()


@pytest.mark.parametrize("kind", ["pickle", "compressed/pickle", "decoder", "class", "null", "torn"])
def test_a_forged_record_runs_nothing_is_a_miss_said_in_one_line_and_is_made_again(
    store, places, tmp_path, capsys, kind
):
    path, fired = record_file(places), tmp_path / "fired"
    path.write_bytes(forge_record(kind, fired))
    with transaction(key=KEY, store=store, write_on_commit=True) as step:
        assert not step.is_committed()
        step.stage(ARCHIVE)
    assert not fired.exists()
    assert "antigravity" not in sys.modules
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"fetch: remembered, but {path} is no record of this step (")
    assert line.endswith("): made again")
    assert store.read(KEY).result == ARCHIVE


def test_a_forged_record_that_replaces_one_after_the_look_is_not_read_either(store, places, tmp_path):
    store.write(ARCHIVE, key=KEY)
    assert store.exists(KEY)
    record_file(places).write_bytes(forge_record("pickle", tmp_path / "fired"))
    with pytest.raises(ValueError, match="metadata"):
        store.read(KEY)
    assert not (tmp_path / "fired").exists()


def test_a_record_that_may_not_be_read_is_a_miss_too_whoever_owns_it(store, monkeypatch, capsys):
    store.write(ARCHIVE, key=KEY)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(step_record, "content_of", refuse)
        patched.setattr(step_cache, "erase", refuse)
        assert not store.exists(KEY)
    assert capsys.readouterr().out.endswith("is no record of this step ([Errno 13] Permission denied): made again\n")


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_gives_way_to_the_record(store, places, tmp_path, kind):
    path, outside = record_file(places), tmp_path / "outside"
    outside.write_bytes(b"of somebody else")
    if kind == "link":
        path.symlink_to(outside)
    elif kind == "folder":
        (path / "inside").mkdir(parents=True)
    else:
        os.mkfifo(path)
    assert not store.exists(KEY)
    store.write(ARCHIVE, key=KEY)
    assert store.read(KEY).result == ARCHIVE
    assert outside.read_bytes() == b"of somebody else"


def test_a_link_is_replaced_and_never_written_through(store, places, tmp_path):
    record_file(places).symlink_to(tmp_path / "outside")
    store.write(ARCHIVE, key=KEY)
    assert not (tmp_path / "outside").exists()
    assert store.read(KEY).result == ARCHIVE
