"""Marks: a pytest plugin that marks each test by what it uses.

A test bears `tensorflow`, `mlflow`, `server` or `process` if it uses a fixture of that name, or if its code, its fixtures or the helpers
in `tests/` that they call name a module that needs it. `real` comes from the fixtures of real data. `long` alone is set by hand.
"""

import ast
import dis
import sys
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest
from _pytest.mark.expression import Expression

TESTS = Path(__file__).parent
MARKS = {
    "tensorflow": "loads TensorFlow or Keras",
    "mlflow": "loads MLflow",
    "server": "opens a port",
    "process": "starts a process",
    "real": "reads the real data of RECAST_ARCHIVE, RECAST_ARRIVALS, RECAST_TILES or RECAST_KOLEKTOR",
    "long": "takes minutes; `make test-all` runs it",
}
NEEDS = {  # a module, and the mark of whoever names it or what lies in it
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "mlflow": "mlflow",
    "http.server": "server",
    "socket": "server",
    "subprocess": "process",
    "multiprocessing": "process",
}
LOADED = {
    "tensorflow",
    "mlflow",
}  # marks that a module of the product hands on when it imports such a library at its top
PRODUCT = ("tasks", "flows", "benchmarks", "deployments")
Followed = ModuleType | FunctionType | type


@cache
def marks_of_module(name: str) -> frozenset[str]:
    """Return the marks that a module brings, without importing it."""
    for known, mark in NEEDS.items():
        if name == known or name.startswith(f"{known}."):
            return frozenset({mark})
    helper = TESTS / f"{name}.py"
    if helper.exists() and name != "conftest":  # of conftest, what is named counts
        return marks_of_imports(helper)
    file = TESTS.parent / f"{name.replace('.', '/')}.py"
    return marks_of_imports(file) & LOADED if name.split(".")[0] in PRODUCT and file.exists() else frozenset()


@cache
def marks_of_imports(path: Path) -> frozenset[str]:
    """Return the marks that the imports at the top of a file bring."""
    names = set[str]()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset().union(*map(marks_of_module, names))


def parts_of_code(code: CodeType, names: dict[str, object]) -> Iterator[str | Followed]:
    """Yield the marks of what a piece of code imports, and the globals that it names."""
    module = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            module = step.argval
            yield from marks_of_module(module)
        elif step.opname == "IMPORT_FROM":
            yield from marks_of_module(f"{module}.{step.argval}")
        elif step.opname == "LOAD_GLOBAL" and isinstance(value := names.get(step.argval), Followed):
            yield value
        elif isinstance(step.argval, CodeType):
            yield from parts_of_code(step.argval, names)


@cache
def parts_of(value: Followed) -> list[str | Followed]:
    """Return the marks of a module, function or class, and what it names in `tests/`. Other code counts by its module."""
    if isinstance(value, ModuleType):
        return [*marks_of_module(value.__name__)]
    file = getattr(sys.modules.get(value.__module__), "__file__", None)
    if file is None or TESTS not in Path(file).parents:
        return [*marks_of_module(value.__module__)]
    if isinstance(value, FunctionType):
        inner = getattr(value, "__wrapped__", value)  # below a decorator such as `contextmanager`
        inner = inner.hypothesis.inner_test if hasattr(inner, "hypothesis") else inner
        return [*parts_of_code(inner.__code__, inner.__globals__)]
    inside = (getattr(part, "__func__", part) for part in vars(value).values())
    return [*value.__mro__[1:-1], *(part for part in inside if isinstance(part, Followed))]


def marks_of_test(item: pytest.Function) -> set[str]:
    """Return the marks of a test: by its code, and by the names and the code of its fixtures."""
    fixtures = (found[-1].func for found in item._fixtureinfo.name2fixturedefs.values())
    waiting = [getattr(function, "__func__", function) for function in (item.obj, *fixtures)]
    marks, seen = set(item.fixturenames) & MARKS.keys(), set[Followed]()
    while waiting:
        for part in parts_of(waiting.pop()):
            if isinstance(part, str):
                marks.add(part)
            elif part not in seen:
                seen.add(part)
                waiting.append(part)
    return marks


def pytest_configure(config: pytest.Config) -> None:
    for mark, what in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {what}")


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function):
        for mark in sorted(marks_of_test(item)):
            item.add_marker(mark)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file none of whose tests can be selected: loading TensorFlow for none takes seconds.

    All of its tests bear the marks of its imports, and none bears `real` where it names no fixture of real data.
    """
    if collection_path.suffix != ".py" or not config.option.markexpr:
        return None
    always = marks_of_imports(collection_path) & LOADED
    others = MARKS.keys() - always
    if "real_" not in collection_path.read_text(encoding="utf-8"):
        others -= {"real"}
    wanted = Expression.compile(config.option.markexpr)
    for count in range(len(others) + 1):
        for more in combinations(others, count):
            if wanted.evaluate({*always, *more}.__contains__):
                return None
    return True
