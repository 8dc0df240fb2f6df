"""Code: a step's code and libraries are found by its imports, and what decides nothing is left out."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.storage import code_version
from tasks.storage.code_version import code_and_libraries, code_digest, imports_of

VERB = '''"""Measure: a verb."""

from tasks.images.parts import count
from tasks.storage.shown import told

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
        self.write("images/deep", "DEPTH = 1\nfrom tasks.images import page\n")
        self.write("images/stranger", "OTHER = 1\n")
        self.write("storage/shown", "def told():\n    return 1\n")
        self.write("images/page", 'FILE = "templates/page.html"\n')
        self.write("images/templates/page.html", '{% include "templates/line.html" %}\n')
        self.write("images/templates/line.html", "A line.\n")
        self.write("images/templates/stranger.html", "A line.\n")

    def write(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    def path(self, name: str) -> Path:
        return self.root / "tasks" / (name if "." in name else f"{name}.py")

    @property
    def key(self) -> tuple[str, ...]:
        code_and_libraries.cache_clear()
        return code_and_libraries(self.root / "tasks" / "measure.py")


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(code_version, "ROOT", tmp_path / "house")
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
        ("storage/shown", "return 1", "return 2"),
        ("images/templates/stranger.html", "A line.", "Other words."),
        ("images/page", "\n", '\n"""It is not templates/stranger.html."""\n'),
    ],
    ids=[
        "a comment", "a docstring", "the verb's docstring", "a noun's docstring", "the docstring of a field",
        "the docstring of a class", "the layout", "a noun that is not used", "a room that carries results",
        "a template that is not used", "a docstring that names it",
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
        ("images/page", "page.html", "stranger.html"),
        ("images/templates/page.html", "{%", "Page: {%"),
        ("images/templates/line.html", "A line.", "Other words."),
    ],
    ids=[
        "the verb", "a noun", "a field", "one more noun", "a noun of a noun", "a type", "one more library",
        "another template", "a template", "a template of a template",
    ],
)  # fmt: skip
def test_what_decides_a_result_changes_the_key(house, name, old, new):
    before = house.key
    assert old in house.read(name)
    house.write(name, house.read(name).replace(old, new))
    assert house.key != before


def test_another_version_of_a_library_changes_the_key_of_who_uses_it(house, monkeypatch):
    before = house.key
    assert [part for part in before if "==" in part and ":" not in part] == [f"numpy=={code_version.version('numpy')}"]
    monkeypatch.setattr(code_version, "version", lambda name: "99")
    assert house.key != before


def test_a_moved_checkout_has_the_same_key(house, monkeypatch):
    before = house.key
    moved = house.root.rename(house.root.with_name("moved"))
    monkeypatch.setattr(code_version, "ROOT", moved)
    house.root = moved
    assert house.key == before


def test_nouns_that_import_each_other_come_to_an_end(house):
    house.write("images/deep", "from tasks.images import late\n")
    assert house.key


def test_imports_are_found_wherever_they_stand():
    tree = ast.parse("import a.b as c\nfrom d import e, f\ndef g():\n    if 1:\n        from h.i import j\n")
    assert imports_of(tree) == {"a.b", "d", "d.e", "d.f", "h.i", "h.i.j"}


def test_the_keys_of_the_real_steps_hold_their_nouns_and_not_the_runs():
    names = {
        part.partition(":")[0]
        for part in code_and_libraries(Path(code_version.ROOT / "tasks/validate.py"))
        if ":" in part
    }
    assert names >= {"validate", "decoding", "rows"}
    assert not names & {"settings", "results", "files", "tables", "step_cache"}
    libraries = {
        part
        for part in code_and_libraries(Path(code_version.ROOT / "tasks/train.py"))
        if part.startswith("tensorflow==")
    }
    assert len(libraries) == 1


def test_the_digest_changes_with_what_decides_a_result_and_with_nothing_else(house):
    def digest() -> str:
        code_and_libraries.cache_clear()
        return code_digest(house.root / "tasks/measure.py")

    before = digest()
    assert len(before) == 64
    house.write("images/parts", house.read("images/parts").replace('"""The number."""', '"""How many."""'))
    assert digest() == before
    house.write("images/deep", "DEPTH = 2\n")
    assert digest() != before


def test_a_noun_may_import_it_without_prefect():
    found = "import sys, tasks.storage.code_version; print('prefect' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", found], cwd=code_version.ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


def test_every_template_is_named_so_that_its_steps_count_it():
    code = [path.read_text(encoding="utf-8") for path in (code_version.ROOT / "tasks").rglob("*.py")]
    for template in set(code_version.ROOT.glob("tasks/*/templates/*")) - set(
        code_version.ROOT.glob("tasks/review/templates/*")  # of a page, which no step draws
    ):
        assert any(f'"templates/{template.name}"' in text for text in code), template.name


STEPS = ("fetch", "extract", "validate", "audit", "split", "train", "evaluate", "plot", "export", "release")


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Return the code digest of each step, of a copy of the house that a test may change."""
    shutil.copytree(code_version.ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_version, "ROOT", tmp_path)

    def digests() -> dict[str, str]:
        code_and_libraries.cache_clear()
        return {step: code_digest(tmp_path / f"tasks/{step}.py") for step in STEPS}

    yield digests
    code_and_libraries.cache_clear()


@pytest.mark.parametrize(
    ("file", "repeated"),
    [
        ("settings/model_specs.py", {"audit", "split", "train", "evaluate", "plot", "export", "release"}),
        ("images/views.py", {"audit", "split", "train", "evaluate", "plot", "export", "release"}),
        ("images/decoding.py", set(STEPS)),
        ("sources/synthetic/defects.py", {"fetch"}),
        ("dataset/group_split.py", {"split"}),
        ("networks/networks.py", {"train", "evaluate", "plot", "export", "release"}),
        ("training/augmentation.py", {"train"}),
        ("inference/decision.py", {"train", "evaluate", "plot", "export", "release"}),
        ("evaluation/promotion_rules.py", {"release"}),
        ("reporting/model_card.py", {"export"}),
        ("settings/messages.py", set()),
        ("storage/files.py", set()),
        ("pipeline/step_cache.py", set()),
        ("reporting/html.py", set()),
        ("reporting/templates/model_card.md", {"export"}),
        ("reporting/templates/report.html", set()),
        ("reporting/templates/report.css", set()),
    ],
)
def test_a_change_repeats_the_steps_that_it_affects(keys, tmp_path, file, repeated):
    before = keys()
    with (tmp_path / "tasks" / file).open("a") as text:
        text.write("\nCHANGED = 1\n")
    after = keys()
    assert {step for step in STEPS if before[step] != after[step]} == repeated
