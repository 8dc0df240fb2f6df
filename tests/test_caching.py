"""Caching: the key holds what decides a result and nothing else, and a remembered result is checked before it is believed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.runs import caching
from tasks.runs.caching import Steps, as_text, code_and_libraries, imports_of, same_step
from tasks.runs.config import Places, Splitting, Training
from tasks.runs.files import store
from tasks.runs.records import Archive, Arrival, Source
from tasks.split import split
from tasks.validate import validate

VERB = '''"""Measure: a verb."""

from tasks.images.parts import count
from tasks.runs.shown import told

LIMIT = 3


def measure(rows: list[str]) -> int:
    """How many."""
    from tasks.images import late

    return count(rows) + LIMIT  # all of them
'''
NOUN = '''"""Parts: a noun."""

from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A part."""

    name: str
    """As written."""


def count(rows):
    """The number."""
    return len(np.array(rows))
'''


class House:
    """A verb, the nouns it leans on, and the room that decides nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("measure", VERB)
        self.write("images/parts", NOUN)
        self.write("images/late", "from tasks.images import deep\n")
        self.write("images/deep", "DEPTH = 1\n")
        self.write("images/stranger", "OTHER = 1\n")
        self.write("runs/shown", "def told():\n    return 1\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / "tasks" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.root / "tasks" / f"{name}.py").read_text(encoding="utf-8")

    @property
    def key(self) -> tuple[str, ...]:
        code_and_libraries.cache_clear()
        return code_and_libraries(self.root / "tasks" / "measure.py")


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "ROOT", tmp_path / "house")
    yield House(tmp_path / "house")
    code_and_libraries.cache_clear()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("measure", "  # all of them", ""),
        ("measure", '"""How many."""', '"""Other words."""'),
        ("measure", '"""Measure: a verb."""\n\n', ""),
        ("images/parts", '    """The number."""\n', ""),
        ("images/parts", '    """As written."""\n', ""),
        ("images/parts", '"""A part."""', '"""One part."""'),
        ("images/parts", "len(np.array(rows))", "len(\n        np.array(rows),\n    )"),
        ("images/stranger", "OTHER = 1", "OTHER = 2"),
        ("runs/shown", "return 1", "return 2"),
    ],
    ids=[
        "a comment", "a docstring", "the verb's docstring", "a noun's docstring", "the docstring of a field",
        "the docstring of a class", "the layout", "a noun that is not used", "tasks.runs",
    ],
)  # fmt: skip
def test_what_decides_nothing_does_not_change_the_key(house, name, old, new):
    before = house.key
    assert old in house.read(name)
    house.write(name, house.read(name).replace(old, new))
    assert house.key == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("measure", "LIMIT = 3", "LIMIT = 4"),
        ("images/parts", "len(np.array(rows))", "len(np.array(rows)) + 1"),
        ("images/parts", "name: str", "name: bytes"),
        ("images/late", "import deep", "import deep, stranger"),
        ("images/deep", "DEPTH = 1", "DEPTH = 2"),
        ("images/deep", "DEPTH = 1", 'DEPTH = "1"'),
        ("images/deep", "DEPTH = 1", "DEPTH = 1\nimport scipy"),
    ],
    ids=["the verb", "a noun", "a field", "one more noun", "a noun of a noun", "a type", "one more library"],
)
def test_what_decides_a_result_changes_the_key(house, name, old, new):
    before = house.key
    assert old in house.read(name)
    house.write(name, house.read(name).replace(old, new))
    assert house.key != before


def test_another_version_of_a_library_changes_the_key_of_who_uses_it(house, monkeypatch):
    before = house.key
    assert [part for part in before if "==" in part and ":" not in part] == [f"numpy=={caching.version('numpy')}"]
    monkeypatch.setattr(caching, "version", lambda name: "99")
    assert house.key != before


def test_a_moved_checkout_has_the_same_key(house, monkeypatch):
    before = house.key
    moved = house.root.rename(house.root.with_name("moved"))
    monkeypatch.setattr(caching, "ROOT", moved)
    house.root = moved
    assert house.key == before


def test_nouns_that_import_each_other_come_to_an_end(house):
    house.write("images/deep", "from tasks.images import late\n")
    assert house.key


def test_imports_are_found_wherever_they_stand():
    tree = caching.ast.parse("import a.b as c\nfrom d import e, f\ndef g():\n    if 1:\n        from h.i import j\n")
    assert imports_of(tree) == {"a.b", "d", "d.e", "d.f", "h.i", "h.i.j"}


def test_the_keys_of_the_real_steps_hold_their_nouns_and_not_the_runs():
    names = {
        part.partition(":")[0] for part in code_and_libraries(Path(caching.ROOT / "tasks/validate.py")) if ":" in part
    }
    assert names >= {"validate", "decoding", "manifest"}
    assert not names & {"config", "records", "files", "tables", "caching"}
    libraries = {
        part for part in code_and_libraries(Path(caching.ROOT / "tasks/train.py")) if part.startswith("tensorflow==")
    }
    assert len(libraries) == 1


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


def test_values_are_told_apart():
    texts = [as_text(value) for value in (1, "1", 1.5, None, True, [], [1], ["1"], ["1,2"], ["1", "2"], Splitting())]
    assert len(set(texts)) == len(texts)
    assert as_text((1, 2)) == as_text([1, 2])


def test_what_is_neither_a_record_nor_a_setting_is_refused():
    with pytest.raises(TypeError):
        as_text(object())


class Remembered:
    """A step as Prefect runs it: remembers its first record until it is told to refresh."""

    name = "fetch"

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
        return SimpleNamespace(result=lambda: self.record, name="Cached" if cached else "Completed")


@pytest.fixture
def step(places):
    def make() -> Archive:
        return Archive(file=store(lambda path: path.write_bytes(b"zip"), places, "data", "a.zip"), bytes=3)

    return Remembered(make)


def test_what_is_whole_is_remembered(step, places, capsys):
    steps = Steps(places)
    first = steps(step)
    assert steps.times["fetch"]["cached"] is False
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
