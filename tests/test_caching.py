"""Caching: the key holds what decides a result and nothing else, and a remembered result is checked before it is believed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.runs.caching import Steps, as_text, same_step
from tasks.runs.config import Classes, Fetch, Places, Splitting, Training
from tasks.runs.files import store
from tasks.runs.records import Archive, Arrival, Exports, ImageFolder, Origin, Record, Source, Spread
from tasks.split import split
from tasks.validate import validate


def key(step, places: Places | None = None, **inputs: object) -> str:
    return same_step.compute_key(SimpleNamespace(task=step), {"places": places, **inputs} if places else inputs, {})


def test_two_places_have_one_key(places, tmp_path):
    elsewhere = Places(data=tmp_path / "b", artifacts=tmp_path / "c")
    assert key(split, places, splitting=Splitting()) == key(split, elsewhere, splitting=Splitting())


def test_another_setting_another_step_and_another_input_have_another_key(places):
    first = key(split, places, splitting=Splitting())
    assert first.startswith("split-")
    assert key(split, places, splitting=Splitting(seed=1)) != first
    assert key(split, places, other=Splitting()) != first
    assert key(validate, places, splitting=Splitting()) != first


def test_the_order_of_the_inputs_does_not_matter(places):
    assert key(split, places, a=Splitting(), b=Training()) == key(split, places, b=Training(), a=Splitting())


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


class Told(Record):
    """A record that says more than it decides."""

    told = frozenset({"remark"})
    count: int
    remark: str


class Within(Record):
    first: Told
    others: tuple[Told, ...] = ()
    named: dict[str, Told] = {}


def test_what_only_people_read_is_in_no_key():
    plain, other = Told(count=1, remark="a"), Told(count=1, remark="b")
    assert as_text(plain) == as_text(other) == "{count=1}"
    assert as_text(Told(count=2, remark="a")) != as_text(plain)


def test_what_only_people_read_is_in_no_key_of_a_record_around_it():
    def around(count: int, remark: str) -> Within:
        told = Told(count=count, remark=remark)
        return Within(first=told, others=(told, told), named={"x": told})

    assert as_text(around(1, "a")) == as_text(around(1, "b"))
    assert as_text(around(1, "a")) != as_text(around(2, "a"))


def test_a_file_left_by_an_operating_system_repeats_no_validation(places):
    listing = store(lambda path: path.write_text("x"), places, "data", "tables/listing.csv")
    folders = [
        ImageFolder(listing=listing, classes=Classes(), files_found=2, left_alone=junk, junk=junk) for junk in (0, 5)
    ]
    assert as_text(folders[0]) == as_text(folders[1])
    other = folders[0].model_copy(update={"classes": Classes(defect="cracked")})
    assert as_text(other) != as_text(folders[0])


@pytest.mark.parametrize("kind", [Origin, Exports, Fetch], ids=lambda kind: kind.__name__)
def test_a_record_that_was_stored_has_the_key_that_it_had(kind, places):
    made = {
        Origin: ORIGIN,
        Exports: Exports(digest="aa", contents=(store(lambda path: path.touch(), places, "data", "a.txt"),)),
        Fetch: Fetch(source="a", arrivals=(Path("b"),)),
    }[kind]
    assert as_text(kind.model_validate_json(made.model_dump_json())) == as_text(made)


def test_the_order_of_a_mapping_does_not_matter():
    assert as_text({"a": 1, "b": 2}) == as_text({"b": 2, "a": 1}) != as_text({"a": 2, "b": 1})


def test_values_are_told_apart():
    texts = [as_text(value) for value in (1, "1", 1.5, None, True, [], [1], ["1"], ["1,2"], ["1", "2"], Splitting())]
    assert len(set(texts)) == len(texts)
    assert as_text((1, 2)) == as_text([1, 2])


def test_what_is_neither_a_record_nor_a_setting_is_refused():
    with pytest.raises(TypeError):
        as_text(object())


class Remembered:
    """A step as Prefect runs it: remembers its first record until it is told to refresh."""

    name, persist_result = "fetch", True

    def __init__(self, make) -> None:
        self.make, self.record, self.refresh, self.storage = make, None, False, None

    def with_options(
        self, *, refresh_cache: bool = False, result_storage: Path | None = None, result_serializer: str = ""
    ):
        self.refresh, self.storage = refresh_cache, result_storage or self.storage
        return self

    def __call__(self, *inputs: object, places: Places, return_state: bool):
        cached = self.record is not None and not self.refresh
        if not cached:
            self.record = self.make()
        data = SimpleNamespace(metadata=SimpleNamespace(storage_key=f"{self.storage}/fetch-77"))
        return SimpleNamespace(result=lambda: self.record, name="Cached" if cached else "Completed", data=data)


@pytest.fixture
def step(places):
    def make() -> Archive:
        return Archive(file=store(lambda path: path.write_bytes(b"zip"), places, "data", "a.zip"), bytes=3)

    return Remembered(make)


def test_what_is_whole_is_remembered(step, places, capsys):
    steps = Steps(places)
    first = steps(step)
    assert steps.times["fetch"]["cached"] is False
    assert steps.times["fetch"]["key"] == "fetch-77"
    assert steps(step) == first
    assert steps.times["fetch"]["cached"] is True
    assert capsys.readouterr().out == "fetch: unchanged, remembered\n"
    assert step.storage == places.data.absolute() / "cache"


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
