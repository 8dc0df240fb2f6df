"""Marks: pytest plugin that marks each test by what it uses, and fails a test that uses what its marks do not name.

A test bears `tensorflow`, `mlflow`, `server` or `process` if it uses a fixture of that name, or if its code, its fixtures or the helpers
in `tests/` that they call name a module that needs it. `real` comes from the fixtures of real data. `long` alone is set by hand.
"""

import ast
import builtins
import dis
import multiprocessing.process
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import combinations
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest
from _pytest.mark.expression import Expression

TESTS = Path(__file__).parent
MARKS = ("tensorflow", "mlflow", "server", "process", "real", "long")
NEEDS = {  # what comes with a module or with what lies in it
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "mlflow": "mlflow",
    "http.server": "server",
    "socket": "server",
    "subprocess": "process",
    "multiprocessing": "process",
}
FOLLOWED = ModuleType | FunctionType | type
HEAVY = {"tensorflow", "mlflow"}
OWN = (
    "tasks",
    "flows",
    "benchmarks",
    "deployments",
)  # product code: what it imports at its top is needed by whoever names it


@cache
def marks_of_module(name: str) -> frozenset[str]:
    """Return the marks that a module brings, or the module that something of this name lies in. It is not imported."""
    for known, mark in NEEDS.items():
        if name == known or name.startswith(f"{known}."):
            return frozenset({mark})
    helper = TESTS / f"{name}.py"
    if helper.exists():
        return marks_of_imports(helper)
    file = TESTS.parent / f"{name.replace('.', '/')}.py"
    return marks_of_imports(file) & HEAVY if name.split(".")[0] in OWN and file.exists() else frozenset()


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


def marks_of_code(code: CodeType, names: dict[str, object]) -> Iterator[str | object]:
    """Yield the marks of what a piece of code imports, and the globals that it names."""
    module = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            module = step.argval
            yield from marks_of_module(module)
        elif step.opname == "IMPORT_FROM":
            yield from marks_of_module(f"{module}.{step.argval}")
        elif step.opname == "LOAD_GLOBAL" and isinstance(value := names.get(step.argval), FOLLOWED):
            yield value
        elif isinstance(step.argval, CodeType):
            yield from marks_of_code(step.argval, names)


PARTS: dict[int, list] = {}


def parts_of(value: object) -> list[str | object]:
    """Return the marks of a module, function or class, and what else it names in `tests/`; other code counts by its module."""
    if isinstance(value, ModuleType):
        return [*marks_of_module(value.__name__)]
    if id(value) not in PARTS:
        file = getattr(sys.modules.get(value.__module__), "__file__", None)
        if file is None or Path(file).parent != TESTS:
            PARTS[id(value)] = [*marks_of_module(value.__module__)]
        elif isinstance(value, FunctionType):
            inner = getattr(value, "__wrapped__", value)  # below a decorator such as `contextmanager`
            inner = inner.hypothesis.inner_test if hasattr(inner, "hypothesis") else inner
            PARTS[id(value)] = [*marks_of_code(inner.__code__, inner.__globals__)]
        else:
            inside = (getattr(part, "__func__", part) for part in vars(value).values())
            PARTS[id(value)] = [*value.__mro__[1:-1], *(part for part in inside if isinstance(part, FOLLOWED))]
    return PARTS[id(value)]


def used_by(item: pytest.Function) -> set[str]:
    """Return the marks of a test: by its code, and by the names and the code of its fixtures."""
    fixtures = (found[-1].func for found in item._fixtureinfo.name2fixturedefs.values())
    waiting = [getattr(function, "__func__", function) for function in (item.obj, *fixtures)]
    marks, seen = set(item.fixturenames) & set(MARKS), set[int]()
    while waiting:
        for part in parts_of(waiting.pop()):
            if isinstance(part, str):
                marks |= {part} & set(MARKS)
            elif id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
    return marks


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function):
        for mark in sorted(used_by(item)):
            item.add_marker(mark)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file whose imports alone deselect all of its tests: loading TensorFlow for none takes seconds."""
    if collection_path.suffix != ".py" or not config.option.markexpr:
        return None
    always = marks_of_imports(collection_path) & HEAVY
    others = [mark for mark in MARKS if mark not in always]
    wanted = Expression.compile(config.option.markexpr)
    for count in range(len(others) + 1):
        for more in combinations(others, count):
            if wanted.evaluate({*always, *more}.__contains__):
                return None
    return True


class Watch:
    """What the running test took without a mark for it. Only the main thread is watched: others may serve an earlier test."""

    def __init__(self) -> None:
        self.allowed: set[str] | None = None
        self.taken: list[str] = []

    def note(self, mark: str, what: str) -> None:
        if (
            self.allowed is not None
            and mark not in self.allowed
            and threading.current_thread() is threading.main_thread()
        ):
            self.taken.append(f"{what} (mark `{mark}`)")

    @contextmanager
    def off(self) -> Iterator[None]:
        """Look away."""
        allowed, self.allowed = self.allowed, None
        try:
            yield
        finally:
            self.allowed = allowed

    @contextmanager
    def over(self, item: pytest.Item) -> Iterator[None]:
        """Watch a test until its end; fail it when it took what its marks do not name."""
        self.allowed, self.taken = {mark.name for mark in item.iter_markers()}, []
        try:
            yield
        finally:
            self.allowed = None
        if self.taken:
            pytest.fail(f"it uses {', '.join(dict.fromkeys(self.taken))} and no fixture of that name", pytrace=False)


WATCH = Watch()


def watch_events(event: str, args: tuple) -> None:
    if event == "subprocess.Popen":
        WATCH.note("process", f"the process {' '.join(map(str, args[1]))[:300]}")
    elif event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system"):
        WATCH.note("process", event)
    elif event == "socket.bind" and isinstance(args[1], tuple):
        WATCH.note("server", f"the port {args[1]}")


def watch_imports(real: Callable[..., object]) -> Callable[..., object]:
    """Wrap `__import__`, which a late import calls also where the module is loaded already."""

    def load(name: str, globals=None, locals=None, fromlist=(), level=0):
        if WATCH.allowed is None or level or threading.current_thread() is not threading.main_thread():
            return real(name, globals, locals, fromlist, level)
        if (globals or {}).get("__name__", "").split(".")[0] in OWN:
            for module in (name, *(f"{name}.{part}" for part in fromlist or ())):
                for mark in marks_of_module(module) & HEAVY:
                    WATCH.note(mark, f"the module {module}")
        if name in sys.modules or name.split(".")[0] in OWN:
            return real(name, globals, locals, fromlist, level)
        with WATCH.off():  # a library may try a port or ask `uname` as it is loaded
            return real(name, globals, locals, fromlist, level)

    return load


def watch_spawning(real: Callable[..., None]) -> Callable[..., None]:
    def start(self) -> None:
        WATCH.note("process", f"the process {self.name}")
        real(self)

    return start


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: {EXPLAINED[mark]}")
    if getattr(config.option, "numprocesses", None):
        config.pluginmanager.register(Count(config))
    sys.addaudithook(watch_events)
    builtins.__import__ = watch_imports(builtins.__import__)
    multiprocessing.process.BaseProcess.start = watch_spawning(multiprocessing.process.BaseProcess.start)


class Count:
    """Tell how many tests will run: with `-q`, several processes do not say so."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.told = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if not self.told:
            self.told = True
            self.config.get_terminal_writer().line(f"{len(ids):,} tests will run.")


EXPLAINED = {
    "tensorflow": "loads TensorFlow or Keras",
    "mlflow": "loads MLflow",
    "server": "opens a port",
    "process": "starts a process",
    "real": "reads the real data of RECAST_ARCHIVE or RECAST_ARRIVALS",
    "long": "minutes; `make test-all` runs it",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    with WATCH.over(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    with WATCH.over(item):
        return (yield)
